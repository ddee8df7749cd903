//! Fail points for the crash tests. At a fail point, a crash test ends the process, or lets an
//! operation fail. A crash test also breaks rules of the engine on purpose, and must notice it.
//! Without the feature `faults`, as in every release, these functions do nothing.

use fail::fail_point;

/// Every fail point, in the order that data flows.
pub const FAIL_POINTS: [&str; 29] = [
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
    "hand-over.before",
    "hand-over.after",
    "restore.before",
    "restore.after",
];

/// Every fail point of notifications, in the order that data flows. Only an engine with routes
/// passes them, and only if there is something to do. `summary`: a message of several
/// notifications.
/// `over`: a message that a site has no open anomaly any more. `retain` and `clear`: the retained
/// MQTT message of an anomaly that goes on, and of one that is over.
pub const NOTIFICATION_POINTS: [&str; 20] = [
    "distribute.before",
    "distribute.partial",
    "distribute.after",
    "remind.after",
    "decide.before",
    "decide.after",
    "compose.before",
    "compose.partial",
    "compose.after",
    "summary.partial",
    "summary.after",
    "notify.before",
    "over.before",
    "retain.before",
    "retain.after",
    "clear.before",
    "clear.after",
    "notify.after",
    "over.after",
    "sent.after",
];

/// The fail points that drop a reply instead of ending the process.
pub const LOST_REPLIES: [&str; 2] = ["append.lost", "commit.lost"];

/// Every rule that a crash test can break.
pub const RULES: [&str; 6] = [
    "rule.acknowledge_after_append",
    "rule.position_with_rows",
    "rule.rows_before_checkpoint",
    "rule.epoch_is_checked",
    "rule.append_once",
    "rule.sent_after_accepted",
];

/// Poison values. A reading whose first value is one of these acts on its thread if the fail point
/// `poison` is set.
pub const POISON: [(f64, Poison); 4] = [
    (9_001e6, Poison::Panic),
    (9_002e6, Poison::Abort),
    (9_003e6, Poison::Overflow),
    (9_004e6, Poison::Freeze),
];

/// What a poison reading does to the thread that scores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Panics the thread.
    Panic,
    /// Aborts the process.
    Abort,
    /// Overflows the stack.
    Overflow,
    /// Loops without end.
    Freeze,
}

/// Passes a fail point. A crash test may end the process here.
pub fn pass(point: &'static str) {
    debug_assert!(
        FAIL_POINTS.contains(&point) || NOTIFICATION_POINTS.contains(&point),
        "{point} is no fail point"
    );
    fail_point!(point);
}

/// Whether the operation at a fail point must be treated as failed.
pub fn fails(point: &'static str) -> bool {
    debug_assert!(FAIL_POINTS.contains(&point), "{point} is no fail point");
    fail_point!(point, |_| true);
    false
}

/// Whether the engine keeps a rule. Returns false if a crash test breaks it.
pub fn keeps(rule: &'static str) -> bool {
    debug_assert!(RULES.contains(&rule), "{rule} is no rule");
    fail_point!(rule, |_| false);
    true
}

/// Returns the version of the detection algorithm, as a later build has it if the fail point
/// `later-algorithm` is set.
pub fn algorithm(own: u32) -> u32 {
    fail_point!("later-algorithm", |_| own + 1);
    own
}

/// Whether this build reads entries of a later format: the fail point `later-format` is set.
pub fn reads_later_format() -> bool {
    fail_point!("later-format", |_| true);
    false
}

/// Acts as a poison reading if the first value of a reading is a poison value, and the fail point
/// `poison` is set.
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
        Poison::Panic => panic!("a poison reading"),
        Poison::Abort => std::process::abort(),
        Poison::Overflow => drop(descend(0)),
        Poison::Freeze => loop {
            std::hint::spin_loop();
        },
    }
}

#[expect(unconditional_recursion, reason = "it must overflow the stack")]
fn descend(depth: u64) -> u64 {
    let ballast = std::hint::black_box([depth; 128]);
    descend(depth + 1) + ballast[0]
}
