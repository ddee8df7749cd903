//! Nodes that are taken for dead and still run.

use std::time::Duration;

use crate::case::{Action, Case, Node};
use crate::settings::Settings;

/// Longer than the lease.
const DEAD: Duration = Duration::from_millis(900);
/// How long a node that was taken for dead runs on and may do harm.
const HAUNT: Duration = Duration::from_millis(1_500);

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [0.15, 0.3]
        .into_iter()
        .enumerate()
        .map(|(number, part)| frozen(&format!("zombie-{}", number + 1), part, false))
        .collect();
    cases.push(frozen("zombie-with-another-configuration", 0.25, true));
    cases.push(frozen_at_rest("zombie-at-rest", false));
    cases.push(frozen_at_rest("zombie-at-rest-with-another-configuration", true));
    cases.push(lease_lost(1));
    cases
}

/// The same for a node that is idle when it is frozen.
fn frozen_at_rest(name: &str, reconfigured: bool) -> Case {
    let mut case = frozen(name, 0.25, reconfigured);
    let freeze =
        case.actions.iter().position(|action| matches!(action, Action::Freeze(_))).unwrap_or_default();
    case.actions.splice(freeze - 1..freeze, [Action::Settle, Action::UntilIdle]);
    case
}

/// A is frozen for longer than a lease, and continues long after B has taken over.
fn frozen(name: &str, part: f64, reconfigured: bool) -> Case {
    let takeover = [
        Action::Start(Node::A, vec![]),
        Action::Release(part + 0.2),
        Action::UntilStored(part),
        Action::Freeze(Node::A),
        Action::Pause(DEAD),
        Action::Start(Node::B, vec![]),
        Action::UntilOwner(Node::B),
        // B writes every partition's log before A wakes up.
        Action::Release(0.9),
        Action::UntilStored(0.75),
    ];
    let back = [Action::Thaw(Node::A), Action::Release(1.0), Action::Pause(HAUNT)];
    let reconfigure = reconfigured.then_some(Action::Reconfigure(Node::A));
    Case::new(name).then(takeover).then(reconfigure).then(back)
}

/// A renews its leases seldom, so it does not notice that they were deleted: it still appends to
/// the log and scores. B owns the partitions and begins late. Only the epoch tells A's commits from
/// B's.
pub(super) fn lease_lost(number: u32) -> Case {
    let seldom = Settings { lease: "30s", ..Settings::default() };
    Case::new(format!("leases-lost-{number}")).then([
        Action::Set(seldom),
        Action::Start(Node::A, vec![]),
        Action::Release(0.3),
        Action::UntilStored(0.15),
        Action::Set(Settings::default()),
        Action::Start(Node::B, vec![]),
        Action::Pause(HAUNT),
        Action::BlockRestores,
        Action::DropLeases,
        Action::UntilOwner(Node::B),
        Action::Release(0.6),
        Action::UntilFenced(Node::A),
        Action::UnblockRestores,
        Action::UntilStored(0.4),
        Action::Release(0.8),
        Action::Stop(Node::A),
    ])
}
