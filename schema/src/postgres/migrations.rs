//! The migrations, embedded in the binary.

use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The error of a migration that PostgreSQL rejects, or of a database that cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("database migration failed: {0}")]
pub struct MigrationError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Runs the pending migrations and returns their names. Idempotent.
///
/// Call it on a multi-thread tokio runtime: the migrations of diesel block.
pub async fn migrate(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let versions = harness.run_pending_migrations(MIGRATIONS).map_err(MigrationError)?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// Returns the names of the migrations that the database lacks. Call it on a multi-thread tokio
/// runtime.
pub async fn pending_migrations(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let pending = harness.pending_migrations(MIGRATIONS).map_err(MigrationError)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}
