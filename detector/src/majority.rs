//! The value that nearly all readings of a field have, if there is one: the vote of Boyer and Moore
//! (1981), with counts.

use serde::{Deserialize, Serialize};

/// A field rests at a value that it has had this many times.
const READINGS: u64 = 1_000;
/// A field rests at a value if at most one reading in this many has another one.
const OTHERS: u64 = 8;

/// The candidate for the value at which a field rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Majority {
    value: f64,
    /// Readings with the value less other readings, since the value became the candidate.
    lead: u64,
    /// Readings with the value since then.
    readings: u64,
    /// All readings since then.
    total: u64,
}

impl Majority {
    /// Learns a value.
    #[allow(clippy::float_cmp, reason = "the same value is one that is equal to the bit")]
    pub(crate) fn learn(&mut self, value: f64) {
        if self.lead == 0 {
            *self = Self { value, lead: 1, readings: 1, total: 1 };
            return;
        }
        self.total += 1;
        if value == self.value {
            self.lead += 1;
            self.readings += 1;
        } else {
            self.lead -= 1;
        }
    }

    /// Returns whether the field rests at this value.
    #[allow(clippy::float_cmp, reason = "the same value is one that is equal to the bit")]
    pub(crate) fn is_rest(&self, value: f64) -> bool {
        value == self.value
            && self.readings >= READINGS
            && OTHERS * (self.total - self.readings) <= self.total
    }

    /// Returns whether the counts are consistent.
    pub(crate) fn is_sound(&self) -> bool {
        self.readings <= self.total && self.lead <= self.readings && !self.value.is_nan()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_rests_at_the_value_that_nearly_all_readings_have() {
        let mut majority = Majority::default();
        for i in 0..300 {
            majority.learn(f64::from(i));
        }
        for i in 0..1_500 {
            majority.learn(if i % 20 == 0 { f64::from(i) } else { 7.0 });
        }
        assert!(majority.is_rest(7.0) && !majority.is_rest(8.0) && majority.is_sound());
        (0..500).for_each(|_| majority.learn(9.0));
        assert!(!majority.is_rest(7.0));
    }
}
