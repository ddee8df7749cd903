//! The actor that owns one connection to PostgreSQL and commits batches over it, in order.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, Supervised,
    WrapFuture as _,
};
use chrono::Utc;
use diesel::result::Error as DatabaseError;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use thicket_protocol::commit::CommitDecision;
use thicket_schema::PartitionId;
use thicket_store::postgres::{
    Applied, CommitBatch, Known, QuarantineEntry, QuarantineReason, Unstorable, apply, connect_postgres,
    day_of, ensure_days, find_unstorable, is_missing_day, quarantine,
};
use thicket_store::retry::Backoff;
use tokio::sync::oneshot;

use crate::messages::{Commit, CommitOutcome, Drain};
use crate::metrics::Metrics;
use crate::supervision::release;

/// How long PostgreSQL waits for the next statement of a transaction. Shorter than a lease by default.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// Day tables that are created before their day begins.
const DAYS_AHEAD: i32 = 2;

/// The settings of a writer.
#[derive(Clone, Debug)]
pub struct PostgresWriterOptions {
    /// URL of the database.
    pub url: String,
    /// Most rows of one transaction.
    pub max_rows: usize,
}

/// Commits batches. Batches that wait are merged into one transaction, so that a slow disk makes larger
/// transactions instead of a longer queue.
pub struct PostgresWriter {
    options: PostgresWriterOptions,
    metrics: Metrics,
    state: State,
}

/// Lost in a restart. Shards whose replies are dropped reopen their partitions.
#[derive(Default)]
struct State {
    waiting: VecDeque<Commit>,
    busy: bool,
    session: Option<Session>,
    drained: Vec<oneshot::Sender<()>>,
}

/// A connection, and what is known about its database.
#[derive(Default)]
struct Session {
    connection: Option<AsyncPgConnection>,
    days: BTreeSet<i32>,
    known: Known,
}

impl PostgresWriter {
    /// Creates a writer that connects for its first batch.
    pub fn new(options: PostgresWriterOptions, metrics: Metrics) -> Self {
        Self { options, metrics, state: State::default() }
    }

    fn work(&mut self, context: &mut Context<Self>) {
        let mut rows = 0;
        let mut commits = Vec::new();
        while let Some(next) = self.state.waiting.front() {
            rows += next.batch.rows.len() + next.batch.late.len();
            if rows > self.options.max_rows && !commits.is_empty() {
                break;
            }
            commits.extend(self.state.waiting.pop_front());
        }
        if commits.is_empty() {
            release(self.state.drained.drain(..));
            return;
        }
        self.state.busy = true;
        let session = self.state.session.take().unwrap_or_default();
        let task = commit(session, self.options.url.clone(), self.metrics.clone(), commits);
        context.spawn(task.into_actor(self).map(|session, this, context| {
            this.state.session = Some(session);
            this.state.busy = false;
            this.work(context);
        }));
    }
}

impl Actor for PostgresWriter {
    type Context = Context<Self>;
}

impl Supervised for PostgresWriter {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.state = State::default();
    }
}

impl Handler<Commit> for PostgresWriter {
    type Result = ();

    fn handle(&mut self, commit: Commit, context: &mut Context<Self>) {
        self.state.waiting.push_back(commit);
        if !self.state.busy {
            self.work(context);
        }
    }
}

impl Handler<Drain> for PostgresWriter {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        if self.state.busy {
            self.state.drained.push(sender);
        }
        Box::pin(receiver.into_actor(self).map(|_, _, _| ()))
    }
}

/// Commits batches. Returns once the outcome of every batch is known.
async fn commit(mut session: Session, url: String, metrics: Metrics, mut commits: Vec<Commit>) -> Session {
    let mut backoff = Backoff::default();
    let applied = loop {
        let started = Instant::now();
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        match session.try_apply(&url, &batches).await {
            Ok(applied) => {
                metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                break applied;
            }
            Err(error) => {
                tracing::warn!(%error, "postgresql does not accept the rows; they wait in the log");
                let withdrawn = session.quarantine_unstorable(&error, &batches).await;
                if !withdrawn.is_empty() {
                    commits = withdraw(commits, &withdrawn);
                    continue;
                }
                session = Session::default();
                backoff.wait().await;
            }
        }
    };
    let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
    report(&metrics, &batches, &applied);
    session.known.sensors.extend(applied.known.sensors);
    session.known.configs.extend(applied.known.configs);
    for (commit, decision) in commits.into_iter().zip(applied.decisions) {
        let outcome = match decision {
            CommitDecision::Apply | CommitDecision::AlreadyApplied => CommitOutcome::Committed,
            CommitDecision::Fenced => CommitOutcome::Fenced,
        };
        // The shard may be gone; the batch is durable all the same.
        let _ = commit.reply.send(outcome);
    }
    session
}

