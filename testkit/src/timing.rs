//! How often and how long a test waits.

use std::time::{Duration, Instant};

/// Timeout for every expected event, long enough for a busy machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// How often a condition is checked.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a condition holds, in a test. `what` names the condition.
///
/// # Panics
/// If the condition does not hold within [`TIMEOUT`].
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < TIMEOUT, "not within {TIMEOUT:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
