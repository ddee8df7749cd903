//! Embedded migrations: a binary carries the tables that it needs.

use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// A migration that PostgreSQL refused, or whose state could not be read.
#[derive(Debug, thiserror::Error)]
#[error("database migration failed: {0}")]
pub struct MigrationError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Brings the database up to date and returns the names of the migrations that it ran. Idempotent.
///
/// Must be called on a multi-thread tokio runtime: diesel's migrations block.
pub async fn migrate(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let versions = harness.run_pending_migrations(MIGRATIONS).map_err(MigrationError)?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// The migrations that this binary carries and the database lacks. Must be called on a multi-thread tokio runtime.
pub async fn pending_migrations(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let pending = harness.pending_migrations(MIGRATIONS).map_err(MigrationError)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}
