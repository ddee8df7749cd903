//! The data that the runner and the workers exchange: jobs, their results, and the shared state.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::matrix::Mutation;
use crate::outcome::Outcome;
use crate::traffic::{Shape, Traffic};

/// A unit of work for a worker.
#[derive(Debug)]
pub(crate) enum Job {
    /// A case that must end with the rows of the undisturbed run.
    Case(Case),
    /// The seed of a random case.
    Schedule(u64),
    /// A mutation: one of its cases must fail.
    Mutation(Mutation),
}

/// The result of a job.
#[derive(Debug, Default)]
pub(crate) struct JobResult {
    pub(crate) name: String,
    pub(crate) duration: Duration,
    /// Why it failed; empty if it passed.
    pub(crate) complaints: Vec<String>,
    /// The part of the complaints that the tables and the checkpoints prove.
    pub(crate) findings: Vec<String>,
    /// Whether a fail point was not reached.
    pub(crate) unmet: bool,
    /// A remark for the output.
    pub(crate) remark: String,
    /// Whether it could not be run on this machine.
    pub(crate) is_skipped: bool,
    /// The seed of a schedule.
    pub(crate) schedule: Option<u64>,
    /// Where its files are, if they were kept.
    pub(crate) kept: Option<PathBuf>,
    /// The end of each engine's log.
    pub(crate) logs: String,
}

/// The state that all workers share.
pub(crate) struct Shared {
    pub(crate) binary: PathBuf,
    pub(crate) jobs: Mutex<VecDeque<Job>>,
    /// The traffic of each shape, and the rows that an undisturbed run stores for it.
    pub(crate) undisturbed: BTreeMap<Shape, (Traffic, Outcome)>,
    pub(crate) started: Instant,
    pub(crate) limit: Duration,
}

impl Shared {
    /// Takes the next job. Returns `None` if there is none, or after the time limit. The schedules
    /// that are left then are dropped.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if self.started.elapsed() <= self.limit {
            return jobs.pop_front();
        }
        let is_schedule = |job: &Job| matches!(job, Job::Schedule(_));
        let schedules = jobs.iter().filter(|job| is_schedule(job)).count();
        if schedules > 0 {
            println!("the time is up: {schedules} schedules are left out");
            jobs.retain(|job| !is_schedule(job));
        }
        None
    }

    /// The number of jobs that are left.
    pub(crate) fn left(&self) -> usize {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl JobResult {
    pub(crate) fn print(&self) {
        let result = match () {
            () if self.is_skipped => "skip  ",
            () if self.complaints.is_empty() => "ok    ",
            () => "FAILED",
        };
        let remark = if self.remark.is_empty() { String::new() } else { format!("  {}", self.remark) };
        println!("{result} {:5.1} s  {}{remark}", self.duration.as_secs_f64(), self.name);
        if self.complaints.is_empty() {
            return;
        }
        for complaint in &self.complaints {
            println!("  {complaint}");
        }
        print!("{}", self.logs);
        if let Some(kept) = &self.kept {
            println!("  kept: {}", kept.display());
        }
    }
}
