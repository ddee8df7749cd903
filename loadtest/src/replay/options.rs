//! Where to, how fast, how many.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use super::{Broker, Faults};

/// The parameters of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The broker.
    pub broker: Broker,
    /// What stands before a sensor's name in its topic.
    pub topic_prefix: String,
    /// Must differ between clients of a broker: an equal one is thrown out.
    pub client_id: String,
    /// Frames of history: published at `rate`, from frame 0 on.
    pub frames: u64,
    /// How fast the history goes.
    pub rate: Rate,
    /// Whether to go on after the history: each reading is published when the wall clock reaches its time, until stopped.
    pub live: bool,
    /// Readings per message in the history, as a JSON array if more than one; live readings go alone. 1 to 1,000.
    pub batch: usize,
    /// At most this many messages are on their way unconfirmed. 1 to 32,000.
    pub in_flight: usize,
    /// Trouble on purpose.
    pub faults: Faults,
    /// Waits for whoever stores the readings.
    pub max_lag: Option<MaxLag>,
    /// Where to write down what was published; the file must not exist.
    pub ledger: Option<PathBuf>,
    /// How long the broker may be unreachable at the start.
    pub patience: Duration,
    /// How long a stopped replay waits for confirmations of what is on its way.
    pub drain: Duration,
}

impl ReplayOptions {
    /// A history of 1,800 frames as fast as possible, then live.
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            topic_prefix: "sensors/".to_owned(),
            client_id: format!("thicket-replay-{}-{}", std::process::id(), crate::time::now()),
            frames: 1_800,
            rate: Rate::Max,
            live: true,
            batch: 1,
            in_flight: 1_000,
            faults: Faults::default(),
            max_lag: None,
            ledger: None,
            patience: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=1_000).contains(&self.batch) {
            return Err(format!("a message carries 1 to 1000 readings, not {}", self.batch));
        }
        if !(1..=32_000).contains(&self.in_flight) {
            return Err(format!("1 to 32000 messages may be on their way, not {}", self.in_flight));
        }
        if self.topic_prefix.contains(['+', '#', '\0']) {
            return Err(format!("{:?} cannot begin a topic: + and # are wildcards", self.topic_prefix));
        }
        self.faults.validate()
    }
}

/// How fast a history is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// As fast as the broker confirms.
    Max,
    /// As fast as it happened: a second of event time in a second.
    RealTime,
    /// Readings per second.
    PerSecond(f64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Self::Max),
            "realtime" => Ok(Self::RealTime),
            _ => match text.parse::<f64>() {
                Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Self::PerSecond(rate)),
                _ => Err(format!("{text:?} is no rate; give max, realtime, or readings per second")),
            },
        }
    }
}

/// Keeps a replay from running away from those who store its readings: the broker queues, then drops.
#[derive(Clone)]
pub struct MaxLag {
    /// Sent and not yet dealt with at most.
    pub readings: u64,
    /// How many readings were dealt with since the replay began: stored, or found to be duplicates. Called several hundred
    /// times a second.
    pub stored: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for MaxLag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaxLag").field("readings", &self.readings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_understood() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        assert_eq!("realtime".parse(), Ok(Rate::RealTime));
        assert_eq!("2500.5".parse(), Ok(Rate::PerSecond(2_500.5)));
        for text in ["", "fast", "0", "-1", "inf", "NaN"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let options = ReplayOptions::new("mqtt://localhost".parse().unwrap());
        assert_eq!(options.validate(), Ok(()));
        let refused = |change: fn(&mut ReplayOptions)| {
            let mut options = options.clone();
            change(&mut options);
            options.validate().is_err()
        };
        assert!(refused(|options| options.batch = 0));
        assert!(refused(|options| options.in_flight = 40_000));
        assert!(refused(|options| options.topic_prefix = "sensors/#/".to_owned()));
        assert!(refused(|options| options.faults.late = 1.5));
    }
}
