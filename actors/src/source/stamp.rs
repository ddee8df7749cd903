//! Timestamps for readings without one: the arrival time, made strictly increasing.

use thicket_schema::Timestamp;

/// Issues timestamps that are strictly increasing over all sensors, and so for each sensor.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    last_micros: i64,
}

impl Stamp {
    /// Returns the arrival time, or the last timestamp plus 1 µs if that is later.
    pub(super) fn next(&mut self, now_micros: i64) -> Timestamp {
        self.last_micros = now_micros.max(self.last_micros + 1);
        Timestamp(self.last_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_increase_even_if_the_clock_stops_or_goes_back() {
        let mut stamp = Stamp::default();
        let stamps: Vec<i64> = [10, 10, 5, 20].iter().map(|&now| stamp.next(now).0).collect();
        assert_eq!(stamps, [10, 11, 12, 20]);
    }
}
