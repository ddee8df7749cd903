//! The replay of the demo: publishes until the demo is stopped, waits for the rows, and compares
//! them with what was published.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use thicket_compose::Servers;
use tokio::{sync::watch, task::JoinHandle};

use super::{
    engine::Engine, options::DemoOptions, outcome, scenario::history_frames, screen::Screen,
    workspace::Workspace,
};
use crate::{
    replay::{MaxLag, Progress, Replay, ReplayError, ReplayOptions, Summary},
    scenario::Scenario,
    verify::Report,
};

/// Readings that may be published and have no outcome yet. Without the limit the broker's queue
/// would overflow, and the latency would be that of a queue which the demo itself filled.
const MAX_LAG: u64 = 4_000;
/// How often the engine's metrics are read.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for the outcomes of the last published readings.
const SETTLE_TIMEOUT: Duration = Duration::from_mins(1);

/// What the replay runs on.
pub(super) struct Stage<'a> {
    pub(super) options: &'a DemoOptions,
    pub(super) workspace: &'a Workspace,
    pub(super) servers: &'a Servers,
    pub(super) engine: &'a Engine,
}

/// Replays until the demo is stopped, waits for the rows and compares them with the manifest.
pub(super) async fn run(
    stage: &Stage<'_>,
    scenario: Scenario,
    mut stopped: watch::Receiver<bool>,
    screen: &mut Screen,
) -> anyhow::Result<Report> {
    let manifest = stage.workspace.path().join("published.manifest");
    let done = Arc::new(AtomicU64::new(0));
    let replay_options = ReplayOptions {
        frames: history_frames(stage.options),
        manifest: Some(manifest.clone()),
        max_lag: Some(MaxLag {
            readings: MAX_LAG,
            stored: {
                let done = Arc::clone(&done);
                Arc::new(move || done.load(Ordering::Relaxed))
            },
        }),
        ..ReplayOptions::new(stage.servers.mosquitto.url_with_login().parse().map_err(anyhow::Error::msg)?)
    };
    let replay = Replay::new(Arc::new(scenario), replay_options)?;
    let progress = replay.progress();
    let (stop_replay, replay_stopped) = watch::channel(false);
    let started = Instant::now();
    let mut replaying = tokio::spawn(replay.run(replay_stopped));
    // The readings done when the history ended, and the time it took.
    let mut history = None;
    let summary = loop {
        tokio::select! {
            summary = &mut replaying => break summary?,
            _ = stopped.wait_for(|&stopped| stopped) => break end(&stop_replay, replaying).await,
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        if stage.options.duration.is_some_and(|duration| started.elapsed() >= duration) {
            break end(&stop_replay, replaying).await;
        }
        let Ok(metrics) = stage.engine.scrape().await else { continue };
        let done_now = outcome::readings_done(&metrics);
        done.store(done_now, Ordering::Relaxed);
        if history.is_none() && progress.live() {
            history = Some((done_now, started.elapsed()));
        }
        screen.progress(stage.options.sensors, &progress, &metrics);
    };
    summary.context("the replay failed")?;
    screen.step("waiting for the last rows");
    let replayed = started.elapsed();
    wait_for_outcomes(stage.engine, &progress).await;
    let metrics = stage.engine.scrape().await?;
    let (readings, elapsed) = history.unwrap_or_else(|| (outcome::readings_done(&metrics), replayed));
    screen.step("comparing every row with what was published");
    outcome::compare(&manifest, stage.servers, &metrics, readings as f64 / elapsed.as_secs_f64()).await
}

type Replaying = JoinHandle<Result<Summary, ReplayError>>;

/// Tells the replay to stop and waits for its end.
async fn end(stop: &watch::Sender<bool>, replaying: Replaying) -> Result<Summary, ReplayError> {
    stop.send_replace(true);
    match replaying.await {
        Ok(summary) => summary,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Waits until every published reading has an outcome, but no longer than [`SETTLE_TIMEOUT`].
async fn wait_for_outcomes(engine: &Engine, progress: &Progress) {
    let started = Instant::now();
    while started.elapsed() < SETTLE_TIMEOUT {
        match engine.scrape().await {
            Ok(metrics) if outcome::readings_done(&metrics) >= progress.published() => return,
            _ => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
