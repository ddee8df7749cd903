//! How often and how long a test waits.

use std::time::Duration;

/// Timeout for every expected event, long enough for a busy machine.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// How often a condition is checked.
pub const POLL_INTERVAL: Duration = Duration::from_millis(20);
