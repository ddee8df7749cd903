//! The migrations, embedded in the binary.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::lock_holders::lock_holders;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// The roles and what each may do.
const ROLES: &str = include_str!("../../roles.sql");

/// How long a migration waits for a lock. All commits that need the table wait behind it meanwhile.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// Lets the commits through that have waited behind the migration.
const PAUSE: &str = "SELECT pg_sleep(5)";
/// How many times in a row other sessions may keep a migration from its locks. About four minutes.
const ATTEMPTS: u32 = 30;

/// The error of the migrations.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// PostgreSQL rejects a statement, or cannot be reached.
    #[error("database migration failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// PostgreSQL rejects a statement, again and again, while other sessions hold locks on the tables.
    #[error(
        "database migration failed: {error}; other sessions hold locks on the tables: {holders}; if that is the cause, wait until they end, or end them with `SELECT pg_terminate_backend(PID)`, and run the migration again"
    )]
    Locked {
        /// The last error.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
        /// The other sessions, in words.
        holders: String,
    },
}

/// What a migration waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationWait {
    /// Another process that migrates this database.
    OtherMigration,
    /// Sessions that hold locks on the tables, in words.
    Locks(String),
}

/// Tries to take the lock that one process at a time holds while it changes the tables of the
/// database. It is released when the session ends. A migration may take longer than any other
/// statement, and so may the wait for the lock.
const TRY_LOCK: &str = "SELECT set_config('statement_timeout', '0', false),
            pg_try_advisory_lock(hashtext('thicket.migrations')) AS answer";
const LOCK: &str = "SELECT pg_advisory_lock(hashtext('thicket.migrations'))";

/// Runs the pending migrations and returns their names. Idempotent. If another process runs
/// migrations in this database, waits until that process ends. If another session holds a lock on a
/// table, tries for about four minutes.
///
/// Call it on a multi-thread tokio runtime: the migrations of diesel block.
pub async fn migrate(connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    migrate_and_report_wait(connection, |_| ()).await
}

/// Like [`migrate`], but calls `on_wait` before it waits for something else than before.
pub async fn migrate_and_report_wait(
    mut connection: AsyncPgConnection,
    mut on_wait: impl FnMut(MigrationWait),
) -> Result<Vec<String>, MigrationError> {
    if !is_true(&mut connection, TRY_LOCK).await? {
        on_wait(MigrationWait::OtherMigration);
        execute(&mut connection, LOCK).await?;
    }
    let set_lock_timeout = format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    execute(&mut connection, &set_lock_timeout).await?;
    let (mut names, mut attempt, mut reported) = (Vec::new(), 1, String::new());
    loop {
        let began = Instant::now();
        let mut harness = AsyncMigrationHarness::new(connection);
        let done = run_pending(&mut harness, &mut names);
        connection = harness.into_inner();
        let Err(error) = done else { return Ok(names) };
        // diesel hides the SQLSTATE, and the message may be in any language. A failure that comes
        // sooner, or while nobody holds a lock for as long, has another cause.
        let holders = match began.elapsed() {
            elapsed if elapsed < LOCK_TIMEOUT => None,
            _ => lock_holders(&mut connection, LOCK_TIMEOUT).await.ok().flatten(),
        };
        let Some(holders) = holders else { return Err(MigrationError::Failed(error)) };
        if attempt == ATTEMPTS {
            return Err(MigrationError::Locked { error, holders });
        }
        if holders != reported {
            on_wait(MigrationWait::Locks(holders.clone()));
            reported = holders;
        }
        attempt += 1;
        execute(&mut connection, PAUSE).await?;
    }
}

/// Runs the pending migrations, and adds the name of each that is done.
fn run_pending(
    harness: &mut AsyncMigrationHarness<AsyncPgConnection>,
    names: &mut Vec<String>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    for migration in harness.pending_migrations(MIGRATIONS)? {
        names.push(harness.run_migration(&migration)?.to_string());
    }
    Ok(())
}

async fn execute(connection: &mut AsyncPgConnection, statements: &str) -> Result<(), MigrationError> {
    connection.batch_execute(statements).await.map_err(failed)
}

fn failed(error: diesel::result::Error) -> MigrationError {
    MigrationError::Failed(error.into())
}

/// Returns the names of the migrations that the database lacks. Only reads: the engine need not be
/// allowed to create tables.
pub async fn pending_migrations(mut connection: AsyncPgConnection) -> Result<Vec<String>, MigrationError> {
    #[derive(QueryableByName)]
    struct Version {
        #[diesel(sql_type = Text)]
        version: String,
    }
    let all = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(MigrationError::Failed)?;
    let exists = "SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS answer";
    let ran: Vec<Version> = if is_true(&mut connection, exists).await? {
        let query = sql_query("SELECT version FROM __diesel_schema_migrations");
        query.load(&mut connection).await.map_err(failed)?
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
    execute(connection, &batch).await?;
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
        return Err(MigrationError::Failed(
            "a name or a password has other characters than letters and digits".into(),
        ));
    }
    let statement = format!("CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE thicket_engine");
    execute(connection, &statement).await
}

async fn is_true(connection: &mut AsyncPgConnection, question: &str) -> Result<bool, MigrationError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        answer: bool,
    }
    let row: Result<Row, _> = sql_query(question).get_result(connection).await;
    row.map(|row| row.answer).map_err(failed)
}
