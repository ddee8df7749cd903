//! A thread for each core, which pull sensors from one list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use diesel_async::AsyncPgConnection;
use thicket_actors::detector::DetectorConfigs;
use thicket_schema::SensorId;
use thicket_store::postgres::{anomalies_between, connect_postgres};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::alarm::Alarm;
use super::out::{Lines, ScoresFile};
use super::plan::{Job, Origin, Range};
use super::progress::{Done, INTERVAL, Progress};
use super::scorer::{Scored, Scorer};
use super::source::Source;

/// What all threads share.
pub(super) struct Work {
    pub(super) jobs: Vec<Job>,
    pub(super) configs: DetectorConfigs,
    pub(super) range: Range,
    pub(super) postgres: String,
    pub(super) out: Option<ScoresFile>,
}

/// One sensor's outcome.
pub(super) struct Outcome {
    pub(super) sensor: String,
    pub(super) scored: Scored,
    /// The alarms that are stored; nothing of a file.
    pub(super) stored: Option<Vec<Alarm>>,
}

#[derive(Default)]
struct Board {
    next: AtomicUsize,
    stopped: AtomicBool,
    done: Done,
}

/// Scores all sensors; the outcomes in order of their names.
pub(super) async fn run(work: Work, threads: usize) -> anyhow::Result<Vec<Outcome>> {
    let mut progress = Progress::new(work.jobs.len() as u64, work.jobs.iter().map(|job| job.readings).sum());
    let (work, board) = (Arc::new(work), Arc::new(Board::default()));
    let mut workers = JoinSet::new();
    for _ in 0..threads.min(work.jobs.len()).max(1) {
        let (work, board, runtime) = (Arc::clone(&work), Arc::clone(&board), Handle::current());
        workers.spawn_blocking(move || {
            let outcomes = runtime.block_on(pull(&work, &board));
            if outcomes.is_err() {
                board.stopped.store(true, Ordering::Relaxed);
            }
            outcomes
        });
    }
    let mut outcomes = Vec::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            finished = workers.join_next() => match finished {
                Some(finished) => outcomes.extend(finished.context("a thread of the backtest panicked")??),
                None => break,
            },
            _ = ticks.tick() => progress.show(&board.done),
        }
    }
    progress.finish(&board.done);
    if let Some(out) = &work.out {
        out.finish()?;
    }
    outcomes.sort_by(|a, b| a.sensor.cmp(&b.sensor));
    Ok(outcomes)
}

/// Scores one sensor after the other for as long as there are any.
async fn pull(work: &Work, board: &Board) -> anyhow::Result<Vec<Outcome>> {
    let needs_rows = work.jobs.iter().any(|job| matches!(job.origin, Origin::Table(_)));
    let mut postgres = None;
    if needs_rows {
        postgres = Some(connect_postgres(&work.postgres).await.context("postgresql does not answer")?);
    }
    let mut outcomes = Vec::new();
    while !board.stopped.load(Ordering::Relaxed) {
        let Some(job) = work.jobs.get(board.next.fetch_add(1, Ordering::Relaxed)) else { break };
        let outcome = score(work, job, &mut postgres, &board.done).await;
        outcomes.push(outcome.with_context(|| format!("sensor {}", job.sensor))?);
        board.done.sensors.fetch_add(1, Ordering::Relaxed);
    }
    Ok(outcomes)
}

async fn score(
    work: &Work,
    job: &Job,
    postgres: &mut Option<AsyncPgConnection>,
    done: &Done,
) -> anyhow::Result<Outcome> {
    let range = &work.range;
    let stored = match (&job.origin, postgres.as_mut()) {
        (Origin::Table(id), Some(postgres)) => {
            let stored = anomalies_between(postgres, SensorId(*id), range.start(), range.to).await?;
            Some(stored.into_iter().map(Alarm::from).collect())
        }
        _ => None,
    };
    let config = work.configs.of(&job.sensor);
    let mut scorer = Scorer::new(job.sensor.as_str(), &config.config, range.start());
    let mut source = Source::open(job, range, postgres.as_mut()).await?;
    let mut lines = Lines::default();
    while let Some(page) = source.page().await? {
        scorer.feed(&page, |reading, detection| {
            if work.out.is_some() {
                lines.push(&job.sensor, reading, detection);
            }
        });
        if let Some(out) = &work.out {
            out.append(&mut lines)?;
        }
        done.readings.fetch_add(page.len() as u64, Ordering::Relaxed);
    }
    Ok(Outcome { sensor: job.sensor.as_str().to_owned(), scored: scorer.finish(), stored })
}
