//! Notices that another client connects with the same client id. The broker then closes one
//! connection for each that it accepts, so each of the two clients gets a part of the messages.
//! Pure.

use std::time::Duration;

use crate::mqtt::FailureKind;

/// A connection that ends sooner than this after the broker accepted it is short.
const SHORT: Duration = Duration::from_secs(10);
/// Number of short connections in a row that make a conflict.
const SHORT_CONNECTIONS: u32 = 3;
/// A connection that lasts this long ends a conflict. Longer than [`WAIT`], so that two engines that
/// wait for each other do not end it.
pub(super) const CALM: Duration = Duration::from_mins(1);
/// How long to wait before the next connection while a conflict lasts. Shorter than [`SHORT`], so that
/// the other client, if it is an engine with MQTT 3.1.1, notices the conflict too.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// The time since the broker accepted the connection; `None` if it did not.
    pub(super) lasted: Option<Duration>,
    /// Whether the broker had answered the request to subscribe.
    pub(super) subscribed: bool,
    /// Why it ended; `None` if this side ended it.
    pub(super) failure: Option<FailureKind>,
}

impl End {
    /// Whether the connection has shown that there is no lasting problem. The next one then needs no
    /// long wait.
    pub(super) fn was_stable(self) -> bool {
        self.lasted.is_some_and(|lasted| lasted >= SHORT)
    }

    /// Whether the broker closed the connection instead of answering the request to subscribe.
    pub(super) fn is_at_subscription(self) -> bool {
        self.lasted.is_some_and(|lasted| lasted < SHORT)
            && !self.subscribed
            && self.failure == Some(FailureKind::Closed)
    }
}

/// The conflict over a client id, if there is one.
#[derive(Debug, Default)]
pub(super) struct IdConflict {
    short_in_a_row: u32,
    taken_over: bool,
    lasting: bool,
}

impl IdConflict {
    /// Whether a conflict lasts.
    pub(super) const fn is_lasting(&self) -> bool {
        self.lasting
    }

    /// Takes note of the end of a connection.
    pub(super) fn on_end(&mut self, end: End) {
        let Some(lasted) = end.lasted else {
            // A broker that cannot be reached is no conflict.
            self.short_in_a_row = 0;
            return;
        };
        self.taken_over = end.failure == Some(FailureKind::TakenOver);
        // Without an answer to the subscription, the broker may close every connection because of it.
        let is_short = lasted < SHORT && end.subscribed && end.failure == Some(FailureKind::Closed);
        self.short_in_a_row = if is_short { self.short_in_a_row + 1 } else { 0 };
    }

    /// Decides before the next connection. `kept_lease` says whether this node has held the lease
    /// without a gap: if not, the other client may be another node of this deployment, which has the
    /// same client id by design. Returns whether a conflict begins.
    pub(super) const fn begins(&mut self, kept_lease: bool) -> bool {
        let is_conflict = kept_lease && (self.taken_over || self.short_in_a_row >= SHORT_CONNECTIONS);
        if !kept_lease {
            self.short_in_a_row = 0;
        }
        self.taken_over = false;
        let begins = is_conflict && !self.lasting;
        self.lasting |= is_conflict;
        begins
    }

    /// Ends the conflict: a connection has lasted for [`CALM`].
    pub(super) const fn end(&mut self) {
        self.lasting = false;
        self.short_in_a_row = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(seconds: u64, failure: FailureKind) -> End {
        End { lasted: Some(Duration::from_secs(seconds)), subscribed: true, failure: Some(failure) }
    }

    #[test]
    fn a_session_that_is_taken_over_is_a_conflict_at_once() {
        let mut conflict = IdConflict::default();
        conflict.on_end(ended(3_600, FailureKind::TakenOver));
        assert!(conflict.begins(true) && conflict.is_lasting());
        conflict.on_end(ended(15, FailureKind::TakenOver));
        assert!(!conflict.begins(true), "it is reported once");
        conflict.end();
        assert!(!conflict.is_lasting());
        conflict.on_end(ended(15, FailureKind::TakenOver));
        assert!(conflict.begins(true), "a later conflict is reported again");
    }

    #[test]
    fn three_connections_in_a_row_that_the_broker_closes_within_seconds_are_a_conflict() {
        let mut conflict = IdConflict::default();
        for expected in [false, false, true] {
            conflict.on_end(ended(2, FailureKind::Closed));
            assert_eq!(conflict.begins(true), expected);
        }
    }

    #[test]
    fn a_broker_that_restarts_is_no_conflict() {
        let mut conflict = IdConflict::default();
        let unreachable = End { lasted: None, subscribed: false, failure: Some(FailureKind::Unreachable) };
        for end in [ended(2, FailureKind::Closed), ended(2, FailureKind::Closed), unreachable] {
            conflict.on_end(end);
        }
        conflict.on_end(ended(2, FailureKind::Closed));
        assert!(!conflict.begins(true));
        for _ in 0..5 {
            conflict.on_end(ended(2, FailureKind::Refused));
            assert!(!conflict.begins(true), "the broker says why");
            conflict.on_end(End { failure: None, ..ended(2, FailureKind::Closed) });
            assert!(!conflict.begins(true), "this side ended it");
        }
    }

    #[test]
    fn a_broker_that_closes_each_connection_at_the_subscription_is_no_conflict() {
        let mut conflict = IdConflict::default();
        for _ in 0..5 {
            let end = End { subscribed: false, ..ended(2, FailureKind::Closed) };
            assert!(end.is_at_subscription());
            conflict.on_end(end);
            assert!(!conflict.begins(true));
        }
        assert!(!ended(2, FailureKind::Closed).is_at_subscription());
    }

    /// Otherwise a broker that accepts and closes connections gets ten of them a second.
    #[test]
    fn only_a_connection_that_lasted_starts_the_waits_over() {
        assert!(ended(10, FailureKind::Closed).was_stable());
        assert!(!ended(9, FailureKind::Closed).was_stable());
        assert!(!End { lasted: None, ..ended(0, FailureKind::Refused) }.was_stable());
    }

    #[test]
    fn another_node_of_the_deployment_that_takes_over_is_no_conflict() {
        let mut conflict = IdConflict::default();
        conflict.on_end(ended(100, FailureKind::TakenOver));
        assert!(!conflict.begins(false));
        assert!(!conflict.begins(true), "the next connection is judged by its own end");
    }
}
