//! `thicket migrate`, and the check of the tables that `run` makes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use thicket_schema::postgres::{self, MigrationWait};
use thicket_store::postgres::{PostgresServer, connect_postgres};

use crate::config::Config;
use crate::output::Format;
use crate::stores;
use crate::terminal::{errln, outln};

/// How long to wait for the list of migrations.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The arguments of `thicket migrate`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Also creates two roles, and grants to one what the engine needs, to the other what Grafana
    /// needs. Needs a user that may create roles; best a superuser.
    #[arg(long)]
    roles: bool,
    #[command(flatten)]
    format: Format,
}

/// The result of `thicket migrate`.
#[derive(Debug, Serialize)]
struct Report {
    /// The names of the migrations that ran.
    migrations: Vec<String>,
    /// `None` if no roles were asked for.
    roles: Option<RolesReport>,
}

#[derive(Debug, Serialize)]
struct RolesReport {
    /// Whether the reader is kept from advisory locks and large objects.
    reader_is_kept_from_locks: bool,
}

/// Brings the tables up to date, and the roles if that is asked for.
pub(crate) async fn migrate(config: &Config, args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let connection = stores::postgres(config).await?;
    let on_wait = |wait| match wait {
        MigrationWait::OtherMigration => {
            errln!("another process migrates this database; waiting until it ends");
        }
        MigrationWait::Locks(holders) => {
            errln!("waiting for locks on the tables, which others hold: {holders}");
        }
    };
    let migrations = postgres::migrate_and_report_wait(connection, on_wait).await?;
    let mut report = Report { migrations, roles: None };
    if args.roles {
        let mut connection = stores::postgres(config).await?;
        let reader_is_kept_from_locks = postgres::grant_roles(&mut connection).await?;
        report.roles = Some(RolesReport { reader_is_kept_from_locks });
    }
    args.format.print(&report, print_text)?;
    Ok(ExitCode::SUCCESS)
}

fn print_text(report: &Report) {
    if report.migrations.is_empty() {
        outln!("the tables are up to date");
    }
    for name in &report.migrations {
        outln!("ran migration {name}");
    }
    let Some(roles) = &report.roles else { return };
    outln!("the roles thicket_engine and thicket_reader have their rights");
    if !roles.reader_is_kept_from_locks {
        outln!(
            "thicket_reader can still take advisory locks and write large objects; run `thicket migrate --roles` as a superuser to forbid it"
        );
    }
}

/// Returns the migrations that the database lacks. diesel's migrations block, so this starts a
/// runtime of its own. Call it from `spawn_blocking`.
pub(crate) fn pending(server: &PostgresServer) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let connection = connect_postgres(server).await?;
        Ok(tokio::time::timeout(ANSWER_TIMEOUT, postgres::pending_migrations(connection)).await??)
    })
}
