//! One worker: takes up what is next, plays it on its servers, compares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{Done, Job, Mutation, Shared, schedule};
use crate::case::Case;
use crate::play::play;
use crate::stage::{PATIENCE, Stage};
use crate::traffic::Traffic;

/// A broken engine may never come to an end; it is not waited for as long.
const PATIENCE_WITH_MUTANTS: Duration = Duration::from_secs(15);

pub(super) async fn work(mut stage: Stage, shared: Arc<Shared>, report: mpsc::UnboundedSender<Done>) {
    while let Some(job) = shared.next() {
        let started = Instant::now();
        let mut done = match job {
            Job::Case(case) => run_case(&mut stage, &shared, &case, PATIENCE).await,
            Job::Schedule(seed) => {
                let done = run_case(&mut stage, &shared, &schedule(seed), PATIENCE).await;
                Done { schedule: Some(seed), ..done }
            }
            Job::Mutation(mutation) => run_mutation(&mut stage, &shared, &mutation).await,
        };
        done.took = started.elapsed();
        // Nobody listens any more if the run was given up.
        if report.send(done).is_err() {
            return;
        }
    }
}

async fn run_case(stage: &mut Stage, shared: &Shared, case: &Case, patience: Duration) -> Done {
    let mut done = Done {
        name: case.name.clone(),
        took: Duration::ZERO,
        complaints: Vec::new(),
        remark: String::new(),
        schedule: None,
        kept: None,
        logs: String::new(),
    };
    let Some((traffic, undisturbed)) = shared.undisturbed.get(&case.shape) else {
        done.complaints.push("there is no undisturbed run to compare it with".to_owned());
        return done;
    };
    let played = play(stage, &shared.binary, case, traffic, patience).await;
    let (report, ground) = match played {
        Ok(played) => played,
        Err(error) => {
            done.complaints.push(format!("the harness cannot go on: {error:#}"));
            done.complaints.extend(stage.revive().err().map(|error| format!("{error:#}")));
            return done;
        }
    };
    done.complaints.extend(report.complaints);
    if let Some(outcome) = report.outcome {
        done.complaints.extend(outcome.differences(undisturbed, case.letters_may_repeat));
        done.complaints.extend(miscount(case, outcome.delivered, traffic));
    }
    done.logs = report.logs;
    if done.complaints.is_empty() || case.broken.is_some() {
        done.complaints.extend(stage.revive().err().map(|error| format!("{error:#}")));
        if let Err(error) = stage.clear(&ground).await {
            done.complaints.push(format!("the case's tables cannot be dropped: {error:#}"));
        }
    } else {
        done.complaints.extend(stage.revive().err().map(|error| format!("{error:#}")));
        done.kept = Some(ground.directory);
    }
    done
}

/// What the ledger says was delivered must be all that was published, and no more where nothing came twice.
fn miscount(case: &Case, delivered: u64, traffic: &Traffic) -> Option<String> {
    let published = traffic.expected.records;
    let is_wrong = delivered < published || (case.exact && delivered > published);
    is_wrong.then(|| format!("the ledger counts {delivered} records, published were {published}"))
}

/// Plays the mutation's cases until one turns red.
async fn run_mutation(stage: &mut Stage, shared: &Shared, mutation: &Mutation) -> Done {
    let mut last = None;
    for case in &mutation.cases {
        let mut done = run_case(stage, shared, case, PATIENCE_WITH_MUTANTS).await;
        if let Some(first) = done.complaints.first() {
            done.remark = format!("caught by {}: {}", case.name, first.lines().next().unwrap_or_default());
            done.name = format!("mutation {}", mutation.rule);
            done.complaints.clear();
            return done;
        }
        last = Some(done);
    }
    let names: Vec<&str> = mutation.cases.iter().map(|case| case.name.as_str()).collect();
    let complaints = vec![format!("not caught by {}", names.join(", "))];
    Done {
        name: format!("mutation {}", mutation.rule),
        took: Duration::ZERO,
        complaints,
        remark: String::new(),
        schedule: None,
        kept: None,
        logs: last.map(|done| done.logs).unwrap_or_default(),
    }
}
