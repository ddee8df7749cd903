//! Waits that end when nothing happens any more, not when a busy machine is slow.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use thicket_testkit::timing::POLL_INTERVAL;

use super::activity::Activity;
use super::state::CaseRun;
use crate::case::Node;

/// How long a server may take to say how far it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

impl CaseRun<'_> {
    /// Returns how far the engines are. A part of which the server does not answer stays as it was:
    /// a server that comes and goes is no progress.
    pub(super) async fn activity(&mut self) -> Activity {
        let newest = async {
            let logs = self.redis().await?.logs().await?;
            anyhow::Ok(logs.into_iter().map(|log| log.newest).collect())
        };
        let committed = async { self.tables().await?.positions().await };
        let newest = tokio::time::timeout(ANSWER_LIMIT, newest);
        let (newest, committed) = tokio::join!(newest, tokio::time::timeout(ANSWER_LIMIT, committed));
        if let Ok(Ok(newest)) = newest {
            self.activity.newest = newest;
        }
        if let Ok(Ok(committed)) = committed {
            self.activity.committed = committed;
        }
        self.activity.clone()
    }

    /// Waits until a node has ended. Returns `None` if it still runs at the end of the wait, which
    /// [`Progress`] decides.
    pub(super) async fn wait_while_active(
        &mut self,
        node: Node,
        limit: Duration,
    ) -> anyhow::Result<Option<ExitStatus>> {
        let mut progress = Progress::within(limit);
        loop {
            // A short wait notices an end at once.
            if let Some(status) = self.engine(node)?.wait(limit.min(BETWEEN)).await? {
                return Ok(Some(status));
            }
            if progress.has_ended(self.activity().await) {
                return Ok(None);
            }
        }
    }
}

/// Time between two looks at the activity.
const BETWEEN: Duration = POLL_INTERVAL.saturating_mul(25);

/// How many times its limit a wait takes at most, even if the state changes all the time.
const TOTAL: u32 = 10;

/// Notices that a state has not changed for a while, or that it changes without an end.
#[derive(Debug)]
pub(super) struct Progress<T> {
    limit: Duration,
    began: Instant,
    last: Option<T>,
    since: Instant,
}

impl<T: PartialEq> Progress<T> {
    /// Begins now. A state may stay the same for `limit`, and the wait may take [`TOTAL`] times as
    /// long.
    pub(super) fn within(limit: Duration) -> Self {
        let now = Instant::now();
        Self { limit, began: now, last: None, since: now }
    }

    /// Whether the state has been the same for too long, or the wait has taken too long.
    pub(super) fn has_ended(&mut self, state: T) -> bool {
        if self.last.as_ref() != Some(&state) {
            (self.last, self.since) = (Some(state), Instant::now());
        }
        self.since.elapsed() > self.limit || self.began.elapsed() > self.limit.saturating_mul(TOTAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    /// Returns a time before now.
    fn earlier(by: Duration) -> Instant {
        Instant::now().checked_sub(by).expect("a clock that begins earlier")
    }

    #[test]
    fn a_state_that_stays_the_same_ends_the_wait() {
        let mut progress = Progress::within(HOUR);
        assert!(!progress.has_ended(1) && !progress.has_ended(1));
        progress.since = earlier(2 * HOUR);
        assert!(!progress.has_ended(2), "it has changed");
        progress.since = earlier(2 * HOUR);
        assert!(progress.has_ended(2));
    }

    #[test]
    fn a_state_that_always_changes_ends_the_wait_later() {
        let mut progress = Progress::within(HOUR);
        progress.began = earlier(9 * HOUR);
        assert!(!progress.has_ended(1) && !progress.has_ended(2));
        progress.began = earlier(11 * HOUR);
        assert!(progress.has_ended(3));
    }
}
