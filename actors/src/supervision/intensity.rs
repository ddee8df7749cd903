//! How often an actor may restart before its supervisor gives up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The restart intensity of an actor: at most `restarts` restarts within the time `within`.
#[derive(Clone, Debug)]
pub struct Intensity {
    restarts: usize,
    within: Duration,
    recent: VecDeque<Instant>,
}

impl Intensity {
    /// Allows at most `restarts` restarts within any period of length `within`.
    pub const fn new(restarts: usize, within: Duration) -> Self {
        Self { restarts, within, recent: VecDeque::new() }
    }

    /// Counts a failure at `now`. Returns false if there have been too many.
    pub fn allows(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|&oldest| now.duration_since(oldest) > self.within) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() <= self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_up_after_too_many_failures_in_a_short_time() {
        let start = Instant::now();
        let mut intensity = Intensity::new(2, Duration::from_secs(10));
        assert!(intensity.allows(start));
        assert!(intensity.allows(start + Duration::from_secs(1)));
        assert!(!intensity.allows(start + Duration::from_secs(2)));
    }

    #[test]
    fn forgets_failures_of_long_ago() {
        let start = Instant::now();
        let mut intensity = Intensity::new(1, Duration::from_secs(10));
        assert!(intensity.allows(start));
        assert!(intensity.allows(start + Duration::from_secs(11)));
    }
}
