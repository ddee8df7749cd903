//! Waits that end when nothing happens any more, not when a busy machine is slow.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use thicket_schema::Position;
use thicket_testkit::timing::POLL_INTERVAL;

use super::state::CaseRun;
use crate::case::Node;

/// What changes while engines work. A part of which the server does not answer stays empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// The end of each log.
    newest: Vec<Position>,
    /// The committed position of each partition.
    committed: Vec<Position>,
    /// Bytes that the engines have logged.
    logged: usize,
}

/// How long a server may take to say how far it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

impl CaseRun<'_> {
    /// Returns how far the engines are.
    pub(super) async fn activity(&self) -> Activity {
        let newest = async {
            let logs = self.redis().await?.logs().await?;
            anyhow::Ok(logs.into_iter().map(|log| log.newest).collect())
        };
        let committed = async { self.tables().await?.positions().await };
        let newest = tokio::time::timeout(ANSWER_LIMIT, newest);
        let (newest, committed) = tokio::join!(newest, tokio::time::timeout(ANSWER_LIMIT, committed));
        Activity {
            newest: newest.ok().and_then(Result::ok).unwrap_or_default(),
            committed: committed.ok().and_then(Result::ok).unwrap_or_default(),
            logged: self.engines.values().map(|(engine, _)| engine.log().len()).sum(),
        }
    }

    /// Waits until a node has ended. Returns `None` if it still runs, and nothing has happened for
    /// `limit`.
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
