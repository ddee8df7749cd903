//! Random cases: engines with random settings are killed at random fail points or times, or
//! stopped, while servers are killed and restarted.

use std::time::Duration;

use thicket_loadtest::random::{Key, Stream};
use thicket_store::faults::FAIL_POINTS;

use crate::case::{Action, Case, Fault, Node};
use crate::dice::reached;
use crate::environment::Server;
use crate::settings::Settings;

/// The part that is published while engines and servers are disturbed. The rest is long enough for
/// a checkpoint of every sensor.
const BEFORE_THE_END: f64 = 0.65;

/// One schedule in this number sends notifications.
const NOTIFIED: u64 = 3;

/// The schedule of a seed.
pub fn schedule(seed: u64) -> Case {
    let mut dice = Key::root(seed, "crash schedule").stream();
    let mut case = Case::new(format!("schedule-{seed}"));
    case.notified = seed.is_multiple_of(NOTIFIED);
    let lives = 2 + pick(&mut dice, 3);
    for life in 0..lives {
        let part = BEFORE_THE_END * (life + 1) as f64 / lives as f64;
        case.actions.push(Action::Set(settings(&mut dice)));
        let mut faults = Vec::new();
        // The first engine creates the session at the broker, so it may not be killed at its start.
        if life > 0 && dice.unit() < 0.7 {
            faults.push(fault(&mut dice));
        }
        case.actions.extend([Action::Start(Node::A, faults), Action::Release(part)]);
        if dice.unit() < 0.35 {
            let servers = [Server::Redis, Server::Postgres, Server::Mosquitto];
            let server = servers[pick(&mut dice, 3)];
            case.dead_letters_may_repeat |= server == Server::Mosquitto;
            let before = Duration::from_millis(200 + pick(&mut dice, 800) as u64);
            let pause = Duration::from_millis(pick(&mut dice, 900) as u64);
            // An outage of the broker waits for the engine to commit, so the engine must run.
            if server == Server::Mosquitto {
                remove_faults(&mut case.actions);
            }
            case.actions.extend([Action::Pause(before), Action::Outage(server, pause)]);
        }
        if dice.unit() < 0.2 {
            case.actions.push(Action::Stop(Node::A));
            remove_faults(&mut case.actions);
        } else {
            let limit = Duration::from_millis(300 + pick(&mut dice, 1_500) as u64);
            case.actions.push(Action::KillAfter(Node::A, limit));
        }
    }
    case
}

/// Removes the faults of the engine that was started last.
fn remove_faults(actions: &mut [Action]) {
    let started = actions.iter_mut().rev().find_map(|action| match action {
        Action::Start(_, faults) => Some(faults),
        _ => None,
    });
    if let Some(faults) = started {
        faults.clear();
    }
}

fn fault(dice: &mut Stream) -> Fault {
    // Quarantine needs a reading that panics its detector, and a hand-over a second node; schedules
    // have neither.
    let occurs = |place: &&str| !place.starts_with("quarantine.") && !place.starts_with("hand-over.");
    let places: Vec<&str> = FAIL_POINTS.into_iter().filter(occurs).collect();
    let place = places[pick(dice, places.len())];
    let (_, high) = reached(place);
    Fault { place, count: 1 + dice.bits() % high }
}

fn settings(dice: &mut Stream) -> Settings {
    Settings {
        shards: [1, 2, 5][pick(dice, 3)],
        max_records: [5, 40, 100, 1_000][pick(dice, 4)],
        max_rows: [50, 500, 20_000][pick(dice, 3)],
        linger: ["0ms", "5ms", "30ms"][pick(dice, 3)],
        writers: [1, 2, 4][pick(dice, 3)],
        max_detectors: [3, 20_000][pick(dice, 2)],
        ..Settings::default()
    }
}

fn pick(dice: &mut Stream, count: usize) -> usize {
    (dice.bits() % count as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_its_schedule() {
        let text = |seed| format!("{:?}", schedule(seed).actions);
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }
}
