//! Draws that follow from a seed: where fail points fire.

use thicket_loadtest::random::Key;

use crate::case::Fault;
use crate::settings::PARTITIONS;

/// Draws numbers of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice(Key);

impl Dice {
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        Self(Key::root(seed, purpose))
    }

    /// Draws a fault at a place, at a pass that every run reaches. `salt` tells draws for the same
    /// place apart.
    pub(crate) fn fault(self, place: &'static str, salt: u64) -> Fault {
        let (low, high) = reached(place);
        let number = place.bytes().fold(salt, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
        let count = low + self.0.at(number).bits() % (high - low);
        Fault { place, count }
    }

    /// Draws a number from 0 to 1, the same for the same step.
    pub(crate) fn unit(self, step: u64) -> f64 {
        self.0.at(step).unit()
    }

    /// Draws 64 bits, the same for the same step.
    pub(crate) fn bits(self, step: u64) -> u64 {
        self.0.at(step).bits()
    }
}

/// The range of passes of a place that a run which lasts long enough reaches.
pub(crate) fn reached(place: &str) -> (u64, u64) {
    match place.split('.').next().unwrap_or_default() {
        "append" => (8, 80),
        "ack" => (200, 3_500),
        "score" => (40, 200),
        "read" | "insert" | "commit" => (3, 16),
        "checkpoint" => (1, 10),
        "trim" => (1, 5),
        "renewal" => (3, 7),
        // The smaller share of two nodes.
        "hand-over" => (1, 1 + u64::from(PARTITIONS / 2)),
        "restore" => (1, 8),
        "quarantine" | "compose" | "notify" | "sent" | "over" => (1, 4),
        // Most anomalies are over before the broker is told of them.
        "retain" => (1, 3),
        "clear" => (1, 6),
        _ => (1, 2),
    }
}
