//! Nodes that are taken for dead, and are not.

use std::time::Duration;

use crate::case::{Act, Case, Node};
use crate::settings::Settings;

/// Longer than the lease.
const DEAD: Duration = Duration::from_millis(900);
/// How long the one that was taken for dead has to do harm.
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

/// The same of a node that has nothing to do when it is frozen.
fn frozen_at_rest(name: &str, reconfigured: bool) -> Case {
    let mut case = frozen(name, 0.25, reconfigured);
    let freeze = case.acts.iter().position(|act| matches!(act, Act::Freeze(_))).unwrap_or_default();
    case.acts.splice(freeze - 1..freeze, [Act::Settle, Act::Rests]);
    case
}

/// A stands still for longer than a lease, and goes on when B has long taken over.
fn frozen(name: &str, part: f64, reconfigured: bool) -> Case {
    let takeover = [
        Act::Start(Node::A, vec![]),
        Act::Flow(part + 0.2),
        Act::Stored(part),
        Act::Freeze(Node::A),
        Act::Pause(DEAD),
        Act::Start(Node::B, vec![]),
        Act::Owns(Node::B),
        // B writes every partition's log before A wakes up.
        Act::Flow(0.9),
        Act::Stored(0.75),
    ];
    let back = [Act::Thaw(Node::A), Act::Flow(1.0), Act::Pause(HAUNT)];
    let reconfigure = reconfigured.then_some(Act::Reconfigure(Node::A));
    Case::new(name).then(takeover).then(reconfigure).then(back)
}

/// A renews its leases seldom, and does not notice that they are gone. It goes on to write the log, and to score; B owns the
/// partitions and takes its time to begin. Only the epoch tells A's commits from B's.
pub(super) fn lease_lost(number: u32) -> Case {
    let seldom = Settings { lease: "30s", ..Settings::default() };
    Case::new(format!("leases-lost-{number}")).then([
        Act::Set(seldom),
        Act::Start(Node::A, vec![]),
        Act::Flow(0.3),
        Act::Stored(0.15),
        Act::Set(Settings::default()),
        Act::Start(Node::B, vec![]),
        Act::Pause(HAUNT),
        Act::ClosePast,
        Act::DropLeases,
        Act::Owns(Node::B),
        Act::Flow(0.6),
        Act::Refused(Node::A),
        Act::OpenPast,
        Act::Stored(0.4),
        Act::Flow(0.8),
        Act::Stop(Node::A),
    ])
}
