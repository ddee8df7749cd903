//! Waits that end when nothing happens any more, not when a busy machine is slow.

use std::time::{Duration, Instant};

/// Notices that a state has not changed for a while.
#[derive(Debug)]
pub(super) struct Progress<T> {
    limit: Duration,
    last: Option<T>,
    since: Instant,
}

impl<T: PartialEq> Progress<T> {
    /// Begins now. A state may stay the same for `limit`.
    pub(super) fn within(limit: Duration) -> Self {
        Self { limit, last: None, since: Instant::now() }
    }

    /// Whether the state has been the same for too long.
    pub(super) fn has_ended(&mut self, state: T) -> bool {
        if self.last.as_ref() != Some(&state) {
            (self.last, self.since) = (Some(state), Instant::now());
        }
        self.since.elapsed() > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_that_stays_the_same_ends_the_wait() {
        let mut progress = Progress::within(Duration::ZERO);
        for state in 0..100 {
            progress.has_ended(state);
            assert_eq!(progress.last, Some(state));
        }
        while !progress.has_ended(99) {}
        let mut patient = Progress::within(Duration::from_hours(1));
        assert!(!patient.has_ended(1) && !patient.has_ended(1));
    }
}
