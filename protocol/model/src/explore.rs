//! Tries every order of events, breadth first, and visits each state once. Visited states are kept
//! as 64-bit hashes. The chance that two of a million states share a hash is below one in ten
//! million.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::action::{actions, apply};
use crate::event::Action;
use crate::properties::{violation, violation_in_final_state};
use crate::setting::Setting;
use crate::world::World;

/// The result of an exploration.
#[derive(Debug)]
pub struct Report {
    /// Number of states. States that differ only by the numbers of the nodes count as one.
    pub states: usize,
    /// Number of events that were tried in these states.
    pub steps: usize,
    /// Number of events to the state that is furthest from the start.
    pub depth: usize,
    /// Number of states in which only faults are possible.
    pub final_states: usize,
    /// Whether every state was visited.
    pub complete: bool,
    /// The shortest trace to a violation, if there is one.
    pub counterexample: Option<Counterexample>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, final_states, complete, .. } = self;
        let visited = if *complete { "all" } else { "not all" };
        write!(f, "{states} states ({visited}), {steps} steps, depth {depth}, {final_states} final states")
    }
}

/// A trace to a violation.
#[derive(Debug)]
pub struct Counterexample {
    /// The violation in the last world.
    pub violation: String,
    /// The events, each with the world after it.
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

/// One state in 32 is followed to a final state.
const FOLLOW_ONE_IN: usize = 32;
/// More events than any state is away from a final state.
const MOST_EVENTS: usize = 1_000;

/// Visited states by key. The value is the state before and the event between, `None` for the
/// start.
type Visited = HashMap<u64, Option<(u64, Action)>, BuildHasherDefault<IdentityHasher>>;

/// Tries every order of events that the setting allows. Stops at the first violation, or when more
/// than `most_states` states are visited.
pub fn explore(setting: &Setting, most_states: usize) -> Report {
    let initial = World::new(setting);
    let mut visited = Visited::default();
    visited.insert(key(&initial), None);
    let initial = (key(&initial), initial);
    let mut report =
        Report { states: 0, steps: 0, depth: 0, final_states: 0, complete: true, counterexample: None };
    let mut frontier = vec![initial];
    let mut possible = Vec::new();
    while !frontier.is_empty() && report.complete {
        let mut next = Vec::new();
        for (from, world) in &frontier {
            let from = *from;
            possible.clear();
            actions(world, setting, &mut possible);
            if possible.iter().all(Action::is_fault) {
                report.final_states += 1;
                if let Some(found) = violation_in_final_state(world, setting) {
                    report.states = visited.len();
                    report.counterexample = Some(retrace(setting, &visited, from, found));
                    return report;
                }
            }
            for &action in &possible {
                report.steps += 1;
                let after = apply(world, action, setting);
                let to = key(&after);
                if visited.contains_key(&to) {
                    continue;
                }
                visited.insert(to, Some((from, action)));
                if let Some(found) = violation(&after, setting) {
                    report.states = visited.len();
                    report.depth += 1;
                    report.counterexample = Some(retrace(setting, &visited, to, found));
                    return report;
                }
                if visited.len().is_multiple_of(FOLLOW_ONE_IN) && !reaches_a_final_state(&after, setting) {
                    let found = format!("no final state after {MOST_EVENTS} more events");
                    report.states = visited.len();
                    report.counterexample = Some(retrace(setting, &visited, to, found));
                    return report;
                }
                next.push((to, after));
            }
            report.complete = visited.len() <= most_states;
            if !report.complete {
                break;
            }
        }
        if !next.is_empty() {
            report.depth += 1;
        }
        frontier = next;
    }
    report.states = visited.len();
    report
}

/// Whether a world reaches a final state if no further fault happens.
fn reaches_a_final_state(world: &World, setting: &Setting) -> bool {
    let mut world = world.clone();
    let mut possible = Vec::new();
    for _ in 0..MOST_EVENTS {
        possible.clear();
        actions(&world, setting, &mut possible);
        let Some(&action) = possible.iter().find(|action| !action.is_fault()) else { return true };
        world = apply(&world, action, setting);
    }
    false
}

/// Builds the trace to a visited state: the events back to the start, replayed forwards.
fn retrace(setting: &Setting, visited: &Visited, mut to: u64, violation: String) -> Counterexample {
    let mut events = Vec::new();
    while let Some(&Some((from, action))) = visited.get(&to) {
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

/// Hashes a world. Worlds that differ only by the numbers of the nodes have the same key.
fn key(world: &World) -> u64 {
    let hash = |swapped: bool| {
        let mut hasher = StateHasher(0);
        world.hash_nodes(swapped, &mut hasher);
        hasher.finish()
    };
    hash(false).min(hash(true))
}

/// A fast hash: multiply and fold, word by word, as wyhash does.
struct StateHasher(u64);

impl Hasher for StateHasher {
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

/// Returns a key unchanged: keys are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
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
