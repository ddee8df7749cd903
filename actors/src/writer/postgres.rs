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
use thicket_schema::{PartitionId, Timestamp};
use tokio::sync::oneshot;

use super::batch::CommitBatch;
use super::bisect::{Unstorable, find_unstorable, rows_of};
use super::connection::connect_postgres;
use super::transaction::{Applied, Known, apply};
use super::{POSTGRES_EPOCH_MICROS, offered, rows};
use crate::messages::{Commit, CommitOutcome, Drain};
use crate::metrics::Metrics;
use thicket_store::postgres::{QuarantineEntry, QuarantineReason, decide};
use thicket_protocol::commit::Standing;
use crate::supervision::release;

const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// How long PostgreSQL waits for the next statement of a transaction; less than a lease by default.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// Day tables that are made before the day begins.
const DAYS_AHEAD: i32 = 2;

/// How rows are written.
#[derive(Clone, Debug)]
pub struct PostgresWriterOptions {
    /// Where the database is.
    pub url: String,
    /// Most rows of one transaction.
    pub max_rows: usize,
}

/// Commits batches. What waits in the mailbox is merged into one transaction, so that a slow disk makes larger
/// transactions, not a longer queue.
pub struct PostgresWriter {
    options: PostgresWriterOptions,
    metrics: Metrics,
    state: State,
}

/// What a restart throws away. Shards whose replies are dropped reopen their partitions.
#[derive(Default)]
struct State {
    waiting: VecDeque<Commit>,
    busy: bool,
    session: Option<Session>,
    drained: Vec<oneshot::Sender<()>>,
}

/// A connection and what is known to hold on its database.
#[derive(Default)]
struct Session {
    connection: Option<AsyncPgConnection>,
    days: BTreeSet<i32>,
    known: Known,
}

impl PostgresWriter {
    /// A writer that connects when the first batch comes.
    pub fn new(options: PostgresWriterOptions, metrics: Metrics) -> Self {
        Self { options, metrics, state: State::default() }
    }

