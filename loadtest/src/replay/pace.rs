//! Decides when a message may be sent.

use std::time::{Duration, Instant};

use super::{feed::Message, options::Rate};

/// Keeps a replay at its rate. The caller passes the current time.
pub(super) struct Pace {
    rate: Rate,
    /// When the first message was sent.
    began: Option<Instant>,
    /// Event time of the first message, in µs.
    first_due: i64,
    /// Readings of the history that were sent. A malformed message counts as one.
    sent: u64,
}

impl Pace {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, began: None, first_due: 0, sent: 0 }
    }

    /// Returns how long a message must still wait; `None` if it may be sent now. `wall_micros` is
    /// the wall clock in µs since the Unix epoch.
    pub(super) fn wait(&mut self, message: &Message, now: Instant, wall_micros: i64) -> Option<Duration> {
        if message.live {
            return micros(message.due - wall_micros);
        }
        let began = *self.began.get_or_insert_with(|| {
            self.first_due = message.due;
            now
        });
        let since = now.duration_since(began);
        match self.rate {
            Rate::Max => None,
            Rate::RealTime => micros(message.due - self.first_due - since.as_micros() as i64),
            Rate::PerSecond(rate) => {
                let due = Duration::from_secs_f64((self.sent as f64 / rate).min(1e9));
                due.checked_sub(since).filter(|wait| !wait.is_zero())
            }
        }
    }

    /// Counts a message that was sent.
    pub(super) fn sent(&mut self, message: &Message) {
        if !message.live {
            self.sent += message.readings().max(1);
        }
    }
}

/// Converts µs to a duration; `None` if the time has come.
fn micros(wait: i64) -> Option<Duration> {
    (wait > 0).then(|| Duration::from_micros(wait as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::feed::Content;

    fn message(due: i64, live: bool) -> Message {
        Message {
            topic: "sensors/a".into(),
            payload: bytes::Bytes::new(),
            due,
            live,
            content: Content::Malformed,
            events_begun: Vec::new(),
            events_ended: 0,
        }
    }

    #[test]
    fn a_rate_is_kept_from_the_first_message_on() {
        let mut pace = Pace::new(Rate::PerSecond(100.0));
        let start = Instant::now();
        for n in 0..50u32 {
            let due = start + Duration::from_millis(10) * n;
            assert_eq!(pace.wait(&message(0, false), due, 0), None);
            pace.sent(&message(0, false));
            // The next message is due ten milliseconds later. Ask four milliseconds before that.
            let wait = pace.wait(&message(0, false), due + Duration::from_millis(6), 0).unwrap();
            assert!(wait.abs_diff(Duration::from_millis(4)) < Duration::from_micros(1), "{wait:?}");
        }
    }

    #[test]
    fn real_time_follows_event_time_whenever_it_was() {
        let mut pace = Pace::new(Rate::RealTime);
        let start = Instant::now();
        assert_eq!(pace.wait(&message(1_000, false), start, 0), None);
        assert_eq!(pace.wait(&message(501_000, false), start, 0), Some(Duration::from_millis(500)));
        assert_eq!(pace.wait(&message(501_000, false), start + Duration::from_millis(500), 0), None);
    }

    #[test]
    fn live_messages_wait_for_the_wall_clock_at_any_rate() {
        for rate in [Rate::Max, Rate::RealTime, Rate::PerSecond(1.0)] {
            let mut pace = Pace::new(rate);
            let now = Instant::now();
            assert_eq!(pace.wait(&message(5_000_000, true), now, 4_000_000), Some(Duration::from_secs(1)));
            assert_eq!(pace.wait(&message(5_000_000, true), now, 5_000_000), None);
        }
        assert_eq!(Pace::new(Rate::Max).wait(&message(i64::MAX, false), Instant::now(), 0), None);
    }
}
