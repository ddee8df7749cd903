//! The engine ends itself at every place, once and again.

use std::time::Duration;

use thicket_actors::faults::{LOST_REPLIES, PLACES};

use super::Dice;
use crate::case::{Act, Case, Fault, Node, PLAIN};
use crate::settings::Settings;
use crate::traffic::Shape;

/// What an engine logs that takes a reply for lost.
const LOST: &str = "a reply that a test took away";

/// Places that an engine passes when it follows on one that was killed.
const FOLLOWING: [&str; 4] = ["takeover.before", "takeover.after", "restore.before", "restore.after"];
/// Places that an engine passes where a reading panics its detector.
const JUDGING: [&str; 2] = ["verdict.before", "verdict.after"];

pub(super) fn cases(dice: Dice) -> Vec<Case> {
    let mut cases = vec![Case::new("undisturbed-again").exactly()];
    // Those of a verdict and of a restore need more than traffic, and a reply that is lost kills nobody.
    let flows = |place: &&str| !["verdict.", "restore."].iter().any(|step| place.starts_with(step));
    for place in PLACES.into_iter().filter(flows).filter(|place| !LOST_REPLIES.contains(place)) {
        cases.push(dies(format!("kill-{place}"), vec![dice.fault(place, 0)]));
    }
    for place in FOLLOWING {
        cases.push(dies_following(format!("kill-following-{place}"), dice.fault(place, 0)));
    }
    for place in JUDGING {
        let shape = Shape { poison: true, ..PLAIN };
        cases.push(Case { shape, ..dies(format!("kill-{place}"), vec![dice.fault(place, 0)]) });
    }
    for place in LOST_REPLIES {
        cases.push(lost(place.to_owned(), dice.fault(place, 0)));
    }
    // Not thrice: whoever is there for a third death while a reading is scored is held to be its cause, and may be.
    cases.push(again("kill-twice-at-the-first-score", "score.before", 2));
    cases.push(again("kill-thrice-at-the-first-insert", "insert.after", 3));
    cases.push(again("kill-thrice-at-the-first-commit", "commit.before", 3));
    cases.push(again("kill-thrice-at-the-first-read", "read.after", 3));
    // In a message that comes again, both parts are marked as such, although neither is there yet.
    let shape = Shape { twins: true, ..PLAIN };
    cases.extend(acknowledgement_cases(dice).into_iter().take(1).map(|case| Case {
        shape,
        name: "letters-that-look-alike".to_owned(),
        ..case
    }));
    cases
}

/// The engine dies; another goes on.
pub(super) fn dies(name: String, faults: Vec<Fault>) -> Case {
    Case::new(name).then([Act::Start(Node::A, faults), Act::Flow(1.0), Act::Dies(Node::A)]).prepared()
}

fn lost(name: String, fault: Fault) -> Case {
    let acts = [Act::Start(Node::A, vec![fault]), Act::Flow(1.0), Act::Meets(Node::A, LOST)];
    Case::new(name).then(acts).exactly()
}

fn dies_following(name: String, fault: Fault) -> Case {
    Case::new(name).then([
        Act::Start(Node::A, vec![]),
        Act::Flow(0.6),
        Act::Stored(0.3),
        Act::Kill(Node::A),
        Act::Flow(1.0),
        Act::Start(Node::A, vec![fault]),
        Act::Dies(Node::A),
    ])
}

/// One engine after another dies at the same place of the log.
fn again(name: &str, place: &'static str, times: u32) -> Case {
    let first = Fault { place, count: 1 };
    let acts =
        [Act::Start(Node::A, vec![]), Act::Flow(0.6), Act::Stored(0.3), Act::Kill(Node::A), Act::Flow(1.0)];
    let deaths = (0..times).flat_map(|_| [Act::Start(Node::A, vec![first]), Act::Dies(Node::A)]);
    Case::new(name).then(acts).then(deaths)
}

impl Case {
    /// A first engine makes the session at the broker, before anything is published.
    fn prepared(mut self) -> Self {
        self.acts.splice(0..0, [Act::Start(Node::A, vec![]), Act::Stop(Node::A)]);
        self
    }
}

/// With a long linger, an acknowledgement that does not wait for the append is long gone when the engine dies before it.
pub(super) fn acknowledgement_cases(dice: Dice) -> Vec<Case> {
    let settings = Settings { linger: "60ms", ..Settings::default() };
    (1..4)
        .map(|salt| {
            let Fault { place, count } = dice.fault("append.before", salt);
            let fault = Fault { place, count: 5 + count / 4 };
            let mut case = dies(format!("kill-append.before-lingering-{salt}"), vec![fault]);
            case.acts.insert(0, Act::Set(settings.clone()));
            case
        })
        .collect()
}

/// With one writer, the second of two passes is the one between the rows and the position, if they are apart.
pub(super) fn position_cases(dice: Dice) -> Vec<Case> {
    let settings = Settings { writers: 1, ..Settings::default() };
    (1..4)
        .map(|salt| {
            let Fault { place, count } = dice.fault("commit.before", salt);
            let fault = Fault { place, count: 10 + count / 2 * 2 };
            let mut case = dies(format!("kill-commit.before-one-writer-{salt}"), vec![fault]);
            case.acts.insert(0, Act::Set(settings.clone()));
            case
        })
        .collect()
}

/// Where commits take long, a checkpoint that does not wait for them overtakes them.
pub(super) fn checkpoint_cases(dice: Dice) -> Vec<Case> {
    (1..5)
        .map(|salt| {
            let fault = dice.fault("checkpoint.after", salt);
            let mut case = dies(format!("kill-checkpoint.after-slow-commits-{salt}"), vec![fault]);
            case.acts.insert(2, Act::SlowCommits);
            case
        })
        .collect()
}

pub(super) fn append_cases(dice: Dice) -> Vec<Case> {
    (1..4).map(|salt| lost(format!("append.lost-{salt}"), dice.fault("append.lost", salt))).collect()
}

/// Engines that are started and stopped, or killed, at times of the seed's.
pub(super) fn comings_and_goings(dice: Dice, kill: bool) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut part = 0.0;
    for step in 0..4 {
        part += 0.08 + 0.08 * dice.0.at(900 + step).unit();
        acts.extend([Act::Start(Node::A, vec![]), Act::Flow(part + 0.05), Act::Stored(part * 0.8)]);
        acts.push(if kill { Act::Kill(Node::A) } else { Act::Stop(Node::A) });
        acts.push(Act::Pause(Duration::from_millis(dice.0.at(950 + step).bits() % 300)));
    }
    acts
}
