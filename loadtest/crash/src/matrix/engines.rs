//! The engine kills itself at every fail point, once and several times.

use std::time::Duration;

use thicket_store::faults::{FAIL_POINTS, LOST_REPLIES};

use crate::case::{Action, Case, Fault, Node, PLAIN};
use crate::dice::Dice;
use crate::settings::Settings;
use crate::traffic::Shape;

/// Fail points that an engine passes when it takes over from one that was killed.
const FOLLOWING: [&str; 4] = ["takeover.before", "takeover.after", "restore.before", "restore.after"];
/// Fail points that an engine passes when a reading panics its detector.
const QUARANTINING: [&str; 2] = ["quarantine.before", "quarantine.after"];

pub(super) fn cases(dice: Dice) -> Vec<Case> {
    let mut cases = vec![Case::new("undisturbed-again").exactly()];
    // Quarantine, restore and hand-over need more than traffic, and a lost reply does not kill the
    // engine.
    let flows =
        |place: &&str| !["quarantine.", "restore.", "hand-over."].iter().any(|step| place.starts_with(step));
    for place in FAIL_POINTS.into_iter().filter(flows).filter(|place| !LOST_REPLIES.contains(place)) {
        cases.push(dies(format!("kill-{place}"), vec![dice.fault(place, 0)]));
    }
    for place in FOLLOWING {
        cases.push(dies_following(format!("kill-following-{place}"), dice.fault(place, 0)));
    }
    for place in QUARANTINING {
        let shape = Shape { poison: true, ..PLAIN };
        cases.push(Case { shape, ..dies(format!("kill-{place}"), vec![dice.fault(place, 0)]) });
    }
    for place in LOST_REPLIES {
        cases.push(lost(place.to_owned(), dice.fault(place, 0)));
    }
    // Not three times: a reading that is being scored at the third crash is quarantined as its
    // cause.
    cases.push(again("kill-twice-at-the-first-score", "score.before", 2));
    cases.push(again("kill-thrice-at-the-first-insert", "insert.after", 3));
    cases.push(again("kill-thrice-at-the-first-commit", "commit.before", 3));
    cases.push(again("kill-thrice-at-the-first-read", "read.after", 3));
    // Both dead letters of a redelivered message are marked as redelivered, although neither is
    // stored yet.
    let shape = Shape { twins: true, ..PLAIN };
    cases.extend(acknowledgement_cases(dice).into_iter().take(1).map(|case| Case {
        shape,
        name: "dead-letters-that-look-alike".to_owned(),
        ..case
    }));
    cases
}

/// The engine is killed; another continues.
pub(super) fn dies(name: String, faults: Vec<Fault>) -> Case {
    Case::new(name)
        .then([Action::Start(Node::A, faults), Action::Release(1.0), Action::UntilKilled(Node::A)])
        .prepared()
}

fn lost(name: String, fault: Fault) -> Case {
    let actions =
        [Action::Start(Node::A, vec![fault]), Action::Release(1.0), Action::UntilReplyLost(Node::A)];
    Case::new(name).then(actions).exactly()
}

fn dies_following(name: String, fault: Fault) -> Case {
    Case::new(name).then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.6),
        Action::UntilStored(0.3),
        Action::Kill(Node::A),
        Action::Release(1.0),
        Action::Start(Node::A, vec![fault]),
        Action::UntilKilled(Node::A),
    ])
}

/// One engine after another is killed at the same place of the log.
fn again(name: &str, place: &'static str, times: u32) -> Case {
    let first = Fault { place, count: 1 };
    let actions = [
        Action::Start(Node::A, vec![]),
        Action::Release(0.6),
        Action::UntilStored(0.3),
        Action::Kill(Node::A),
        Action::Release(1.0),
    ];
    let deaths = (0..times).flat_map(|_| [Action::Start(Node::A, vec![first]), Action::UntilKilled(Node::A)]);
    Case::new(name).then(actions).then(deaths)
}

impl Case {
    /// Lets a first engine create the session at the broker before anything is published.
    fn prepared(mut self) -> Self {
        self.actions.splice(0..0, [Action::Start(Node::A, vec![]), Action::Stop(Node::A)]);
        self
    }
}

/// With a long linger, an acknowledgement that does not wait for the append is sent long before the
/// engine is killed.
pub(super) fn acknowledgement_cases(dice: Dice) -> Vec<Case> {
    let settings = Settings { linger: "60ms", ..Settings::default() };
    (1..4)
        .map(|salt| {
            let Fault { place, count } = dice.fault("append.before", salt);
            let fault = Fault { place, count: 5 + count / 4 };
            let mut case = dies(format!("kill-append.before-lingering-{salt}"), vec![fault]);
            case.actions.insert(0, Action::Set(settings.clone()));
            case
        })
        .collect()
}

/// If rows and position are in two transactions of one writer, an even pass is the one between
/// them.
pub(super) fn position_cases(dice: Dice) -> Vec<Case> {
    let settings = Settings { writers: 1, ..Settings::default() };
    (1..4)
        .map(|salt| {
            let Fault { place, count } = dice.fault("commit.before", salt);
            let fault = Fault { place, count: 10 + count / 2 * 2 };
            let mut case = dies(format!("kill-commit.before-one-writer-{salt}"), vec![fault]);
            case.actions.insert(0, Action::Set(settings.clone()));
            case
        })
        .collect()
}

/// If commits take long, a checkpoint that does not wait for them is saved before them.
pub(super) fn checkpoint_cases(dice: Dice) -> Vec<Case> {
    (1..5)
        .map(|salt| {
            let fault = dice.fault("checkpoint.after", salt);
            let mut case = dies(format!("kill-checkpoint.after-slow-commits-{salt}"), vec![fault]);
            case.actions.insert(2, Action::SlowCommits);
            case
        })
        .collect()
}

pub(super) fn append_cases(dice: Dice) -> Vec<Case> {
    (1..4).map(|salt| lost(format!("append.lost-{salt}"), dice.fault("append.lost", salt))).collect()
}

/// Starts engines and stops or kills them, at times that follow from the seed.
pub(super) fn comings_and_goings(dice: Dice, kill: bool) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut part = 0.0;
    for step in 0..4 {
        part += 0.08 + 0.08 * dice.unit(900 + step);
        actions.extend([
            Action::Start(Node::A, vec![]),
            Action::Release(part + 0.05),
            Action::UntilStored(part * 0.8),
        ]);
        actions.push(if kill { Action::Kill(Node::A) } else { Action::Stop(Node::A) });
        actions.push(Action::Pause(Duration::from_millis(dice.bits(950 + step) % 300)));
    }
    actions
}
