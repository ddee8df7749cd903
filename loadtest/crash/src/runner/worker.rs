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

/// Runs a case; on a machine so busy that everything comes in few large batches, once more with places that are reached sooner.
async fn run_case(stage: &mut Stage, shared: &Shared, case: &Case, patience: Duration) -> Done {
    let done = try_case(stage, shared, case, patience).await;
    if !done.unmet {
        return done;
    }
    let again = try_case(stage, shared, &case.clone().sooner(), patience).await;
    Done { remark: "at the second try: the fail point came too late".to_owned(), ..again }
}

async fn try_case(stage: &mut Stage, shared: &Shared, case: &Case, patience: Duration) -> Done {
    let mut done = Done {
        name: case.name.clone(),
        took: Duration::ZERO,
        complaints: Vec::new(),
        findings: Vec::new(),
        unmet: false,
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
    if let Some(outcome) = report.outcome {
        done.findings.extend(miscount(case, outcome.delivered, traffic));
        done.findings.extend(outcome.differences(undisturbed, case.letters_may_repeat));
    }
    done.findings.extend(report.findings);
    done.unmet = report.unmet;
    done.complaints.extend(report.complaints);
    done.complaints.extend(done.findings.iter().cloned());
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

/// Plays the mutation's cases until one turns red for what the engine did, not for a fault that was not met.
async fn run_mutation(stage: &mut Stage, shared: &Shared, mutation: &Mutation) -> Done {
    let (mut complaints, mut logs) = (Vec::new(), String::new());
    let mut remark = String::new();
    for case in &mutation.cases {
        let done = run_case(stage, shared, case, PATIENCE_WITH_MUTANTS).await;
        if let Some(finding) = done.findings.first() {
            remark = format!("caught by {}: {}", case.name, finding.lines().next().unwrap_or_default());
            complaints.clear();
            break;
        }
        complaints.push(format!("not caught by {}", case.name));
        complaints.extend(done.complaints);
        logs = done.logs;
    }
    Done {
        name: format!("mutation {}", mutation.rule),
        took: Duration::ZERO,
        complaints,
        findings: Vec::new(),
        unmet: false,
        remark,
        schedule: None,
        kept: None,
        logs,
    }
}
