//! Timestamps for readings that bring none: the arrival time, strictly increasing.

use thicket_schema::Timestamp;

/// Hands out arrival times. Strictly increasing over all sensors, hence over each.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    last_micros: i64,
}

impl Stamp {
    /// The arrival time in µs, or just after the last one handed out if the clock has not moved on.
    pub(super) fn next(&mut self, now_micros: i64) -> Timestamp {
        self.last_micros = now_micros.max(self.last_micros + 1);
        Timestamp(self.last_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_even_if_the_clock_stands_or_goes_back() {
        let mut stamp = Stamp::default();
        let stamps: Vec<i64> = [10, 10, 5, 20].iter().map(|&now| stamp.next(now).0).collect();
        assert_eq!(stamps, [10, 11, 12, 20]);
    }
}