/// Returns the batches of partitions that are to be reopened to their shards. The other batches remain.
fn withdraw(commits: Vec<Commit>, partitions: &BTreeSet<PartitionId>) -> Vec<Commit> {
    let (withdrawn, rest): (Vec<Commit>, Vec<Commit>) =
        commits.into_iter().partition(|commit| partitions.contains(&commit.batch.partition));
    for commit in withdrawn {
        // The shard may be gone; the next owner of the partition finds the quarantine.
        let _ = commit.reply.send(CommitOutcome::Withdrawn);
    }
    rest
}

impl Session {
    /// Finds the rows that made PostgreSQL reject the batches, quarantines them, and returns their partitions.
    async fn quarantine_unstorable(
        &mut self,
        error: &WriteError,
        batches: &[&CommitBatch],
    ) -> BTreeSet<PartitionId> {
        let mut partitions = BTreeSet::new();
        let (WriteError::Database(error @ DatabaseError::DatabaseError(..)), Some(connection)) =
            (error, self.connection.as_mut())
        else {
            return partitions;
        };
        // Retention has dropped a day table that this session knew. A new session creates it again.
        if is_missing_day(error) {
            return partitions;
        }
        let Ok(found) = find_unstorable(connection, batches).await else { return partitions };
        for unstorable in found {
            let Some(entry) = quarantine_entry(batches[unstorable.batch], unstorable) else { continue };
            tracing::error!(sensor = %entry.sensor, ts = %entry.ts, position = %entry.position, reason = entry.detail, "postgresql rejects a reading; it becomes a dead letter");
            // Another epoch refuses the entry: the partition is reopened all the same.
            match quarantine(connection, &entry).await {
                Ok(_) => drop(partitions.insert(entry.partition)),
                Err(error) => tracing::warn!(%error, "the reading is not quarantined yet"),
            }
        }
        partitions
    }

    async fn try_apply(&mut self, url: &str, batches: &[&CommitBatch]) -> Result<Applied, WriteError> {
        if self.connection.is_none() {
            self.connection = Some(connect_to_write(url).await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(Applied::default()) };
        let days = batches.iter().flat_map(|batch| {
            let rows = batch.rows.iter().map(|logged| logged.row.ts);
            rows.chain(batch.late.iter().map(|late| late.reading.ts)).map(day_of)
        });
        let mut missing: BTreeSet<i32> = days.filter(|day| !self.days.contains(day)).collect();
        if let Some(&newest) = missing.last() {
            missing.extend(newest + 1..=newest + DAYS_AHEAD);
            let missing: Vec<i32> = missing.into_iter().collect();
            ensure_days(connection, &missing).await?;
            self.days.extend(missing);
        }
        Ok(apply(connection, batches, &self.known).await?)
    }
}

/// The quarantine of a row that cannot be stored.
fn quarantine_entry(batch: &CommitBatch, unstorable: Unstorable) -> Option<QuarantineEntry> {
    let Unstorable { row, detail, .. } = unstorable;
    let sensor = batch.sensors.iter().map(|seen| &seen.sensor).find(|name| name.id().0 == row.row.sensor)?;
    Some(QuarantineEntry {
        partition: batch.partition,
        epoch: batch.epoch,
        position: row.position,
        reason: QuarantineReason::Unstorable,
        sensor: sensor.clone(),
        ts: row.row.ts,
        detail,
    })
}

/// Connects with a timeout for idle transactions: the locks of a node that is frozen must not keep every other node
/// from its partitions.
async fn connect_to_write(url: &str) -> Result<AsyncPgConnection, WriteError> {
    let mut connection = connect_postgres(url).await?;
    let timeout = format!("SET idle_in_transaction_session_timeout = {}", IDLE_IN_TRANSACTION.as_millis());
    connection.batch_execute(&timeout).await?;
    Ok(connection)
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}")]
    Database(#[from] diesel::result::Error),
}

fn report(metrics: &Metrics, batches: &[&CommitBatch], applied: &Applied) {
    metrics.commits.inc();
    if applied.conflicts > 0 {
        let rows = applied.conflicts;
        tracing::error!(rows, "scored rows were stored before: a detector's past and the table disagree");
        metrics.commit_conflicts.inc_by(rows as u64);
    }
    let ledger = &applied.ledger;
    metrics.readings_stored.inc_by(ledger.scored.cast_unsigned());
    metrics.readings_poison.inc_by(ledger.poison.cast_unsigned());
    metrics.readings_late.inc_by(ledger.late.cast_unsigned());
    metrics.readings_duplicate.inc_by(ledger.duplicates.cast_unsigned());
    for reason in &applied.dead_letters {
        metrics.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }
    let now_micros = Utc::now().timestamp_micros();
    for (batch, decision) in batches.iter().zip(&applied.decisions) {
        match decision {
            CommitDecision::Apply => {
                for received in &batch.received {
                    metrics.latency_seconds.observe((now_micros - received) as f64 / 1e6);
                }
            }
            CommitDecision::AlreadyApplied => {}
            CommitDecision::Fenced => {
                tracing::warn!(partition = %batch.partition, epoch = batch.epoch, "commit refused: the partition has another owner");
                metrics.fenced.inc();
            }
        }
    }
}
