//! Waiting for a condition: the only code of this crate that sleeps.

use std::time::{Duration, Instant};

/// Time between two checks of a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Calls `condition` every 10 ms until it returns a value. Returns `None` after `limit`.
pub(crate) fn until<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(POLL_INTERVAL);
    }
}

/// Sleeps.
#[expect(clippy::disallowed_methods, reason = "this crate blocks by contract and runs on no arbiter")]
pub(crate) fn pause(interval: Duration) {
    std::thread::sleep(interval);
}
