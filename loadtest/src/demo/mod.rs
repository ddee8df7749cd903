//! The demo: private servers, the engine and a city of microphones, until Ctrl-C or for a given
//! time; then a comparison of every row with what was published.
//!
//! - [`options`]: what is played, and where
//! - `workspace`: the demo's directory
//! - `engine_binary`: finds the binary `thicket`
//! - `engine`: the engine as a child process
//! - `scenario`: the sounds and the scenario
//! - `run`: the replay, until its end
//! - `screen`: what the demo prints while it runs
//! - `outcome`: the comparison at the end

mod blocking;
mod engine;
mod engine_binary;
pub mod options;
mod outcome;
mod run;
mod scenario;
mod screen;
mod workspace;

pub use options::DemoOptions;

use thicket_compose::Servers;
use thicket_store::postgres::connect_postgres;
use tokio::sync::watch;

use crate::verify::Report;
use blocking::blocking;
use engine::Engine;
use screen::Screen;
use workspace::Workspace;

/// Runs the demo and returns the report of the comparison.
pub async fn demo(options: DemoOptions) -> anyhow::Result<Report> {
    let stopped = stop_at_ctrl_c();
    let program = engine_binary::find(options.engine.as_deref())?;
    let workspace = Workspace::new(options.directory.as_deref())?;
    let mut screen = Screen::new();

    screen.step("starting Redis, Mosquitto and PostgreSQL on free ports");
    let directory = workspace.path().to_owned();
    let mut servers = blocking(move || Ok(Servers::start(&directory)?)).await?;
    screen.step("creating the tables");
    let connection = connect_postgres(&servers.postgres.url()).await?;
    thicket_schema::postgres::migrate(connection).await?;
    let mut connection = connect_postgres(&servers.postgres.url()).await?;
    thicket_schema::postgres::grant_roles(&mut connection).await?;
    let password = thicket_compose::password()?;
    thicket_schema::postgres::create_engine_login(&mut connection, engine::LOGIN, &password).await?;
    screen.step("starting the engine");
    let mut engine = Engine::start(program, workspace.path(), &servers).await?;
    screen.step("making city sounds");
    let scenario = scenario::load(&options, workspace.path()).await?;
    Screen::addresses(&servers, &engine, workspace.path(), options.history);

    let stage = run::Stage { options: &options, workspace: &workspace, servers: &servers, engine: &engine };
    let outcome = run::run(&stage, scenario, stopped, &mut screen).await;
    screen.step("stopping the engine, which drains and saves its detectors, and then the servers");
    let engine_stopped = blocking(move || engine.stop()).await;
    let servers_stopped = blocking(move || Ok(servers.stop()?)).await;
    let report = outcome?;
    engine_stopped?;
    servers_stopped?;
    Ok(report)
}

/// Returns a signal that becomes true at Ctrl-C.
fn stop_at_ctrl_c() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
        // Keeps the sender alive: without it, waiting for the signal would fail at once.
        std::future::pending::<()>().await;
    });
    stopped
}
