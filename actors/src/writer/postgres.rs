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
use thicket_store::postgres::{CommitBatch, CommitReport, PostgresServer, WriteError, WriteSession};
use thicket_store::retry::Backoff;
use tokio::sync::oneshot;

use super::dead_letter_log::DeadLetterLog;
use super::pace::Pace;
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
    /// How long a lease on a partition lasts without renewal.
    pub lease: Duration,
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
    committer: Option<Committer>,
    drained: Vec<oneshot::Sender<()>>,
}

impl PostgresWriter {
    /// Creates a writer. It connects when it gets its first batch.
    pub fn new(options: PostgresWriterOptions, metrics: Metrics) -> Self {
        Self { options, metrics, state: State::default() }
    }

    fn commit_next(&mut self, context: &mut Context<Self>) {
        let committer = self.state.committer.take();
        let mut committer = committer.unwrap_or_else(|| Committer::new(&self.options, &self.metrics));
        let commits = take_next(&mut self.state.waiting, committer.pace.rows());
        if commits.is_empty() {
            self.state.committer = Some(committer);
            notify_drained(self.state.drained.drain(..));
            return;
        }
        self.state.busy = true;
        let task = async move {
            committer.commit(commits.into()).await;
            committer
        };
        context.spawn(task.into_actor(self).map(|committer, this, context| {
            this.state.committer = Some(committer);
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
        rows += rows_of(&next.batch);
        if rows > max_rows && !commits.is_empty() {
            break;
        }
        commits.extend(waiting.pop_front());
    }
    commits
}

/// Commits batches, over all retries.
struct Committer {
    server: PostgresServer,
    metrics: Metrics,
    dead_letters: DeadLetterLog,
    session: WriteSession,
    lease: Duration,
    pace: Pace,
}

impl Committer {
    fn new(options: &PostgresWriterOptions, metrics: &Metrics) -> Self {
        Self {
            server: options.server.clone(),
            metrics: metrics.clone(),
            dead_letters: options.dead_letters.clone(),
            session: WriteSession::with_lease(options.lease),
            lease: options.lease,
            pace: Pace::new(options.max_rows),
        }
    }

    /// Commits batches in their order, in one transaction or several. Returns once the outcome of
    /// every batch is known.
    async fn commit(&mut self, mut waiting: VecDeque<Commit>) {
        let mut backoff = Backoff::default();
        let mut wait = self.metrics.commit_waits.begin();
        while !waiting.is_empty() {
            let commits = take_next(&mut waiting, self.pace.rows());
            match self.try_commit(&commits).await {
                Ok(report) => {
                    backoff.reset();
                    self.answer(commits, report);
                    // The next transaction begins now. A slow PostgreSQL is not a stuck one.
                    drop(wait);
                    wait = self.metrics.commit_waits.begin();
                    continue;
                }
                Err(error) => {
                    if let Some(repeated) = complaints::due("commit", &error) {
                        tracing::warn!(%error, repeated, "postgresql did not commit the rows; they stay in the log; retrying");
                    }
                    let withdrawn = self.quarantine(&error, &commits).await;
                    let is_blamed = !withdrawn.is_empty();
                    // Whether the transaction is committed is not known. Its batches are tried again
                    // before any later batch.
                    for commit in withdraw(commits, &withdrawn).into_iter().rev() {
                        waiting.push_front(commit);
                    }
                    if is_blamed {
                        continue;
                    }
                }
            }
            self.session = WriteSession::with_lease(self.lease);
            backoff.wait().await;
        }
        drop(wait);
    }

    async fn try_commit(&mut self, commits: &[Commit]) -> Result<CommitReport, WriteError> {
        let started = Instant::now();
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        self.session.set_limit(self.pace.limit()).await?;
        let report = self.session.commit(&self.server, &batches).await;
        let took = started.elapsed();
        match &report {
            Ok(_) => {
                self.metrics.commit_seconds.observe(took.as_secs_f64());
                self.pace.on_commit(count_rows(commits), took);
            }
            Err(WriteError::Slow(_)) => self.on_slow(commits),
            Err(WriteError::Connect(_) | WriteError::Database(_)) => {}
        }
        report
    }

    fn on_slow(&mut self, commits: &[Commit]) {
        self.metrics.commits_timed_out.inc();
        self.pace.on_slow(count_rows(commits), commits.len() == 1);
    }

    /// Quarantines the readings that PostgreSQL rejects. Returns their partitions.
    async fn quarantine(&mut self, error: &WriteError, commits: &[Commit]) -> BTreeSet<PartitionId> {
        let started = Instant::now();
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        let partitions = self.session.quarantine_unstorable(error, &batches).await;
        if partitions.is_empty() && started.elapsed() >= self.pace.limit() {
            // PostgreSQL is too slow for the search, too.
            self.on_slow(commits);
        }
        partitions
    }

    /// Sends the outcome of each batch.
    fn answer(&self, commits: Vec<Commit>, report: CommitReport) {
        let batches: Vec<&CommitBatch> = commits.iter().map(|commit| &commit.batch).collect();
        count(&self.metrics, &batches, &report);
        self.dead_letters.add(&report.dead_letters, &report.dead_letter_examples);
        for (commit, decision) in commits.into_iter().zip(report.decisions) {
            let outcome = match decision {
                CommitDecision::Apply | CommitDecision::AlreadyApplied => CommitOutcome::Committed,
                CommitDecision::Fenced => CommitOutcome::Fenced,
            };
            // The shard may have restarted. The batch is durable anyway.
            let _ = commit.reply.send(outcome);
        }
    }
}

fn count_rows(commits: &[Commit]) -> usize {
    commits.iter().map(|commit| rows_of(&commit.batch)).sum()
}

/// Returns the number of rows that a batch inserts into large tables.
const fn rows_of(batch: &CommitBatch) -> usize {
    batch.rows.len() + batch.late.len() + batch.dead_letters.len()
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
    metrics.dead_letters_unstored.inc_by(ledger.dead_letters_unstored.cast_unsigned());
    for reason in &report.dead_letters {
        metrics.dead_letters.with_label_values(&[reason.as_str()]).inc();
    }
    let now_micros = Utc::now().timestamp_micros();
    for (batch, decision) in batches.iter().zip(&report.decisions) {
        match decision {
            CommitDecision::Apply => {
                for received in &batch.received {
                    // The clock may have gone back meanwhile.
                    let took = (now_micros - received).max(0);
                    metrics.ingest_to_commit_seconds.observe(took as f64 / 1e6);
                }
            }
            // The shard knows whether another node owns the partition.
            CommitDecision::AlreadyApplied | CommitDecision::Fenced => {}
        }
    }
}

#[cfg(test)]
mod tests;
