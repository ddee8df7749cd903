//! How many rows a transaction takes, and how long it may last.
//!
//! A slow PostgreSQL must not end a transaction that is as large as the one before. So the rows of a
//! transaction halve after each one that takes too long, and they follow the speed of those that
//! succeed. One batch cannot be split. It gets more time instead.

use std::time::Duration;

/// The usual limit of a statement. The whole transaction may take a little longer.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest limit of a statement. Only a batch that is alone in its transaction gets it.
const LONGEST_LIMIT: Duration = Duration::from_mins(10);
/// How long a transaction should take at most, at the speed of the one before.
const TARGET: Duration = Duration::from_secs(5);

/// The size and the limit of the next transaction of a writer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    max_rows: usize,
    rows: usize,
    limit: Duration,
}

impl Pace {
    /// Starts with transactions of `max_rows` rows.
    pub(super) const fn new(max_rows: usize) -> Self {
        Self { max_rows, rows: max_rows, limit: LIMIT }
    }

    /// Returns the maximum number of rows of the next transaction.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how long a statement of the next transaction may take.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// A transaction of this many rows was committed. The next one has at most twice as many rows,
    /// and not more than PostgreSQL commits within [`TARGET`] at this speed.
    pub(super) fn on_commit(&mut self, rows: usize, took: Duration) {
        self.limit = LIMIT;
        let doubled = self.rows.saturating_mul(2).min(self.max_rows);
        if took < TARGET / 2 {
            self.rows = doubled;
            return;
        }
        let possible = rows as f64 * TARGET.as_secs_f64() / took.as_secs_f64();
        self.rows = (possible as usize).clamp(1, doubled);
    }

    /// A transaction of this many rows took too long. `is_one_batch`: it cannot be made smaller.
    pub(super) fn on_slow(&mut self, rows: usize, is_one_batch: bool) {
        self.rows = (rows.min(self.rows) / 2).max(1);
        if is_one_batch {
            self.limit = (self.limit * 2).min(LONGEST_LIMIT);
        }
    }

    /// PostgreSQL accepts no connection: the transaction before did not fail by its size.
    pub(super) const fn on_away(&mut self) {
        self.limit = LIMIT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commits batches of 10 rows at a constant speed until `total` rows are committed. Returns the
    /// seconds that it takes.
    fn seconds(pace: &mut Pace, total: usize, rows_per_second: f64) -> f64 {
        let (mut committed, mut seconds) = (0, 0.0);
        while committed < total {
            let rows = pace.rows().min(total - committed).next_multiple_of(10);
            let needed = rows as f64 / rows_per_second;
            let limit = pace.limit().as_secs_f64();
            seconds += needed.min(limit);
            if needed > limit {
                pace.on_slow(rows, rows == 10);
            } else {
                committed += rows;
                pace.on_commit(rows, Duration::from_secs_f64(needed));
            }
        }
        seconds
    }

    #[test]
    fn a_slow_database_gets_smaller_transactions_and_hardly_any_ends_in_vain() {
        let mut pace = Pace::new(20_000);
        let took = seconds(&mut pace, 20_000, 50.0);
        assert!(took < 20_000.0 / 50.0 + 6.0 * LIMIT.as_secs_f64(), "{took}");
        // The last transaction was a small rest, so the next one may be twice as large.
        assert!(pace.rows() <= 2 * 250, "{pace:?}");
    }

    #[test]
    fn a_database_that_is_fast_again_gets_large_transactions_again() {
        let mut pace = Pace::new(20_000);
        seconds(&mut pace, 5_000, 50.0);
        let took = seconds(&mut pace, 200_000, 50_000.0);
        assert!(took < 6.0, "{took}");
        assert_eq!(pace, Pace::new(20_000));
    }

    #[test]
    fn a_batch_that_cannot_be_split_gets_more_time() {
        let mut pace = Pace::new(20_000);
        let slowest = 10.0 / LONGEST_LIMIT.as_secs_f64();
        assert!(seconds(&mut pace, 10, 1.1 * slowest).is_finite());
        pace.on_slow(10, true);
        assert!(pace.limit() > LIMIT);
        pace.on_away();
        assert_eq!(pace.limit(), LIMIT);
    }
}
