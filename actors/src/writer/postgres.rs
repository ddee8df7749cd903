//! The actor that owns one connection to PostgreSQL and commits batches on it, in the order of
//! their arrival.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseActFuture, Supervised,
    WrapFuture as _,
};
use chrono::Utc;
use thicket_protocol::commit::CommitDecision;
use thicket_schema::PartitionId;
use thicket_store::complaints;
use thicket_store::postgres::{CommitBatch, CommitReport, PostgresServer, WriteSession};
use thicket_store::retry::Backoff;
use tokio::sync::oneshot;

use super::dead_letter_log::DeadLetterLog;
use crate::messages::{Commit, CommitOutcome, Drain};
use crate::metrics::Metrics;
use crate::supervision::notify_drained;

/// How often dead letters that are not logged yet are looked for.
const DEAD_LETTER_INTERVAL: Duration = Duration::from_secs(5);

/// The settings of a writer.
#[derive(Clone, Debug)]
pub struct PostgresWriterOptions {
    /// The database.
    pub server: PostgresServer,
    /// Maximum number of rows of one transaction.
    pub max_rows: usize,
    /// Where dead letters are logged. The writers of a node share it.
    pub dead_letters: DeadLetterLog,
}

/// Commits batches. All waiting batches go into one transaction, up to a number of rows. So a slow
/// disk leads to larger transactions instead of a longer queue.
pub struct PostgresWriter {
    options: PostgresWriterOptions,
    metrics: Metrics,
    state: State,
}

/// Lost in a restart. A shard whose reply is dropped reopens its partition.
#[derive(Default)]
struct State {
    waiting: VecDeque<Commit>,
    busy: bool,
    session: Option<WriteSession>,
    drained: Vec<oneshot::Sender<()>>,
}

impl PostgresWriter {
    /// Creates a writer. It connects when it gets its first batch.
    pub fn new(options: PostgresWriterOptions, metrics: Metrics) -> Self {
        Self { options, metrics, state: State::default() }
    }

    fn commit_next(&mut self, context: &mut Context<Self>) {
        let commits = take_next(&mut self.state.waiting, self.options.max_rows);
        if commits.is_empty() {
            notify_drained(self.state.drained.drain(..));
            return;
        }
        self.state.busy = true;
        let session = self.state.session.take().unwrap_or_default();
        let task = commit(session, self.options.clone(), self.metrics.clone(), commits);
        context.spawn(task.into_actor(self).map(|session, this, context| {
            this.state.session = Some(session);
            this.state.busy = false;
            this.commit_next(context);
        }));
    }
}

impl Actor for PostgresWriter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(DEAD_LETTER_INTERVAL, |this, _| this.options.dead_letters.log(Instant::now()));
    }
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
            self.commit_next(context);
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

/// Removes and returns the batches of the next transaction, in order: at most `max_rows` rows, but
/// at least one batch if there is one.
fn take_next(waiting: &mut VecDeque<Commit>, max_rows: usize) -> Vec<Commit> {
    let mut rows = 0;
    let mut commits = Vec::new();
    while let Some(next) = waiting.front() {
        rows += next.batch.rows.len() + next.batch.late.len();
        if rows > max_rows && !commits.is_empty() {
            break;
        }
        commits.extend(waiting.pop_front());
    }
    commits
}

/// Commits batches. Returns once the outcome of every batch is known.
async fn commit(
    mut session: WriteSession,
    options: PostgresWriterOptions,
    metrics: Metrics,
    mut commits: Vec<Commit>,
) -> WriteSession {
    let mut backoff = Backoff::default();
    let _wait = metrics.commit_waits.begin();
    let report = loop {
        let started = Instant::now();
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        match session.commit(&options.server, &batches).await {
            Ok(report) => {
                metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                break report;
            }
            Err(error) => {
                if let Some(repeated) = complaints::due("commit", &error) {
                    tracing::warn!(%error, repeated, "postgresql did not commit the rows; they stay in the log; retrying");
                }
                let withdrawn = session.quarantine_unstorable(&error, &batches).await;
                if !withdrawn.is_empty() {
                    commits = withdraw(commits, &withdrawn);
                    continue;
                }
                session = WriteSession::default();
                backoff.wait().await;
            }
        }
    };
    let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
    count(&metrics, &batches, &report);
    options.dead_letters.add(&report.dead_letters, &report.dead_letter_examples);
    for (commit, decision) in commits.into_iter().zip(report.decisions) {
        let outcome = match decision {
            CommitDecision::Apply | CommitDecision::AlreadyApplied => CommitOutcome::Committed,
            CommitDecision::Fenced => CommitOutcome::Fenced,
        };
        // The shard may have restarted. The batch is durable anyway.
        let _ = commit.reply.send(outcome);
    }
    session
}

/// Withdraws the batches of partitions with a quarantined reading: their shards reopen the
/// partitions. Returns the other batches.
fn withdraw(commits: Vec<Commit>, partitions: &BTreeSet<PartitionId>) -> Vec<Commit> {
    let (withdrawn, rest): (Vec<Commit>, Vec<Commit>) =
        commits.into_iter().partition(|commit| partitions.contains(&commit.batch.partition));
    for commit in withdrawn {
        // The shard may have restarted. The next owner of the partition reads the quarantine.
        let _ = commit.reply.send(CommitOutcome::Withdrawn);
    }
    rest
}

/// Counts the results of a transaction in the metrics.
fn count(metrics: &Metrics, batches: &[&CommitBatch], report: &CommitReport) {
    metrics.commits.inc();
    if report.conflicts > 0 {
        let rows = report.conflicts;
        tracing::error!(rows, "scored rows were stored before: a detector and the table disagree");
        metrics.commit_conflicts.inc_by(rows as u64);
    }
    let ledger = &report.ledger;
    metrics.readings_stored.inc_by(ledger.scored.cast_unsigned());
    metrics.readings_unscored.inc_by(ledger.unscored.cast_unsigned());
    metrics.readings_poison.inc_by(ledger.poison.cast_unsigned());
    metrics.readings_late.inc_by(ledger.late.cast_unsigned());
    metrics.readings_duplicate.inc_by(ledger.duplicates.cast_unsigned());
    for reason in &report.dead_letters {
        metrics.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }
    let now_micros = Utc::now().timestamp_micros();
    for (batch, decision) in batches.iter().zip(&report.decisions) {
        match decision {
            CommitDecision::Apply => {
                for received in &batch.received {
                    metrics.ingest_to_commit_seconds.observe((now_micros - received) as f64 / 1e6);
                }
            }
            CommitDecision::AlreadyApplied => {}
            CommitDecision::Fenced => {
                tracing::warn!(partition = %batch.partition, epoch = batch.epoch, "commit refused: another node owns the partition");
                metrics.commits_fenced.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests;
