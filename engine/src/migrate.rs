//! `thicket migrate`, and the check of the tables that `run` makes.

use std::process::ExitCode;

use thicket_schema::postgres;
use thicket_store::postgres::{PostgresServer, connect_postgres};

use crate::config::Config;
use crate::stores;
use crate::terminal::outln;

/// Brings the tables up to date.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<ExitCode> {
    let connection = stores::postgres(config).await?;
    let ran = postgres::migrate(connection).await?;
    if ran.is_empty() {
        outln!("the tables are up to date");
    }
    for name in ran {
        outln!("ran migration {name}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the migrations that the database lacks. diesel's migrations block, so this starts a
/// runtime of its own. Call it from `spawn_blocking`.
pub(crate) fn pending(server: &PostgresServer) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let connection = connect_postgres(server).await?;
        Ok(postgres::pending_migrations(connection).await?)
    })
}
