//! Settings and processors that may not change a row.

use super::engines::comings_and_goings;
use crate::case::{Action, Case, Node};
use crate::dice::Dice;
use crate::settings::Settings;

/// Hides AVX2 and FMA from glibc, under their old and their new names. Rust's detection asks the
/// processor itself, so the forest's plain path has a switch of its own.
const MASKED: [(&str, &str); 2] = [
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-AVX512F,-BMI2"),
    ("RRCF_LANES", "plain"),
];

pub(super) fn cases(dice: Dice) -> Vec<Case> {
    let plain = Settings::default;
    let mut cases = vec![
        with("shards-1", Settings { shards: 1, ..plain() }),
        with("shards-5", Settings { shards: 5, ..plain() }),
        with("entries-of-one", Settings { max_records: 1, linger: "0ms", ..plain() }),
        with("entries-of-many", Settings { max_records: 2_000, linger: "80ms", ..plain() }),
        with("transactions-of-one", Settings { max_rows: 1, writers: 4, ..plain() }),
        with("transactions-of-seven", Settings { max_rows: 7, writers: 1, shards: 1, ..plain() }),
        with("eviction", Settings { max_detectors: 3, ..plain() }),
        with("eviction-at-once", Settings { evict_after: "10ms", shards: 5, ..plain() }),
    ];
    cases.push(Case { environment: MASKED.to_vec(), ..with("plain-processor", plain()) });
    for (name, kill) in [("restarts", false), ("kills", true)] {
        let evicting = Settings { max_detectors: 4, ..plain() };
        cases.push(Case::new(name).then(comings_and_goings(dice, kill)));
        cases.push(
            Case::new(format!("{name}-evicting"))
                .then([Action::Set(evicting)])
                .then(comings_and_goings(dice, kill)),
        );
    }
    cases.push(shards_at_every_restart(dice));
    cases
}

/// An engine that is not disturbed.
fn with(name: &str, settings: Settings) -> Case {
    Case::new(name)
        .then([Action::Set(settings), Action::Start(Node::A, vec![]), Action::Release(1.0)])
        .exactly()
}

fn shards_at_every_restart(dice: Dice) -> Case {
    let mut shards = [5, 1, 2, 5].into_iter();
    let mut actions = Vec::new();
    for action in comings_and_goings(dice, true) {
        if matches!(action, Action::Start(..)) {
            let settings = Settings { shards: shards.next().unwrap_or(2), ..Settings::default() };
            actions.push(Action::Set(settings));
        }
        actions.push(action);
    }
    Case::new("other-shards-at-every-kill").then(actions)
}
