//! Runs cases side by side, each worker on servers of its own, compares each with the undisturbed run, and says what came of it.

mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::case::{Act, Case, Node, PLAIN};
use crate::matrix::Mutation;
use crate::play::play;
use crate::schedule::schedule;
use crate::stage::{PATIENCE, Stage};
use crate::traffic::{Shape, Traffic};
use crate::verdict::Outcome;

/// What is to be run.
#[derive(Debug)]
pub struct Plan {
    /// The engine, built with the feature `faults`.
    pub binary: PathBuf,
    /// The traffic's.
    pub seed: u64,
    /// What must end as the undisturbed run.
    pub cases: Vec<Case>,
    /// What must not.
    pub mutations: Vec<Mutation>,
    /// Seeds of random schedules.
    pub schedules: Vec<u64>,
    /// How many cases are run at a time.
    pub workers: usize,
    /// Nothing is begun after this time. A case or mutation that is left out counts as failed, a schedule does not.
    pub limit: Duration,
    /// Where servers and cases have their files.
    pub directory: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Cases that were run, mutations included.
    pub cases: usize,
    /// Random schedules that were run.
    pub schedules: usize,
    /// How many of both failed.
    pub failed: usize,
    /// The seeds of the schedules.
    pub seeds: Vec<u64>,
}

/// What all workers share.
struct Shared {
    binary: PathBuf,
    jobs: Mutex<VecDeque<Job>>,
    /// What is published, and what an undisturbed run makes of it.
    undisturbed: BTreeMap<Shape, (Traffic, Outcome)>,
    begun: Instant,
    limit: Duration,
}

/// What a worker takes up at a time.
#[derive(Debug)]
enum Job {
    Case(Case),
    Schedule(u64),
    Mutation(Mutation),
}

/// What came of a job.
#[derive(Debug)]
struct Done {
    name: String,
    took: Duration,
    /// Why it failed.
    complaints: Vec<String>,
    /// Those of them that the tables and the checkpoints prove.
    findings: Vec<String>,
    /// Whether a fail point was not reached.
    unmet: bool,
    /// What is worth saying of one that did not.
    remark: String,
    schedule: Option<u64>,
    /// Where its files are, if they were kept.
    kept: Option<PathBuf>,
    logs: String,
}

/// Runs a plan, prints what becomes of each case, and returns the summary.
pub async fn run(plan: Plan) -> anyhow::Result<Summary> {
    let begun = Instant::now();
    let Plan { binary, seed, cases, mutations, schedules, workers, limit, directory } = plan;
    let mut stages = Vec::new();
    for number in 0..workers.max(1) {
        stages.push(Stage::start(&directory.join(format!("worker-{number}")), &binary).await?);
    }
    let Some(first) = stages.first_mut() else { bail!("no worker") };
    let shapes = cases.iter().map(|case| case.shape).chain([PLAIN]);
    let mut undisturbed = BTreeMap::new();
    for shape in shapes {
        if let std::collections::btree_map::Entry::Vacant(vacant) = undisturbed.entry(shape) {
            let traffic = Traffic::new(seed, shape);
            let outcome = run_undisturbed(first, &binary, &traffic, shape).await?;
            vacant.insert((traffic, outcome));
        }
    }
    let jobs = mutations.into_iter().map(Job::Mutation).chain(cases.into_iter().map(Job::Case));
    let jobs = jobs.chain(schedules.into_iter().map(Job::Schedule)).collect();
    let shared = Arc::new(Shared { binary, jobs: Mutex::new(jobs), undisturbed, begun, limit });
    let (report, mut done) = mpsc::unbounded_channel();
    for stage in stages {
        tokio::spawn(worker::work(stage, Arc::clone(&shared), report.clone()));
    }
    drop(report);
    let mut summary = Summary::default();
    while let Some(done) = done.recv().await {
        done.print();
        summary.add(&done);
    }
    if shared.left() > 0 {
        println!("FAILED  {} cases were left out", shared.left());
        summary.failed += shared.left();
    }
    Ok(summary)
}

/// The run that all others are compared with; it must not contradict what was published itself.
async fn run_undisturbed(
    stage: &mut Stage,
    binary: &Path,
    traffic: &Traffic,
    shape: Shape,
) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let acts = [Act::Start(Node::A, vec![]), Act::Flow(1.0)];
    let case = Case { shape, ..Case::new("undisturbed").then(acts) };
    let (report, ground) = play(stage, binary, &case, traffic, PATIENCE).await?;
    let Some(outcome) = report.outcome else {
        bail!("the undisturbed run failed: {}\n{}", report.complaints.join("\n"), report.logs)
    };
    let mut complaints = [report.complaints, report.findings].concat();
    complaints.extend(outcome.contradictions(&traffic.expected, true));
    if outcome.digest.anomalies.rows == 0 {
        complaints.push("there is no anomaly in it".to_owned());
    }
    if !complaints.is_empty() {
        bail!("the undisturbed run is not what was published: {}\n{}", complaints.join("\n"), report.logs);
    }
    stage.clear(&ground).await.context("the undisturbed run's tables")?;
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

impl Shared {
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if self.begun.elapsed() <= self.limit {
            return jobs.pop_front();
        }
        let is_schedule = |job: &Job| matches!(job, Job::Schedule(_));
        let schedules = jobs.iter().filter(|job| is_schedule(job)).count();
        if schedules > 0 {
            println!("time is up: {schedules} schedules are left out");
            jobs.retain(|job| !is_schedule(job));
        }
        None
    }

    /// What was left out.
    fn left(&self) -> usize {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Done {
    fn print(&self) {
        let verdict = if self.complaints.is_empty() { "ok    " } else { "FAILED" };
        let remark = if self.remark.is_empty() { String::new() } else { format!("  {}", self.remark) };
        println!("{verdict} {:5.1} s  {}{remark}", self.took.as_secs_f64(), self.name);
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

impl Summary {
    fn add(&mut self, done: &Done) {
        match done.schedule {
            Some(seed) => {
                self.schedules += 1;
                self.seeds.push(seed);
            }
            None => self.cases += 1,
        }
        self.failed += usize::from(!done.complaints.is_empty());
    }
}
