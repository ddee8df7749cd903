//! Every case there is. Where a fail point fires follows from the seed, within bounds in which it surely does.

mod engines;
mod servers;
mod settings;
mod zombies;

use thicket_loadtest::random::Key;

use crate::case::{Case, Fault};

/// All cases for a seed.
pub fn cases(seed: u64) -> Vec<Case> {
    let dice = Dice(Key::root(seed, "crash matrix"));
    let mut cases = Vec::new();
    cases.extend(engines::cases(dice));
    cases.extend(servers::cases());
    cases.extend(zombies::cases());
    cases.extend(settings::cases(dice));
    cases
}

/// A rule that is broken on purpose, and the cases that ought to notice.
#[derive(Debug)]
pub struct Mutation {
    /// One of `thicket_actors::faults::RULES`.
    pub rule: &'static str,
    /// The likeliest first. One that turns red is enough.
    pub cases: Vec<Case>,
}

/// The mutations for a seed: the harness is no good if one of them passes.
pub fn mutations(seed: u64) -> Vec<Mutation> {
    let dice = Dice(Key::root(seed, "crash mutations"));
    let of = |rule, cases: Vec<Case>| Mutation {
        rule,
        cases: cases.into_iter().map(|case| case.breaking(rule)).collect(),
    };
    vec![
        of("rule.acknowledge_after_append", engines::acknowledgement_cases(dice)),
        of("rule.position_with_rows", engines::position_cases(dice)),
        of("rule.rows_before_checkpoint", engines::checkpoint_cases(dice)),
        of(
            "rule.epoch_is_checked",
            vec![zombies::lease_lost(1), zombies::lease_lost(2), zombies::lease_lost(3)],
        ),
        of("rule.append_once", engines::append_cases(dice)),
    ]
}

/// Draws the counts.
#[derive(Clone, Copy, Debug)]
struct Dice(Key);

impl Dice {
    /// A fault at a place, at a pass that any run reaches; `salt` tells draws for the same place apart.
    fn fault(self, place: &'static str, salt: u64) -> Fault {
        let (low, high) = reached(place);
        let number = place.bytes().fold(salt, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
        let count = low + self.0.at(number).bits() % (high - low);
        Fault { place, count }
    }
}

/// Passes of a place among which a run that goes on long enough surely is.
pub(crate) fn reached(place: &str) -> (u64, u64) {
    match place.split('.').next().unwrap_or_default() {
        "append" => (8, 80),
        "ack" => (200, 3_500),
        "score" => (40, 200),
        "read" | "insert" | "commit" => (3, 16),
        "checkpoint" => (1, 10),
        "trim" => (1, 5),
        "renewal" => (3, 7),
        "restore" => (1, 8),
        "verdict" => (1, 4),
        _ => (1, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_fit_for_files() {
        let mut names: Vec<String> = cases(1).into_iter().map(|case| case.name).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))));
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
