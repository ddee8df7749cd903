//! The one retry policy: exponential backoff with jitter, without end. Thicket waits until a store
//! answers.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The first wait, without jitter.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, without jitter.
const LONGEST: Duration = Duration::from_secs(2);

/// The waits between the tries of one operation: 100 ms, then twice as long each time, up to 2 s.
/// Jitter adds up to the same time again, so that nodes do not retry at the same moment.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { waits: policy().build() }
    }
}

impl Backoff {
    /// Waits until the next try.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.waits.next().unwrap_or(LONGEST)).await;
    }

    /// Starts over after a success: the next wait is the first.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Retries an operation until it succeeds. Calls `on_error` for each failure.
pub async fn until_ok<T, E, F>(mut operation: impl FnMut() -> F, mut on_error: impl FnMut(&E)) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::default();
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(error) => on_error(&error),
        }
        backoff.wait().await;
    }
}

fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_never_end() {
        let waits: Vec<Duration> = policy().build().take(1_000).collect();
        assert_eq!(waits.len(), 1_000);
        assert!(waits.iter().all(|&wait| wait >= FIRST && wait <= 2 * LONGEST));
        assert!(waits[999] >= LONGEST);
    }
}
