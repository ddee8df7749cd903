//! How many rows a transaction takes, and how long it may last.
//!
//! A slow PostgreSQL must not end a transaction that is as large as the one before. So the rows of a
//! transaction halve after each one that takes too long, and they follow the speed of those that
//! succeed. One batch cannot be split. It gets more time instead. A success proves nothing about
//! larger transactions than its own: only a full one raises the rows, and only one that is as large
//! as the slow batch takes the additional time away.

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
    /// The rows of the largest batch that was alone and took too long; 0 if there is none.
    slow_batch: usize,
}

impl Pace {
    /// Starts with transactions of `max_rows` rows.
    pub(super) const fn new(max_rows: usize) -> Self {
        Self { max_rows, rows: max_rows, limit: LIMIT, slow_batch: 0 }
    }

    /// Returns the maximum number of rows of the next transaction.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how long a statement of the next transaction may take.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// A transaction of this many rows was committed. The next one has not more than PostgreSQL
    /// commits within [`TARGET`] at this speed, and at most twice as many rows if this one was
    /// full.
    pub(super) fn on_commit(&mut self, rows: usize, took: Duration) {
        if rows >= self.slow_batch && took < LIMIT {
            (self.limit, self.slow_batch) = (LIMIT, 0);
        }
        // The next batch did not fit into a transaction that is more than half full.
        let is_full = rows > self.rows / 2;
        let most = if is_full { self.rows.saturating_mul(2).min(self.max_rows) } else { self.rows };
        if took < TARGET / 2 {
            self.rows = most;
            return;
        }
        let possible = rows as f64 * TARGET.as_secs_f64() / took.as_secs_f64();
        self.rows = (possible as usize).clamp(1, most);
    }

    /// A transaction of this many rows took too long. `is_one_batch`: it cannot be made smaller.
    pub(super) fn on_slow(&mut self, rows: usize, is_one_batch: bool) {
        self.rows = (rows.min(self.rows) / 2).max(1);
        if is_one_batch {
            self.limit = (self.limit * 2).min(LONGEST_LIMIT);
            self.slow_batch = self.slow_batch.max(rows);
        }
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
    }

    #[test]
    fn smaller_transactions_that_succeed_do_not_take_the_time_of_a_slow_batch_away() {
        let mut pace = Pace::new(20_000);
        // A batch needs 100 s. Between its attempts, the small batches of others are committed.
        let mut attempts = 0;
        while pace.limit() < Duration::from_secs(100) {
            pace.on_slow(5_000, true);
            pace.on_commit(10, Duration::from_millis(5));
            attempts += 1;
        }
        assert_eq!(attempts, 3);
        assert!(pace.rows() < 5_000, "small transactions say nothing of large ones: {pace:?}");
        pace.on_commit(5_000, Duration::from_secs(100));
        assert!(pace.limit() > LIMIT, "it still needs the time");
        pace.on_commit(5_000, Duration::from_secs(1));
        assert_eq!(pace.limit(), LIMIT);
    }
}
