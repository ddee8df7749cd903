//! Fail points: places at which a crash test ends the process, and rules that it breaks to check
//! that the break is noticed. Without the feature `faults`, as in every release, they do nothing.

use fail::fail_point;

/// Every place, in the order of the data flow.
pub const PLACES: [&str; 27] = [
    "append.before",
    "append.lost",
    "append.partial",
    "append.after",
    "ack.before",
    "ack.after",
    "read.before",
    "read.after",
    "score.before",
    "score.after",
    "quarantine.before",
    "quarantine.after",
    "insert.before",
    "insert.after",
    "commit.before",
    "commit.lost",
    "commit.after",
    "checkpoint.before",
    "checkpoint.after",
    "trim.before",
    "trim.after",
    "renewal.before",
    "renewal.after",
    "takeover.before",
    "takeover.after",
    "restore.before",
    "restore.after",
];

/// Those of them that count a reply as lost instead of ending the process.
pub const LOST_REPLIES: [&str; 2] = ["append.lost", "commit.lost"];

/// Every rule that can be broken.
pub const RULES: [&str; 5] = [
    "rule.acknowledge_after_append",
    "rule.position_with_rows",
    "rule.rows_before_checkpoint",
    "rule.epoch_is_checked",
    "rule.append_once",
];

/// First values of readings that do what they say, if the place `poison` is set.
pub const POISON: [(f64, Poison); 4] = [
    (9_001e6, Poison::Panic),
    (9_002e6, Poison::Abort),
    (9_003e6, Poison::Overflow),
    (9_004e6, Poison::Freeze),
];

/// What a poisonous reading does to the thread that scores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Panics.
    Panic,
    /// Aborts the process.
    Abort,
    /// Uses up the stack.
    Overflow,
    /// Never ends.
    Freeze,
}

/// Passes a place.
pub fn pass(place: &'static str) {
    debug_assert!(PLACES.contains(&place), "{place} is no place");
    fail_point!(place);
}

/// Whether a place wants what happens there to be taken for a failure.
pub fn fails(place: &'static str) -> bool {
    debug_assert!(PLACES.contains(&place), "{place} is no place");
    fail_point!(place, |_| true);
    false
}

/// Whether a rule is kept.
pub fn keeps(rule: &'static str) -> bool {
    debug_assert!(RULES.contains(&rule), "{rule} is no rule");
    fail_point!(rule, |_| false);
    true
}

/// Lets a poisonous reading do its work.
pub fn poison(first_value: Option<f64>) {
    let Some(first_value) = first_value else { return };
    let armed = || {
        fail_point!("poison", |_| true);
        false
    };
    let found = POISON.iter().find(|(value, _)| value.to_bits() == first_value.to_bits());
    match found {
        Some((_, poison)) if armed() => act(*poison),
        _ => {}
    }
}

fn act(poison: Poison) {
    match poison {
        Poison::Panic => panic!("a poisonous reading"),
        Poison::Abort => std::process::abort(),
        Poison::Overflow => drop(descend(0)),
        Poison::Freeze => loop {
            std::hint::spin_loop();
        },
    }
}

#[expect(unconditional_recursion, reason = "it is to use up the stack")]
fn descend(depth: u64) -> u64 {
    let ballast = std::hint::black_box([depth; 128]);
    descend(depth + 1) + ballast[0]
}
