//! Breadth first through every order of events, each state once. States are remembered by a hash of 64 bits; of a million, the chance that two
//! are taken for one is below one in ten million.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::action::{Action, actions, apply};
use crate::properties::{violation, violation_when_settled};
use crate::setting::Setting;
use crate::world::World;

/// What an exploration found.
#[derive(Debug)]
pub struct Report {
    /// Different states, those that differ only by the names of the nodes taken as one.
    pub states: usize,
    /// Events from any of them to another.
    pub steps: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// States in which nothing is left to do.
    pub commit_finished: usize,
    /// Whether every state was seen.
    pub complete: bool,
    /// The shortest way to go wrong, if there is one.
    pub counterexample: Option<Counterexample>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, commit_finished, complete, .. } = self;
        let seen = if *complete { "all" } else { "not all" };
        write!(f, "{states} states ({seen}), {steps} steps, depth {depth}, {commit_finished} commit_finished")
    }
}

/// A way to go wrong.
#[derive(Debug)]
pub struct Counterexample {
    /// What is wrong at its end.
    pub violation: String,
    /// The events that lead there, each with the world after it.
    pub trace: Vec<(Action, World)>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after {} events:", self.violation, self.trace.len())?;
        for (number, (action, world)) in self.trace.iter().enumerate() {
            writeln!(f, "{:4}. {:64} {world}", number + 1, action.to_string())?;
        }
        Ok(())
    }
}

/// One world in so many is followed until it comes to rest.
const ONE_IN: usize = 32;
/// By then every world has come to rest.
const LONG_ENOUGH: usize = 1_000;

type Seen = HashMap<u64, Option<(u64, Action)>, BuildHasherDefault<Already>>;

/// Tries every order of events that the setting allows, up to so many states.
pub fn explore(setting: &Setting, most_states: usize) -> Report {
    let initial = World::new(setting);
    let mut seen = Seen::default();
    seen.insert(key(&initial), None);
    let initial = (key(&initial), initial);
    let mut report =
        Report { states: 0, steps: 0, depth: 0, commit_finished: 0, complete: true, counterexample: None };
    let mut frontier = vec![initial];
    let mut possible = Vec::new();
    while !frontier.is_empty() && report.complete {
        let mut next = Vec::new();
        for (from, world) in &frontier {
            let from = *from;
            possible.clear();
            actions(world, setting, &mut possible);
            if possible.iter().all(Action::is_fault) {
                report.commit_finished += 1;
                if let Some(violation) = violation_when_settled(world, setting) {
                    report.states = seen.len();
                    report.counterexample = Some(retrace(setting, &seen, from, violation));
                    return report;
                }
            }
            for &action in &possible {
                report.steps += 1;
                let after = apply(world, action, setting);
                let to = key(&after);
                if seen.contains_key(&to) {
                    continue;
                }
                seen.insert(to, Some((from, action)));
                if let Some(violation) = violation(&after, setting) {
                    report.states = seen.len();
                    report.depth += 1;
                    report.counterexample = Some(retrace(setting, &seen, to, violation));
                    return report;
                }
                if seen.len().is_multiple_of(ONE_IN) && !comes_to_rest(&after, setting) {
                    let violation = "whatever happens next, it goes on for ever".to_owned();
                    report.states = seen.len();
                    report.counterexample = Some(retrace(setting, &seen, to, violation));
                    return report;
                }
                next.push((to, after));
            }
            report.complete = seen.len() <= most_states;
            if !report.complete {
                break;
            }
        }
        if !next.is_empty() {
            report.depth += 1;
        }
        frontier = next;
    }
    report.states = seen.len();
    report
}

/// Whether a world comes to rest if nothing goes wrong any more.
fn comes_to_rest(world: &World, setting: &Setting) -> bool {
    let mut world = world.clone();
    let mut possible = Vec::new();
    for _ in 0..LONG_ENOUGH {
        possible.clear();
        actions(&world, setting, &mut possible);
        let Some(&action) = possible.iter().find(|action| !action.is_fault()) else { return true };
        world = apply(&world, action, setting);
    }
    false
}

fn retrace(setting: &Setting, seen: &Seen, mut to: u64, violation: String) -> Counterexample {
    let mut events = Vec::new();
    while let Some(&Some((from, action))) = seen.get(&to) {
        events.push(action);
        to = from;
    }
    let mut world = World::new(setting);
    let trace = events.into_iter().rev().map(|action| {
        world = apply(&world, action, setting);
        (action, world.clone())
    });
    Counterexample { violation, trace: trace.collect() }
}

/// The same for two worlds that differ only by the names of the nodes.
fn key(world: &World) -> u64 {
    let of = |exchanged: bool| {
        let mut mixer = Mixer(0);
        world.hash_as(exchanged, &mut mixer);
        mixer.finish()
    };
    of(false).min(of(true))
}

/// A fast hash of good spread: multiply and fold, word by word, as wyhash does.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        fold(self.0 ^ 0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word ^ 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3).wrapping_add(word);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// Keys are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are words");
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}