    fn work(&mut self, context: &mut Context<Self>) {
        let mut rows = 0;
        let mut commits = Vec::new();
        while let Some(next) = self.state.waiting.front() {
            rows += next.batch.rows.len() + next.batch.offered.len();
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

/// Commits until the database has said what became of every batch.
async fn commit(mut session: Session, url: String, metrics: Metrics, mut commits: Vec<Commit>) -> Session {
    let mut pause = RETRY_MIN;
    let applied = loop {
        let started = Instant::now();
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        match session.try_apply(&url, &batches).await {
            Ok(applied) => {
                metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                break applied;
            }
            Err(error) => {
                tracing::warn!(%error, "postgresql does not take the rows; they wait in the log");
                let withdrawn = session.judge_refusal(&error, &batches).await;
                if !withdrawn.is_empty() {
                    commits = withdraw(commits, &withdrawn);
                    continue;
                }
                session = Session::default();
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    };
    let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
    report(&metrics, &batches, &applied);
    session.known.sensors.extend(applied.known.sensors);
    session.known.configs.extend(applied.known.configs);
    for (commit, standing) in commits.into_iter().zip(applied.standings) {
        let outcome = match standing {
            Standing::Next | Standing::Done => CommitOutcome::Committed,
            Standing::Fenced => CommitOutcome::Fenced,
        };
        // The shard may be gone; the batch is durable all the same.
        let _ = commit.reply.send(outcome);
    }
    session
}

/// Hands back the batches of partitions that are to be reopened; the others remain.
fn withdraw(commits: Vec<Commit>, partitions: &BTreeSet<PartitionId>) -> Vec<Commit> {
    let (withdrawn, rest): (Vec<Commit>, Vec<Commit>) =
        commits.into_iter().partition(|commit| partitions.contains(&commit.batch.partition));
    for commit in withdrawn {
        // The shard may be gone; whoever has the partition next finds the verdict.
        let _ = commit.reply.send(CommitOutcome::Withdrawn);
    }
    rest
}

impl Session {
    /// Finds out whether readings are the reason for a refusal, makes the verdicts on them durable, and returns their partitions.
    async fn judge_refusal(&mut self, error: &WriteError, batches: &[&CommitBatch]) -> BTreeSet<PartitionId> {
        let mut partitions = BTreeSet::new();
        let (WriteError::Database(DatabaseError::DatabaseError(..)), Some(connection)) =
            (error, self.connection.as_mut())
        else {
            return partitions;
        };
        if error.is_missing_day() {
            return partitions;
        }
        let Ok(found) = find_unstorable(connection, batches).await else { return partitions };
        for unstorable in found {
            let Some(decision) = decision(batches[unstorable.batch], unstorable) else { continue };
            tracing::error!(sensor = %decision.sensor, ts = %decision.ts, place = %decision.place, why = decision.detail, "a reading cannot be stored; it becomes a dead letter");
            // A verdict that somebody else's epoch refuses leads to the same: the partition is reopened.
            match decide(connection, &decision).await {
                Ok(_) => drop(partitions.insert(decision.partition)),
                Err(error) => tracing::warn!(%error, "the verdict on a reading is not durable yet"),
            }
        }
        partitions
    }

    async fn try_apply(&mut self, url: &str, batches: &[&CommitBatch]) -> Result<Applied, WriteError> {
        if self.connection.is_none() {
            self.connection = Some(connect_to_write(url).await?);
        }
        let Some(connection) = self.connection.as_mut() else { return Ok(Applied::default()) };
        let days = batches
            .iter()
            .flat_map(|batch| rows::days_of(&batch.rows).chain(offered::days_of(&batch.offered)));
        let mut missing: BTreeSet<i32> = days.filter(|day| !self.days.contains(day)).collect();
        if let Some(&newest) = missing.last() {
            missing.extend(newest + 1..=newest + DAYS_AHEAD);
            let missing: Vec<i32> = missing.into_iter().collect();
            rows::ensure_days(connection, &missing).await?;
            self.days.extend(missing);
        }
        Ok(apply(connection, batches, &self.known).await?)
    }
}

/// The verdict on a row that cannot be stored.
fn decision(batch: &CommitBatch, unstorable: Unstorable) -> Option<QuarantineEntry> {
    let rows = rows_of(batch).slice(unstorable.row..unstorable.row + 1);
    let (&sensor, &place) = (rows.sensor.first()?, rows.places.first()?);
    let ts = Timestamp(rows.ts.first()?.0 + POSTGRES_EPOCH_MICROS);
    let sensor = batch.sensors.iter().map(|seen| &seen.sensor).find(|name| name.id().0 == sensor)?.clone();
    let (partition, epoch, detail) = (batch.partition, batch.epoch, unstorable.detail);
    Some(QuarantineEntry { partition, epoch, place, skipped: QuarantineReason::Unstorable, sensor, ts, detail })
}

/// A connection whose transactions end with a node that stands still: the locks on its partitions would keep every other node out.
async fn connect_to_write(url: &str) -> Result<AsyncPgConnection, WriteError> {
    let mut connection = connect_postgres(url).await?;
    let patience = format!("SET idle_in_transaction_session_timeout = {}", IDLE_IN_TRANSACTION.as_millis());
    connection.batch_execute(&patience).await?;
    Ok(connection)
}

/// Why a transaction did not happen.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{0}")]
    Connect(#[from] diesel::ConnectionError),
    #[error("{0}")]
    Database(#[from] diesel::result::Error),
}

impl WriteError {
    /// Whether a day that the session knows has gone since, by retention. A new session makes it again.
    fn is_missing_day(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::DatabaseError(_, information))
            if information.message().starts_with("no partition of relation"))
    }
}

fn report(metrics: &Metrics, batches: &[&CommitBatch], applied: &Applied) {
    metrics.commits.inc();
    if applied.conflicts > 0 {
        let rows = applied.conflicts;
        tracing::error!(rows, "scored rows were there already: a detector's past and the table disagree");
        metrics.commit_conflicts.inc_by(rows as u64);
    }
    metrics.readings_stored.inc_by(applied.counts.scored);
    metrics.readings_poison.inc_by(applied.counts.poison);
    metrics.readings_late.inc_by(applied.counts.late);
    metrics.readings_duplicate.inc_by(applied.counts.duplicates);
    for reason in &applied.letters {
        metrics.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }
    let now_micros = Utc::now().timestamp_micros();
    for (batch, standing) in batches.iter().zip(&applied.standings) {
        match standing {
            Standing::Next => {
                for received in &batch.received {
                    metrics.ingest_to_commit_seconds.observe((now_micros - received) as f64 / 1e6);
                }
            }
            Standing::Done => {}
            Standing::Fenced => {
                tracing::warn!(partition = %batch.partition, epoch = batch.epoch, "commit refused: the partition is another owner's");
                metrics.commits_fenced.inc();
            }
        }
    }
}
