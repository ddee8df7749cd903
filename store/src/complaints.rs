//! Limits log lines about failures that repeat: a line a minute for each kind of failure.
//!
//! While a server is away, every partition retries every operation a few times a second. One line
//! says as much as all of them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The least time between two lines of one kind.
const INTERVAL: Duration = Duration::from_mins(1);

/// Maximum number of kinds that are remembered. Errors may contain texts of a server.
const MAX_KINDS: usize = 1_000;

static COMPLAINTS: Mutex<Complaints> = Mutex::new(Complaints::new());

/// The beginnings of the errors that say that PostgreSQL is away, whatever was asked of it (see
/// [`StoreError`](crate::postgres::StoreError)). They are one kind of failure of all operations.
const POSTGRES_AWAY: [&str; 2] = ["postgresql gives no connection", "postgresql has not answered"];

/// When each kind of failure was logged last, and how often it has occurred since.
#[derive(Debug)]
struct Complaints {
    kinds: BTreeMap<(&'static str, String), (Instant, u64)>,
}

/// Returns whether to log this failure of an operation now: `Some`, with the number of equal failures
/// since the last line, if the last line was a minute ago or earlier. Failures are equal if operation
/// and error are, or if PostgreSQL is away.
pub fn due(operation: &'static str, error: &dyn Display) -> Option<u64> {
    let mut complaints = COMPLAINTS.lock().unwrap_or_else(PoisonError::into_inner);
    complaints.due(operation, error.to_string(), Instant::now())
}

impl Complaints {
    const fn new() -> Self {
        Self { kinds: BTreeMap::new() }
    }

    fn due(&mut self, operation: &'static str, error: String, now: Instant) -> Option<u64> {
        let is_away = POSTGRES_AWAY.iter().any(|beginning| error.starts_with(beginning));
        let kind = if is_away { ("postgresql", String::new()) } else { (operation, error) };
        match self.kinds.get_mut(&kind) {
            Some((logged, repeated)) if now.saturating_duration_since(*logged) < INTERVAL => {
                *repeated += 1;
                None
            }
            Some(state) => {
                let repeated = state.1;
                *state = (now, 0);
                Some(repeated)
            }
            None => {
                if self.kinds.len() >= MAX_KINDS {
                    self.kinds.clear();
                }
                self.kinds.insert(kind, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use diesel_async::pooled_connection::deadpool::PoolError;

    use super::*;
    use crate::postgres::StoreError;

    #[test]
    fn a_failure_that_repeats_is_a_line_a_minute_and_another_failure_is_a_line_at_once() {
        let start = Instant::now();
        let mut complaints = Complaints::new();
        let mut due = |operation, error: &str, seconds| {
            complaints.due(operation, error.to_owned(), start + Duration::from_secs(seconds))
        };
        assert_eq!(due("append", "refused", 0), Some(0));
        for _ in 0..64 {
            assert_eq!(due("append", "refused", 59), None);
        }
        assert_eq!(due("append", "no memory", 59), Some(0));
        assert_eq!(due("trim", "refused", 59), Some(0));
        assert_eq!(due("append", "refused", 60), Some(64));
        assert_eq!(due("append", "refused", 61), None);
    }

    #[test]
    fn postgresql_that_is_away_is_a_line_a_minute_for_all_operations() {
        let start = Instant::now();
        let mut complaints = Complaints::new();
        let mut due = |operation, error: &StoreError, seconds| {
            complaints.due(operation, error.to_string(), start + Duration::from_secs(seconds))
        };
        let silent = StoreError::Silent(Duration::from_secs(20));
        let refused = StoreError::Pool(PoolError::Closed);
        assert_eq!(due("claim partitions", &refused, 0), Some(0));
        assert_eq!(due("load rows", &refused, 1), None);
        assert_eq!(due("load rows", &silent, 20), None);
        assert_eq!(due("load rows", &StoreError::FieldSet("a".to_owned()), 20), Some(0));
        assert_eq!(due("read a request", &silent, 60), Some(2));
    }
}
