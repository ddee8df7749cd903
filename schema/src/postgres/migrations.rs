//! The migrations, embedded in the binary.

use std::collections::BTreeSet;

use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// The roles and what each may do.
const ROLES: &str = include_str!("../../roles.sql");

/// The error of a migration that PostgreSQL rejects, or of a database that cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("database migration failed: {0}")]
pub struct MigrationError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Tries to take the lock that one process at a time holds while it changes the tables of the
/// database. It is released when the session ends. A migration may take longer than any other
/// statement, and so may the wait for the lock.
const TRY_LOCK: &str = "SELECT set_config('statement_timeout', '0', false),
            pg_try_advisory_lock(hashtext('thicket.migrations')) AS answer";
const LOCK: &str = "SELECT pg_advisory_lock(hashtext('thicket.migrations'))";

/// Runs the pending migrations and returns their names. Idempotent. If another process runs
/// migrations in this database, waits until that process ends.
///
/// Call it on a multi-thread tokio runtime: the migrations of diesel block.
pub async fn migrate(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    migrate_and_report_wait(connection, || ()).await
}

/// Like [`migrate`], but calls `on_wait` before it waits for another process.
pub async fn migrate_and_report_wait(
    mut connection: AsyncPgConnection,
    on_wait: impl FnOnce(),
) -> Result<Vec<String>, MigrationError> {
    if !is_true(&mut connection, TRY_LOCK).await? {
        on_wait();
        connection.batch_execute(LOCK).await.map_err(|error| MigrationError(error.into()))?;
    }
    let mut harness = AsyncMigrationHarness::new(connection);
    let versions = harness.run_pending_migrations(MIGRATIONS).map_err(MigrationError)?;
    Ok(versions.iter().map(ToString::to_string).collect())
}

/// Returns the names of the migrations that the database lacks. Only reads: the engine need not be
/// allowed to create tables.
pub async fn pending_migrations(mut connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let all = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(MigrationError)?;
    let wrap = |error: diesel::result::Error| MigrationError(error.into());
    let exists = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS answer";
    let ran: Vec<Version> = if is_true(&mut connection, exists).await? {
        let query = sql_query("SELECT version FROM __diesel_schema_migrations");
        query.load(&mut connection).await.map_err(wrap)?
    } else {
        Vec::new()
    };
    let ran: BTreeSet<String> = ran.into_iter().map(|row| row.version).collect();
    let is_pending = |name: &dyn diesel::migration::MigrationName| !ran.contains(&name.version().to_string());
    Ok(all
        .iter()
        .map(|migration| migration.name())
        .filter(|name| is_pending(*name))
        .map(ToString::to_string)
        .collect())
}

/// Creates the roles `thicket_engine` and `thicket_reader` if they are missing, and grants to them
/// what `roles.sql` says. Returns whether the reader is kept from locks and large objects, which
/// only a superuser can do.
pub async fn grant_roles(connection: &mut AsyncPgConnection) -> Result<bool, MigrationError> {
    // Without the lock, two processes that grant the same right at the same time fail. PostgreSQL
    // executes the batch in one transaction, whose end releases the lock.
    let batch = format!("SELECT pg_advisory_xact_lock(hashtext('thicket.roles'));\n{ROLES}");
    connection.batch_execute(&batch).await.map_err(|error| MigrationError(error.into()))?;
    let question = "SELECT NOT has_function_privilege('thicket_reader', 'pg_advisory_lock(bigint)', 'EXECUTE')
                       AND NOT has_function_privilege('thicket_reader', 'lo_creat(integer)', 'EXECUTE') AS answer";
    is_true(connection, question).await
}

/// Creates a login that is a member of `thicket_engine`, such as that of the demo. Call it after
/// [`grant_roles`]. Name and password may have ASCII letters, digits and underscores only.
pub async fn create_engine_login(
    connection: &mut AsyncPgConnection,
    name: &str,
    password: &str,
) -> Result<(), MigrationError> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !(is_plain(name) && is_plain(password)) {
        return Err(MigrationError(
            "a name or a password has other characters than letters and digits".into(),
        ));
    }
    let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE thicket_engine");
    connection.batch_execute(&statement).await.map_err(|error| MigrationError(error.into()))
}

async fn is_true(connection: &mut AsyncPgConnection, question: &str) -> Result<bool, MigrationError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        answer: bool,
    }
    let row: Result<Row, _> = sql_query(question).get_result(connection).await;
    row.map(|row| row.answer).map_err(|error| MigrationError(error.into()))
}
