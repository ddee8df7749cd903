//! Bounds the rows of dead letters. Beyond a rate, most dead letters of a reason are only counted.
//! The decision is made before the log, so it is the same in every replay.

use std::collections::BTreeMap;

use thicket_schema::{DeadLetter, Reason};

use super::token_bucket::{Rate, TokenBucket};

const SECOND: i64 = 1_000_000;
/// Seconds of the rate that may come at once.
const BURST: u32 = 10;
/// Beyond the rate, one of this many dead letters gets a row.
const SAMPLE: u64 = 100;

/// The dead letters of each reason.
#[derive(Debug)]
pub(super) struct LetterRate {
    rate: Rate,
    /// The rows that each reason may have now, and its dead letters beyond the rate.
    of: BTreeMap<Reason, (TokenBucket, u64)>,
}

impl LetterRate {
    /// `per_second`: dead letters of one reason that get a row of their own, in the long run.
    pub(super) fn new(per_second: u32) -> Self {
        let at_once = per_second.saturating_mul(BURST);
        Self { rate: Rate { count: per_second, period: SECOND, at_once }, of: BTreeMap::new() }
    }

    /// Keeps, shortens or empties a dead letter that arrived at `now`, in µs since the Unix epoch.
    pub(super) fn apply(&mut self, letter: &mut DeadLetter, now: i64) {
        let fresh = (TokenBucket::full(self.rate), 0);
        let (bucket, beyond) = self.of.entry(letter.reason).or_insert(fresh);
        if bucket.raise(self.rate, now) {
            bucket.take(self.rate);
            return;
        }
        let is_sample = beyond.is_multiple_of(SAMPLE);
        *beyond += 1;
        if is_sample {
            letter.sample();
        } else {
            letter.count_only();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_348_800_000_000;

    fn letter(reason: Reason) -> DeadLetter {
        DeadLetter::new("sensors/a", reason, "it is not JSON", &[b'x'; 1_000])
    }

    /// Returns how many of `count` dead letters are kept, shortened and only counted.
    fn outcomes(rate: &mut LetterRate, reason: Reason, count: usize, now: i64) -> [usize; 3] {
        let mut outcomes = [0; 3];
        for _ in 0..count {
            let mut letter = letter(reason);
            rate.apply(&mut letter, now);
            assert_eq!(letter.payload_bytes, 1_000);
            outcomes[match (letter.count_only, letter.kept_payload().len()) {
                (false, 1_000) => 0,
                (false, DeadLetter::SAMPLE_BYTES) => 1,
                (true, 8) => 2,
                _ => panic!("{letter:?}"),
            }] += 1;
        }
        outcomes
    }

    #[test]
    fn beyond_the_rate_of_a_reason_one_of_a_hundred_gets_a_row() {
        let mut rate = LetterRate::new(5);
        assert_eq!(outcomes(&mut rate, Reason::MalformedJson, 1_050, NOW), [50, 10, 990]);
        assert_eq!(outcomes(&mut rate, Reason::Empty, 3, NOW), [3, 0, 0], "each reason has its rate");
        assert_eq!(outcomes(&mut rate, Reason::MalformedJson, 10, NOW + 2 * SECOND), [10, 0, 0]);
        assert_eq!(outcomes(&mut rate, Reason::MalformedJson, 1, NOW - SECOND), [0, 1, 0]);
    }
}
