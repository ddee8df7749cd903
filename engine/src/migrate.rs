//! `thicket migrate`, and the check of the tables that `run` makes.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use thicket_schema::postgres;
use thicket_store::postgres::{PostgresServer, connect_postgres};

use crate::config::Config;
use crate::stores;
use crate::terminal::outln;

/// How long to wait for the list of migrations.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// The arguments of `thicket migrate`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Also creates two roles, and grants to one what the engine needs, to the other what Grafana
    /// needs. Needs a user that may create roles; best a superuser.
    #[arg(long)]
    roles: bool,
}

/// Brings the tables up to date, and the roles if that is asked for.
pub(crate) async fn migrate(config: &Config, args: MigrateArgs) -> anyhow::Result<ExitCode> {
    let connection = stores::postgres(config).await?;
    let ran = postgres::migrate(connection).await?;
    if ran.is_empty() {
        outln!("the tables are up to date");
    }
    for name in ran {
        outln!("ran migration {name}");
    }
    if args.roles {
        let mut connection = stores::postgres(config).await?;
        let is_closed = postgres::grant_roles(&mut connection).await?;
        outln!("the roles thicket_engine and thicket_reader have their rights");
        if !is_closed {
            outln!(
                "thicket_reader can still take advisory locks and write large objects; run `thicket migrate --roles` as a superuser to forbid it"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
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
