//! `thicket demo`: private servers, the engine and a city of microphones, until Ctrl-C or for a while; then a reckoning.

#![allow(
    clippy::doc_markdown,
    reason = "the doc comments of arguments are help texts, in which backticks would show"
)]

mod engine;
mod outcome;
mod screen;
mod stage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use thicket_compose::Servers;
use thicket_loadtest::replay::{MaxLag, Progress, Replay, ReplayError, ReplayOptions, Summary};
use thicket_loadtest::scenario::Scenario;
use thicket_loadtest::verify::Report;
use tokio::sync::watch;

use engine::Engine;
use screen::Screen;

/// Readings between publisher and database. The broker queues what the engine has not taken yet, and then drops; and a
/// latency is worth showing only if it is not that of a queue the demo made itself.
const MAX_LAG: u64 = 4_000;
const POLL: Duration = Duration::from_millis(50);
/// How long the readings that were published may take to become rows after the last of them.
const SETTLE: Duration = Duration::from_mins(1);

/// What the demo plays.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// End after this long, such as 60s. Without it, the demo goes on until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime_serde::re::humantime::parse_duration)]
    duration: Option<Duration>,
    /// Number of microphones.
    #[arg(long, default_value_t = 50)]
    sensors: u32,
    /// Everything random derives from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much of the past is replayed before the present begins.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = humantime_serde::re::humantime::parse_duration)]
    history: Duration,
    /// A folder in UrbanSound8K's layout. Without it, a synthetic data set is made.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to keep servers' data and logs. Without it, a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Plays the demo and prints, last of all, one JSON object on standard output.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
        std::future::pending::<()>().await;
    });
    let place = Place::new(args.directory.as_deref())?;
    let mut screen = Screen::new();

    screen.step("starting Redis, Mosquitto and PostgreSQL on free ports");
    let directory = place.path().to_owned();
    let mut servers = blocking(move || Ok(Servers::start(&directory)?)).await?;
    screen.step("creating the tables");
    let connection = thicket_actors::writer::connect_postgres(&servers.postgres.url()).await?;
    thicket_schema::postgres::migrate(connection).await?;
    screen.step("starting the engine");
    let mut engine = Engine::start(place.path(), &servers).await?;
    screen.step("making city sounds");
    let scenario = stage::scenario(&args, place.path()).await?;
    Screen::where_to_look(&servers, &engine, place.path());

    let played = play(&args, &place, &servers, &engine, scenario, stopped, &mut screen).await;
    screen.step("stopping the engine, which drains and saves its detectors, and then the servers");
    let engine_stopped = blocking(move || engine.stop()).await;
    let servers_stopped = blocking(move || Ok(servers.stop()?)).await;
    let report = played?;
    engine_stopped?;
    servers_stopped?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(if report.lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replays until it is told to stop, waits for the rows and compares them with what was published.
async fn play(
    args: &DemoArgs,
    place: &Place,
    servers: &Servers,
    engine: &Engine,
    scenario: Scenario,
    mut stopped: watch::Receiver<bool>,
    screen: &mut Screen,
) -> anyhow::Result<Report> {
    let ledger = place.path().join("published.ledger");
    let stored = Arc::new(AtomicU64::new(0));
    let options = ReplayOptions {
        frames: stage::frames(args),
        ledger: Some(ledger.clone()),
        max_lag: Some(MaxLag {
            readings: MAX_LAG,
            stored: {
                let stored = Arc::clone(&stored);
                Arc::new(move || stored.load(Ordering::Relaxed))
            },
        }),
        ..ReplayOptions::new(servers.mosquitto.url().parse().map_err(anyhow::Error::msg)?)
    };
    let replay = Replay::new(Arc::new(scenario), options)?;
    let progress = replay.progress();
    let (stop_replay, replay_stopped) = watch::channel(false);
    let started = Instant::now();
    let mut replaying = tokio::spawn(replay.run(replay_stopped));
    let mut shown = Instant::now();
    let mut history_done = None;
    let summary = loop {
        tokio::select! {
            summary = &mut replaying => break summary?,
            _ = stopped.wait_for(|&stopped| stopped) => break end(&stop_replay, replaying).await,
            () = tokio::time::sleep(POLL) => {}
        }
        if args.duration.is_some_and(|duration| started.elapsed() >= duration) {
            break end(&stop_replay, replaying).await;
        }
        let Ok(samples) = engine.scrape().await else { continue };
        stored.store(outcome::dealt_with(&samples), Ordering::Relaxed);
        if history_done.is_none() && progress.live() {
            history_done = Some((outcome::dealt_with(&samples), started.elapsed()));
        }
        if shown.elapsed() >= screen::INTERVAL {
            shown = Instant::now();
            screen.progress(args.sensors, &progress, &samples);
        }
    };
    summary.context("the replay failed")?;
    screen.step("waiting for the last rows");
    let replayed = started.elapsed();
    wait_for_rows(engine, &progress).await;
    let samples = engine.scrape().await?;
    let (readings, elapsed) = history_done.unwrap_or((outcome::dealt_with(&samples), replayed));
    screen.step("comparing every row with what was published");
    outcome::reckon(&ledger, servers, &samples, readings as f64 / elapsed.as_secs_f64()).await
}

type Replaying = tokio::task::JoinHandle<Result<Summary, ReplayError>>;

/// Ends the replay and waits until it has.
async fn end(stop: &watch::Sender<bool>, replaying: Replaying) -> Result<Summary, ReplayError> {
    stop.send_replace(true);
    match replaying.await {
        Ok(summary) => summary,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Waits until everything that was published has an outcome, or for as long as that may take.
async fn wait_for_rows(engine: &Engine, progress: &Progress) {
    let started = Instant::now();
    while started.elapsed() < SETTLE {
        match engine.scrape().await {
            Ok(samples) if outcome::dealt_with(&samples) >= progress.published() => return,
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Where the demo keeps its data.
enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Place {
    fn new(directory: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(directory) = directory {
            let empty = std::fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none());
            anyhow::ensure!(empty, "{} is not empty; name a new directory", directory.display());
            std::fs::create_dir_all(directory)
                .with_context(|| format!("{} cannot be created", directory.display()))?;
            return Ok(Self::Kept(directory.to_owned()));
        }
        let directory = tempfile::TempDir::with_prefix("thicket-demo-")?;
        // PostgreSQL may run as a user of its own, who must get through.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open)?;
        Ok(Self::Temporary(directory))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}
