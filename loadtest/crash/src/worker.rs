//! One worker: takes the next job, runs it on its servers, compares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::case::{Case, Setting};
use crate::environment::{Environment, TIMEOUT};
use crate::job::{Job, JobResult, Shared};
use crate::matrix::Mutation;
use crate::obstacles::obstacle;
use crate::run::run_case;
use crate::schedule::schedule;
use crate::traffic::Traffic;

/// The timeout of an engine that breaks a rule. It is short, because such an engine may never
/// finish.
const MUTATION_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs jobs until none is left.
pub(crate) async fn work(
    mut environment: Environment,
    shared: Arc<Shared>,
    results: mpsc::UnboundedSender<JobResult>,
) {
    while let Some(job) = shared.next() {
        let started = Instant::now();
        let mut result = match job {
            Job::Case(case) => Box::pin(run_in_setting(&mut environment, &shared, &case)).await,
            Job::Schedule(seed) => {
                let result = run_twice(&mut environment, &shared, &schedule(seed), TIMEOUT).await;
                JobResult { schedule: Some(seed), ..result }
            }
            Job::Mutation(mutation) => run_mutation(&mut environment, &shared, &mutation).await,
        };
        result.duration = started.elapsed();
        // The runner has ended if this fails.
        if results.send(result).is_err() {
            return;
        }
    }
}

/// Runs a case with what it needs, or says why it cannot run here.
async fn run_in_setting(environment: &mut Environment, shared: &Shared, case: &Case) -> JobResult {
    if let Some(obstacle) = obstacle(case) {
        let remark = format!("skipped: {obstacle}");
        return JobResult { name: case.name.clone(), remark, is_skipped: true, ..JobResult::default() };
    }
    let Setting::SmallDisks { with_wal } = case.setting else {
        return run_twice(environment, shared, case, TIMEOUT).await;
    };
    let directory = environment.directory().join(&case.name);
    match Environment::start_on_small_disks(&directory, &shared.binary, with_wal).await {
        Ok(mut own) => run_twice(&mut own, shared, case, TIMEOUT).await,
        Err(error) => {
            let complaints = vec![format!("no servers on small disks: {error:#}")];
            JobResult { name: case.name.clone(), complaints, ..JobResult::default() }
        }
    }
}

/// Runs a case. On a machine so busy that all readings arrive in few large batches, a fail point
/// may not be reached: then the case runs once more with fail points that fire sooner.
async fn run_twice(
    environment: &mut Environment,
    shared: &Shared,
    case: &Case,
    timeout: Duration,
) -> JobResult {
    let first = run_and_compare(environment, shared, case, timeout).await;
    if !first.unmet {
        return first;
    }
    let second = run_and_compare(environment, shared, &case.clone().sooner(), timeout).await;
    let remark = format!("at the second try: the fail point fired too late; {}", second.remark);
    JobResult { remark, ..second }
}

async fn run_and_compare(
    environment: &mut Environment,
    shared: &Shared,
    case: &Case,
    timeout: Duration,
) -> JobResult {
    let mut result = JobResult { name: case.name.clone(), ..JobResult::default() };
    let Some((traffic, undisturbed)) = shared.undisturbed.get(&case.shape) else {
        result.complaints.push("there is no undisturbed run to compare it with".to_owned());
        return result;
    };
    let ended = run_case(environment, &shared.binary, case, traffic, timeout).await;
    let (report, workspace) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            result.complaints.push(format!("the harness cannot go on: {error:#}"));
            result.complaints.extend(environment.revive().err().map(|error| format!("{error:#}")));
            return result;
        }
    };
    if let Some(outcome) = report.outcome {
        result.findings.extend(miscount(case, outcome.delivered, traffic));
        result.findings.extend(outcome.differences(undisturbed, case.dead_letters_may_repeat));
    }
    result.findings.extend(report.findings);
    result.remark = report.remarks.join("; ");
    result.unmet = report.unmet;
    result.complaints.extend(report.complaints);
    result.complaints.extend(result.findings.iter().cloned());
    result.logs = report.logs;
    let is_kept = !result.complaints.is_empty() && case.broken.is_none();
    result.complaints.extend(environment.revive().err().map(|error| format!("{error:#}")));
    if is_kept {
        result.kept = Some(workspace.directory);
    } else if let Err(error) = environment.clear(&workspace).await {
        result.complaints.push(format!("the case's tables cannot be dropped: {error:#}"));
    }
    result
}

/// The ledger must count every record that was published, and no more if none was delivered twice.
fn miscount(case: &Case, delivered: u64, traffic: &Traffic) -> Option<String> {
    let published = traffic.expected.records;
    let is_wrong = delivered < published || (case.exact && delivered > published);
    is_wrong.then(|| format!("the ledger counts {delivered} records, {published} were published"))
}

/// Runs the mutation's cases until one fails because of what the engine did, not of a fail point
/// that was not reached.
async fn run_mutation(environment: &mut Environment, shared: &Shared, mutation: &Mutation) -> JobResult {
    let mut result = JobResult { name: format!("mutation {}", mutation.rule), ..JobResult::default() };
    for case in &mutation.cases {
        let ended = run_twice(environment, shared, case, MUTATION_TIMEOUT).await;
        if let Some(finding) = ended.findings.first() {
            let first_line = finding.lines().next().unwrap_or_default();
            result.remark = format!("caught by {}: {first_line}", case.name);
            result.complaints.clear();
            break;
        }
        result.complaints.push(format!("not caught by {}", case.name));
        result.complaints.extend(ended.complaints);
        result.logs = ended.logs;
    }
    result
}
