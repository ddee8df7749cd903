//! Runs cases side by side, each worker on servers of its own, compares each with the undisturbed
//! run, and prints the results.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::case::{Action, Case, Node, PLAIN};
use crate::environment::{Environment, TIMEOUT};
use crate::job::{Job, JobResult, Shared};
use crate::matrix::Mutation;
use crate::outcome::Outcome;
use crate::run::{WEB_ROUTES, run_case};
use crate::traffic::{Shape, Traffic};
use crate::worker::work;

/// The cases to run, and how to run them.
#[derive(Debug)]
pub struct Plan {
    /// The engine, built with the feature `faults`.
    pub binary: PathBuf,
    /// The seed of the traffic.
    pub seed: u64,
    /// Cases that must end with the rows of the undisturbed run.
    pub cases: Vec<Case>,
    /// Mutations, each of which must fail a case.
    pub mutations: Vec<Mutation>,
    /// Seeds of random schedules.
    pub schedules: Vec<u64>,
    /// How many cases are run at a time.
    pub workers: usize,
    /// No job is started after this time. A case or mutation that is left out counts as failed, a
    /// schedule does not.
    pub limit: Duration,
    /// Where servers and cases have their files.
    pub directory: PathBuf,
}

/// The result of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Cases that were run, mutations included.
    pub cases: usize,
    /// Random schedules that were run.
    pub schedules: usize,
    /// How many of both failed.
    pub failed: usize,
    /// Why each of them failed, in a few lines.
    #[serde(skip)]
    pub failures: Vec<String>,
    /// Cases that need rights that this machine does not give.
    pub skipped: usize,
    /// The seeds of the schedules.
    pub seeds: Vec<u64>,
}

/// Runs a plan, prints the result of each case, and returns the summary.
pub async fn run(plan: Plan) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let Plan { binary, seed, cases, mutations, schedules, workers, limit, directory } = plan;
    let mut environments = Vec::new();
    for number in 0..workers.max(1) {
        environments.push(Environment::start(&directory.join(format!("worker-{number}")), &binary).await?);
    }
    let Some(first) = environments.first_mut() else { bail!("no worker") };
    let shapes = cases.iter().map(|case| case.shape).chain([PLAIN]);
    let mut undisturbed = BTreeMap::new();
    for shape in shapes {
        if let Entry::Vacant(vacant) = undisturbed.entry(shape) {
            let traffic = Traffic::new(seed, shape);
            let outcome = run_undisturbed(first, &binary, &traffic, shape).await?;
            vacant.insert((traffic, outcome));
        }
    }
    let jobs = mutations.into_iter().map(Job::Mutation).chain(cases.into_iter().map(Job::Case));
    let jobs = jobs.chain(schedules.into_iter().map(Job::Schedule)).collect();
    let shared = Arc::new(Shared { binary, jobs: Mutex::new(jobs), undisturbed, started, limit });
    let (sender, mut results) = mpsc::unbounded_channel();
    let work = |environment| tokio::spawn(work(environment, Arc::clone(&shared), sender.clone()));
    let workers: Vec<_> = environments.into_iter().map(work).collect();
    drop(sender);
    let mut summary = Summary::default();
    while let Some(result) = results.recv().await {
        result.print();
        summary.add(&result);
    }
    summary.add_missing(shared.left(), panicked(workers).await);
    Ok(summary)
}

/// Waits for the workers, and returns how many have panicked. Each of these lost one job.
async fn panicked(workers: Vec<JoinHandle<()>>) -> usize {
    let mut panicked = 0;
    for worker in workers {
        panicked += usize::from(worker.await.is_err());
    }
    panicked
}

/// Runs the case that all others are compared with. It must not contradict what was published.
async fn run_undisturbed(
    environment: &mut Environment,
    binary: &Path,
    traffic: &Traffic,
    shape: Shape,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let actions = [Action::Start(Node::A, vec![]), Action::Release(1.0)];
    let case = Case { shape, notified: true, ..Case::new("undisturbed").then(actions) };
    let (report, workspace) = run_case(environment, binary, &case, traffic, TIMEOUT).await?;
    let Some(outcome) = report.outcome else {
        bail!("the undisturbed run failed: {}\n{}", report.complaints.join("\n"), report.logs)
    };
    let mut complaints = [report.complaints, report.findings].concat();
    complaints.extend(outcome.contradictions(&traffic.expected));
    if outcome.digest.anomalies.rows == 0 {
        complaints.push("there is no anomaly in it".to_owned());
    }
    let told = outcome.told.iter().flatten().map(|(route, ..)| route.as_str()).collect::<BTreeSet<_>>();
    let silent = WEB_ROUTES.into_iter().filter(|route| !told.contains(route));
    complaints.extend(silent.map(|route| format!("the route {route} was told nothing")));
    if !complaints.is_empty() {
        bail!("the undisturbed run is not what was published: {}\n{}", complaints.join("\n"), report.logs);
    }
    environment.clear(&workspace).await.context("the undisturbed run's tables")?;
    println!(
        "undisturbed {:4.1} s  {} readings, {} anomalies, {} dead letters, {} sensors, digest {}",
        started.elapsed().as_secs_f64(),
        outcome.digest.readings.rows,
        outcome.digest.anomalies.rows,
        outcome.digest.dead_letters.rows,
        outcome.digest.sensors.rows,
        outcome.digest.sha256
    );
    Ok(outcome)
}

impl Summary {
    fn add(&mut self, result: &JobResult) {
        match result.schedule {
            Some(seed) => {
                self.schedules += 1;
                self.seeds.push(seed);
            }
            None if result.is_skipped => self.skipped += 1,
            None => self.cases += 1,
        }
        let failure = result.failure();
        self.failed += usize::from(failure.is_some());
        self.failures.extend(failure);
    }

    /// Adds the jobs without a result: those that no worker took, and those whose worker panicked.
    fn add_missing(&mut self, left: usize, panicked: usize) {
        for (number, what) in [(left, "were left out"), (panicked, "began and did not end")] {
            if number > 0 {
                let failure = format!("{number} cases {what}");
                println!("FAILED  {failure}");
                self.failed += number;
                self.failures.push(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_that_are_left_and_a_job_whose_worker_panicked_count_as_failed() {
        let workers = vec![tokio::spawn(async { panic!("on purpose") }), tokio::spawn(async {})];
        let mut summary = Summary::default();
        summary.add(&JobResult { schedule: Some(1), ..JobResult::default() });
        summary.add_missing(2, panicked(workers).await);
        assert_eq!((summary.schedules, summary.failed), (1, 3), "{:?}", summary.failures);
    }
}
