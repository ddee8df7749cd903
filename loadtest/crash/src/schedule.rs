//! Random schedules: engines with random settings die at random places, or are killed or stopped, while servers come and go.

use std::time::Duration;

use thicket_actors::faults::PLACES;
use thicket_loadtest::random::{Key, Stream};

use crate::case::{Act, Case, Fault, Node};
use crate::matrix::reached;
use crate::settings::Settings;
use crate::stage::Server;

/// How much is published while things go wrong. The rest holds a checkpoint of every sensor, whatever got lost before.
const BEFORE_THE_END: f64 = 0.65;

/// The schedule of a seed.
pub fn schedule(seed: u64) -> Case {
    let mut dice = Key::root(seed, "crash schedule").stream();
    let mut case = Case::new(format!("schedule-{seed}"));
    let lives = 2 + pick(&mut dice, 3);
    for life in 0..lives {
        let part = BEFORE_THE_END * (life + 1) as f64 / lives as f64;
        case.acts.push(Act::Set(settings(&mut dice)));
        let mut faults = Vec::new();
        // The first engine makes the session at the broker, so it may not die at its start.
        if life > 0 && dice.unit() < 0.7 {
            faults.push(fault(&mut dice));
        }
        case.acts.extend([Act::Start(Node::A, faults), Act::Flow(part)]);
        if dice.unit() < 0.35 {
            let servers = [Server::Redis, Server::Postgres, Server::Mosquitto];
            let server = servers[pick(&mut dice, 3)];
            case.letters_may_repeat |= server == Server::Mosquitto;
            let before = Duration::from_millis(200 + pick(&mut dice, 800) as u64);
            let pause = Duration::from_millis(pick(&mut dice, 900) as u64);
            // What kills the broker waits for the engine to commit; the engine must be there for that.
            if server == Server::Mosquitto {
                replace_faults(&mut case.acts);
            }
            case.acts.extend([Act::Pause(before), Act::Outage(server, pause)]);
        }
        if dice.unit() < 0.2 {
            case.acts.push(Act::Stop(Node::A));
            replace_faults(&mut case.acts);
        } else {
            let patience = Duration::from_millis(300 + pick(&mut dice, 1_500) as u64);
            case.acts.push(Act::DiesOrIsKilled(Node::A, patience));
        }
    }
    case
}

/// The engine started last does not die by itself.
fn replace_faults(acts: &mut [Act]) {
    let started = acts.iter_mut().rev().find_map(|act| match act {
        Act::Start(_, faults) => Some(faults),
        _ => None,
    });
    if let Some(faults) = started {
        faults.clear();
    }
}

fn fault(dice: &mut Stream) -> Fault {
    // A verdict needs a reading that kills, which no schedule has.
    let places: Vec<&str> = PLACES.into_iter().filter(|place| !place.starts_with("verdict.")).collect();
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
        max_resident: [3, 20_000][pick(dice, 2)],
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
        let text = |seed| format!("{:?}", schedule(seed).acts);
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }
}
