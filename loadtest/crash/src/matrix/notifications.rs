//! The sender of notifications is killed at every step, its receiver does not accept them, its node
//! is taken for dead, or a server is killed.

use std::time::Duration;

use thicket_store::faults::NOTIFICATION_POINTS;

use super::engines::dies;
use crate::case::{Action, Case, Fault, Node};
use crate::dice::Dice;
use crate::environment::Server;

/// Longer than two polls of the outbox.
const SEND: Duration = Duration::from_millis(2_500);
/// Longer than the lease of a route.
const DEAD: Duration = Duration::from_secs(22);

pub(super) fn cases(dice: Dice) -> Vec<Case> {
    let mut cases: Vec<Case> = NOTIFICATION_POINTS
        .into_iter()
        .map(|place| notified(dies(format!("notify-kill-{place}"), vec![dice.fault(place, 0)])))
        .collect();
    cases.push(again("notify-kill-thrice-after-sending", "notify.after", 3));
    cases.push(again("notify-kill-thrice-in-the-middle-of-a-message", "compose.partial", 3));
    cases.push(away());
    cases.push(takeover());
    cases.push(frozen());
    cases.push(outage("notify-kill-postgres", Server::Postgres));
    cases.push(outage("notify-kill-mosquitto", Server::Mosquitto));
    cases
}

/// A message that counts as sent before it is sent is lost.
pub(super) fn unsent_cases(dice: Dice) -> Vec<Case> {
    let case = |place, salt| {
        notified(dies(format!("notify-kill-{place}-unsent-{salt}"), vec![dice.fault(place, salt)]))
    };
    vec![case("notify.before", 1), case("notify.before", 2), case("over.before", 1)]
}

fn notified(case: Case) -> Case {
    Case { notified: true, ..case }
}

/// One engine after another is killed at the same step. All readings are stored before: a reading
/// that is being scored at the third crash is quarantined as its cause.
fn again(name: &str, place: &'static str, times: u32) -> Case {
    let first = Fault { place, count: 1 };
    let stored = [
        Action::Refuse(503),
        Action::Start(Node::A, vec![]),
        Action::Release(1.0),
        Action::Settle,
        Action::UntilIdle,
        Action::Kill(Node::A),
        Action::Refuse(200),
    ];
    let deaths = (0..times).flat_map(|_| [Action::Start(Node::A, vec![first]), Action::UntilKilled(Node::A)]);
    notified(Case::new(name).then(stored).then(deaths))
}

/// The receiver refuses everything while an engine is killed and another goes on.
fn away() -> Case {
    notified(Case::new("notify-receiver-away").then([
        Action::Refuse(503),
        Action::Start(Node::A, vec![]),
        Action::Release(0.7),
        Action::UntilRefused(2),
        Action::Kill(Node::A),
        Action::Start(Node::A, vec![]),
        Action::Release(1.0),
        Action::UntilRefused(4),
        Action::Refuse(200),
    ]))
}

/// Two nodes send. The one that holds the routes is killed, and the other goes on.
fn takeover() -> Case {
    notified(Case::new("notify-takeover").then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.5),
        Action::UntilStored(0.3),
        Action::Start(Node::B, vec![]),
        Action::Pause(SEND),
        Action::Kill(Node::A),
        Action::UntilOwner(Node::B),
        Action::Release(1.0),
    ]))
}

/// The node that holds the routes is frozen for longer than its lease, and goes on when another one
/// has taken them.
fn frozen() -> Case {
    notified(Case::new("notify-zombie").then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.5),
        Action::UntilStored(0.3),
        Action::Start(Node::B, vec![]),
        Action::Pause(SEND),
        Action::Freeze(Node::A),
        Action::UntilOwner(Node::B),
        Action::Release(1.0),
        Action::Pause(DEAD),
        Action::Thaw(Node::A),
        Action::Pause(SEND),
        Action::Kill(Node::A),
    ]))
}

/// The broker may come back with retained messages of an earlier time.
fn outage(name: &str, server: Server) -> Case {
    let actions = [
        Action::Start(Node::A, vec![]),
        Action::Release(1.0),
        Action::UntilStored(0.4),
        Action::Outage(server, SEND),
    ];
    let dead_letters_may_repeat = server == Server::Mosquitto;
    Case { dead_letters_may_repeat, ..notified(Case::new(name).then(actions)) }
}
