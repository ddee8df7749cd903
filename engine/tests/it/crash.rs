//! The short form of `make crash`: some fail points, one mutation, some outages, against an
//! undisturbed run.

use std::time::Duration;

use thicket_crash::matrix::{cases, mutations};
use thicket_crash::runner::{Plan, run};

use crate::support::BINARY;

/// One fail point for each operation that must take effect exactly once: append, acknowledgement,
/// commit, checkpoint, takeover, notification. One outage of each kind.
const CASES: [&str; 12] = [
    "append.lost",
    "commit.lost",
    "kill-ack.before",
    "kill-commit.after",
    "kill-checkpoint.after",
    "kill-redis",
    "notify-kill-notify.after",
    "disk-full-redis",
    "black-hole-postgres-replaced",
    "clock-jumps",
    "out-of-memory",
    "two-builds",
];
const MUTATION: &str = "rule.append_once";
/// The default of `make crash`, so that a run that fails can be repeated.
const SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn after_every_crash_the_rows_are_those_of_an_undisturbed_run_and_a_broken_rule_is_noticed() {
    let directory = tempfile::TempDir::with_prefix("thicket-crash-").unwrap();
    let plan = Plan {
        binary: BINARY.into(),
        seed: SEED,
        cases: cases(SEED).into_iter().filter(|case| CASES.contains(&case.name.as_str())).collect(),
        mutations: mutations(SEED).into_iter().filter(|mutation| mutation.rule == MUTATION).collect(),
        schedules: vec![],
        workers: 2,
        limit: Duration::from_mins(15),
        directory: directory.path().to_owned(),
    };
    assert_eq!((plan.cases.len(), plan.mutations.len()), (CASES.len(), 1));
    let summary = run(plan).await.unwrap();
    let played = summary.cases + summary.skipped;
    assert_eq!((played, summary.failed), (CASES.len() + 1, 0), "{}", summary.failures.join("\n"));
}
