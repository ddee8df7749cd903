//! Timestamps for readings without one: the arrival time, made strictly increasing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use thicket_schema::Timestamp;

/// Issues timestamps that are strictly increasing over all sensors, and so for each sensor. Clones
/// share the last timestamp, for messages that arrive from several brokers.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    last_micros: Arc<AtomicI64>,
}

impl Stamp {
    /// Returns the arrival time, or the last timestamp plus 1 µs if that is later.
    pub(super) fn next(&self, now_micros: i64) -> Timestamp {
        let next = |last: i64| now_micros.max(last + 1);
        // The closure never returns `None`, so the previous value is always returned.
        let updated =
            self.last_micros.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        Timestamp(next(updated.unwrap_or_else(|last| last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_even_if_the_clock_stops_or_goes_back() {
        let stamp = Stamp::default();
        let other = stamp.clone();
        let stamps: Vec<i64> = [10, 10, 5, 20].iter().map(|&now| stamp.next(now).0).collect();
        assert_eq!(stamps, [10, 11, 12, 20]);
        assert_eq!(other.next(20).0, 21);
    }
}
