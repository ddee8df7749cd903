//! Nodes that share the partitions come and go, and are killed while partitions move.

use crate::case::{Action, Case, Fault, Node};
use crate::dice::Dice;

pub(super) fn cases(dice: Dice) -> Vec<Case> {
    let mut cases = vec![joins_and_leaves()];
    for place in ["hand-over.before", "hand-over.after"] {
        cases.push(giver_dies(format!("kill-{place}"), dice.fault(place, 0)));
    }
    for place in ["takeover.before", "takeover.after"] {
        cases.push(receiver_dies(format!("shared-kill-{place}"), Fault { place, count: 1 }));
    }
    cases
}

/// A second node joins twice. It stops once, and the first node is killed once.
fn joins_and_leaves() -> Case {
    Case::new("shared-by-nodes-that-come-and-go").then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.25),
        Action::UntilStored(0.15),
        Action::Start(Node::B, vec![]),
        Action::Release(0.4),
        Action::UntilShared,
        Action::Release(0.5),
        Action::UntilStored(0.35),
        Action::Stop(Node::B),
        Action::Release(0.6),
        Action::UntilOwner(Node::A),
        Action::Start(Node::B, vec![]),
        Action::UntilShared,
        Action::Release(0.75),
        Action::UntilStored(0.6),
        Action::Kill(Node::A),
        Action::Release(0.9),
        Action::UntilOwner(Node::B),
    ])
}

/// A node is killed while it hands a partition over to one that has joined.
fn giver_dies(name: String, fault: Fault) -> Case {
    Case::new(name).then([
        Action::Start(Node::A, vec![fault]),
        Action::Release(0.4),
        Action::UntilStored(0.2),
        Action::Start(Node::B, vec![]),
        Action::Release(0.8),
        Action::UntilKilled(Node::A),
    ])
}

/// A node that has joined is killed while it takes the first partition that is handed over to it.
fn receiver_dies(name: String, fault: Fault) -> Case {
    Case::new(name).then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.4),
        Action::UntilStored(0.2),
        Action::Start(Node::B, vec![fault]),
        Action::Release(0.8),
        Action::UntilKilled(Node::B),
        Action::UntilOwner(Node::A),
    ])
}
