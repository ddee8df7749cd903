//! Timestamps for readings without one: the arrival time, made strictly increasing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use thicket_schema::Timestamp;

/// How far the last timestamp may be ahead of the clock. Beyond it, the clock was wrong and has
/// gone back: timestamps follow it.
const AHEAD_MICROS: i64 = 1_000_000;

/// Issues timestamps that are strictly increasing over all sensors, and so for each sensor, unless
/// the clock goes back by more than a second. Clones share the last timestamps, for messages that
/// arrive from several brokers.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    arrival: Arc<AtomicI64>,
    ahead: Arc<AtomicI64>,
    set_back: Arc<AtomicU64>,
}

impl Stamp {
    /// Returns the arrival time, or the last one plus 1 µs if that is a little later.
    pub(super) fn next(&self, now_micros: i64) -> Timestamp {
        increase(&self.arrival, now_micros)
    }

    /// Returns a time for a reading whose own time is further ahead of its arrival than `limit`
    /// allows: the limit, or the last such time plus 1 µs if that is a little later.
    pub(super) fn set_back(&self, limit_micros: i64) -> Timestamp {
        self.set_back.fetch_add(1, Ordering::Relaxed);
        increase(&self.ahead, limit_micros)
    }

    /// Returns how many times were set back since the last call.
    pub(super) fn take_set_back(&self) -> u64 {
        self.set_back.swap(0, Ordering::Relaxed)
    }
}

fn increase(last: &AtomicI64, least: i64) -> Timestamp {
    let next = |last: i64| {
        let follows = last.saturating_add(1);
        if follows > least && follows.saturating_sub(least) <= AHEAD_MICROS { follows } else { least }
    };
    // The closure never returns `None`, so the previous value is always returned.
    let updated = last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    Timestamp(next(updated.unwrap_or_else(|last| last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_even_if_the_clock_stops_or_goes_back_a_little() {
        let stamp = Stamp::default();
        let other = stamp.clone();
        let stamps: Vec<i64> = [10, 10, 5, 20].iter().map(|&now| stamp.next(now).0).collect();
        assert_eq!(stamps, [10, 11, 12, 20]);
        assert_eq!(other.next(20).0, 21);
        assert_eq!([other.set_back(20).0, stamp.set_back(20).0], [20, 21], "a row of its own");
        assert_eq!([stamp.take_set_back(), other.take_set_back()], [2, 0]);
    }

    #[test]
    fn stamps_follow_a_clock_that_was_ahead_and_is_right_again() {
        const HOUR: i64 = 3_600_000_000;
        let stamp = Stamp::default();
        let stamps: Vec<i64> = [10, HOUR, HOUR + 1, 20, 20].iter().map(|&now| stamp.next(now).0).collect();
        assert_eq!(stamps, [10, HOUR, HOUR + 1, 20, 21]);
    }
}
