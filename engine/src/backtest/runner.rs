//! Runs a backtest: threads that take sensors from one list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use thicket_actors::detector::DetectorConfigs;
use thicket_schema::SensorId;
use thicket_store::postgres::{
    AppliedLabel, PostgresConnection, PostgresServer, anomalies_between, connect_postgres,
    load_applied_labels,
};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::alarm::Alarm;
use super::compare::Span;
use super::csv;
use super::plan::{Job, Origin, Range};
use super::progress::{Done, INTERVAL, Progress};
use super::scorer::{Scored, Scorer};
use super::scores_csv::{Lines, ScoresFile};
use super::source::Source;

/// What all threads share.
pub(super) struct Backtest {
    pub(super) jobs: Vec<Job>,
    pub(super) configs: DetectorConfigs,
    pub(super) range: Range,
    pub(super) postgres: PostgresServer,
    pub(super) out: Option<ScoresFile>,
}

/// The outcome of one sensor.
pub(super) struct SensorOutcome {
    pub(super) sensor: String,
    pub(super) scored: Scored,
    /// The stored alarms; `None` for a file.
    pub(super) stored: Option<Vec<Alarm>>,
}

/// The state of the run, which all threads update.
#[derive(Default)]
struct RunState {
    next: AtomicUsize,
    stopped: AtomicBool,
    done: Done,
}

/// Scores all sensors. Returns the outcomes, ordered by the sensors' names.
pub(super) async fn run(backtest: Backtest, threads: usize) -> anyhow::Result<Vec<SensorOutcome>> {
    let mut progress =
        Progress::new(backtest.jobs.len() as u64, backtest.jobs.iter().map(|job| job.readings).sum());
    let (backtest, state) = (Arc::new(backtest), Arc::new(RunState::default()));
    let mut workers = JoinSet::new();
    for _ in 0..threads.min(backtest.jobs.len()).max(1) {
        let (backtest, state, runtime) = (Arc::clone(&backtest), Arc::clone(&state), Handle::current());
        workers.spawn_blocking(move || {
            let outcomes = runtime.block_on(score_next_sensors(&backtest, &state));
            if outcomes.is_err() {
                state.stopped.store(true, Ordering::Relaxed);
            }
            outcomes
        });
    }
    let mut finished = Vec::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    // Also after an error, all threads end before the file of the scores is removed.
    loop {
        tokio::select! {
            outcomes = workers.join_next() => match outcomes {
                Some(outcomes) => finished.push(outcomes.context("a thread of the backtest panicked")),
                None => break,
            },
            _ = ticks.tick() => progress.show(&state.done),
        }
    }
    let mut outcomes = Vec::new();
    for of_thread in finished {
        outcomes.extend(of_thread??);
    }
    progress.finish(&state.done);
    if let Some(out) = &backtest.out {
        out.finish()?;
    }
    outcomes.sort_by(|a, b| a.sensor.cmp(&b.sensor));
    Ok(outcomes)
}

/// Scores one sensor after the other until none is left.
async fn score_next_sensors(backtest: &Backtest, state: &RunState) -> anyhow::Result<Vec<SensorOutcome>> {
    let needs_rows = backtest.jobs.iter().any(|job| matches!(job.origin, Origin::Table(_)));
    let mut postgres = None;
    if needs_rows {
        postgres = Some(connect_postgres(&backtest.postgres).await.context("postgresql does not answer")?);
    }
    let mut outcomes = Vec::new();
    while !state.stopped.load(Ordering::Relaxed) {
        let Some(job) = backtest.jobs.get(state.next.fetch_add(1, Ordering::Relaxed)) else { break };
        let outcome = score(backtest, job, &mut postgres, state).await;
        let outcome = outcome.with_context(|| format!("sensor {}", job.sensor))?;
        let Some(outcome) = outcome else { break };
        outcomes.push(outcome);
        state.done.sensors.fetch_add(1, Ordering::Relaxed);
    }
    Ok(outcomes)
}

/// Scores one sensor. Returns `None` if another thread has failed meanwhile.
async fn score(
    backtest: &Backtest,
    job: &Job,
    postgres: &mut Option<PostgresConnection>,
    state: &RunState,
) -> anyhow::Result<Option<SensorOutcome>> {
    let range = &backtest.range;
    let (stored, labels) = match (&job.origin, postgres.as_mut()) {
        (Origin::Table(id), Some(postgres)) => {
            let labels = load_applied_labels(postgres, SensorId(*id)).await?;
            // Labels of anomalies before the range count in the readings that warm up.
            let first = labels.iter().map(|applied| applied.started).min().unwrap_or(range.start());
            let known =
                anomalies_between(postgres, SensorId(*id), first.min(range.start()), range.to).await?;
            let known: Vec<Alarm> = known.into_iter().map(Alarm::from).collect();
            let labels = with_spans(labels, &known);
            let is_reported = |alarm: &Alarm| alarm.span().to >= range.start().0;
            (Some(known.into_iter().filter(is_reported).collect()), labels)
        }
        _ => (None, Vec::new()),
    };
    let config = backtest.configs.of(&job.first_name);
    let mut scorer = Scorer::new(job.first_name.as_str(), &config.config, range.start(), labels);
    let mut source = Source::open(job, range, postgres.as_mut()).await?;
    let mut lines = Lines::default();
    while let Some(page) = source.page().await? {
        if state.stopped.load(Ordering::Relaxed) {
            return Ok(None);
        }
        scorer.feed(&page, |reading, detection| {
            if backtest.out.is_some() {
                lines.push(&job.sensor, reading, detection);
            }
        });
        if let Some(out) = &backtest.out {
            out.append(&mut lines)?;
        }
        state.done.readings.fetch_add(page.len() as u64, Ordering::Relaxed);
    }
    let scored = scorer.finish();
    if let Origin::File(path) = &job.origin {
        csv::check_order(path, &scored.counts)?;
    }
    Ok(Some(SensorOutcome { sensor: job.sensor.as_str().to_owned(), scored, stored }))
}

/// Adds to each label the span of the stored anomaly, or its start alone if it is not stored.
fn with_spans(labels: Vec<AppliedLabel>, stored: &[Alarm]) -> Vec<(AppliedLabel, Span)> {
    let with_span = |applied: AppliedLabel| {
        let alarm = stored.iter().find(|alarm| alarm.started == applied.started);
        let start = Span { from: applied.started.0, to: applied.started.0 };
        (applied, alarm.map_or(start, Alarm::span))
    };
    labels.into_iter().map(with_span).collect()
}
