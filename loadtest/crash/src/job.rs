//! The data that the runner and the workers exchange: jobs, their results, and the shared state.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::matrix::Mutation;
use crate::outcome::Outcome;
use crate::traffic::{Shape, Traffic};

/// How much of the complaints and of the logs a summary shows.
const COMPLAINT_LINES: usize = 6;
const LOG_LINES: usize = 4;
const COLUMNS: usize = 300;

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

    /// Returns a few lines about why it failed, or `None` if it passed.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.complaints.is_empty() {
            return None;
        }
        let logged: Vec<&str> = self.logs.lines().collect();
        let complained = self.complaints.iter().flat_map(|complaint| complaint.lines()).take(COMPLAINT_LINES);
        let lines = complained.chain(logged[logged.len().saturating_sub(LOG_LINES)..].iter().copied());
        let mut failure = format!("{} failed after {:.1} s:", self.name, self.duration.as_secs_f64());
        for line in lines {
            failure.push_str("\n  ");
            failure.extend(line.trim().chars().take(COLUMNS));
        }
        Some(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_case_its_first_complaints_and_the_end_of_the_logs() {
        let passed = JobResult { name: "kill".to_owned(), ..JobResult::default() };
        assert_eq!(passed.failure(), None);
        let complaints = vec!["rows differ\n10 of 12".to_owned(), "x".repeat(COLUMNS + 1)];
        let logs = (0..9).map(|number| format!("    line {number}")).collect::<Vec<_>>().join("\n");
        let failure = JobResult { complaints, logs, ..passed }.failure().unwrap();
        let lines: Vec<&str> = failure.lines().collect();
        assert_eq!(lines[..3], ["kill failed after 0.0 s:", "  rows differ", "  10 of 12"]);
        assert_eq!(lines[3].len(), COLUMNS + 2);
        assert_eq!(lines[4..], ["  line 5", "  line 6", "  line 7", "  line 8"]);
    }
}
