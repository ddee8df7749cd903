//! Every case. Where a fail point fires follows from the seed, within a range that every run
//! reaches.
//!
//! - `engines`: the engine is killed; `servers`: a server is killed; `zombies`: a node is taken for
//!   dead; `shares`: nodes that share the partitions come and go
//! - `outages`: a server is full, locked or unreachable, a clock jumps, memory is used up
//! - `notifications`: the sender of notifications is killed, or its receiver does not accept
//! - `settings`: settings that may not change a row

mod engines;
mod notifications;
mod outages;
mod servers;
mod settings;
mod shares;
mod zombies;

use crate::case::Case;
use crate::dice::Dice;

/// All cases for a seed.
pub fn cases(seed: u64) -> Vec<Case> {
    let dice = Dice::new(seed, "crash matrix");
    let mut cases = Vec::new();
    cases.extend(engines::cases(dice));
    cases.extend(servers::cases());
    cases.extend(zombies::cases());
    cases.extend(shares::cases(dice));
    cases.extend(outages::cases());
    cases.extend(notifications::cases(dice));
    cases.extend(settings::cases(dice));
    cases
}

/// A rule that is broken on purpose, and the cases that should notice.
#[derive(Debug)]
pub struct Mutation {
    /// One of `thicket_store::faults::RULES`.
    pub rule: &'static str,
    /// The cases, the most likely to fail first. One failed case is enough.
    pub cases: Vec<Case>,
}

/// The mutations for a seed. If every case of a mutation passes, the harness proves nothing.
pub fn mutations(seed: u64) -> Vec<Mutation> {
    let dice = Dice::new(seed, "crash mutations");
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
        of("rule.sent_after_accepted", notifications::unsent_cases(dice)),
    ]
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
