//! The parameters of a replay.

use std::{fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use super::{broker::Broker, faults::Faults};

/// The parameters of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The broker.
    pub broker: Broker,
    /// The part of a topic before the sensor's name.
    pub topic_prefix: String,
    /// The MQTT client id. Each client of a broker needs its own: the broker disconnects the older
    /// of two clients with the same id.
    pub client_id: String,
    /// The first frame to publish.
    pub first_frame: u64,
    /// The frame at which the history ends. The frames before it are published at `rate`.
    pub frames: u64,
    /// The speed of the history.
    pub rate: Rate,
    /// Whether live readings follow the history. A live reading is published when the wall clock
    /// reaches its time. A live replay runs until it is stopped.
    pub live: bool,
    /// Readings per message in the history, 1 to 1,000; more than one form a JSON array. A live
    /// message holds one reading.
    pub batch: usize,
    /// The most messages that may be sent and not yet confirmed, 1 to 32,000.
    pub in_flight: usize,
    /// Deliberate faults.
    pub faults: Faults,
    /// How far the replay may run ahead of the engine; `None`: without limit.
    pub max_lag: Option<MaxLag>,
    /// The manifest to write; the file must not exist.
    pub manifest: Option<PathBuf>,
    /// How long the broker may be unreachable before the first connection.
    pub connect_timeout: Duration,
    /// How long a stopped replay waits for outstanding confirmations.
    pub drain: Duration,
}

impl ReplayOptions {
    /// Returns the defaults: a history of 1,800 frames as fast as possible, then live readings.
    pub fn new(broker: Broker) -> Self {
        Self {
            broker,
            topic_prefix: "sensors/".to_owned(),
            client_id: format!("thicket-replay-{}-{}", std::process::id(), crate::time::now()),
            first_frame: 0,
            frames: 1_800,
            rate: Rate::Max,
            live: true,
            batch: 1,
            in_flight: 1_000,
            faults: Faults::default(),
            max_lag: None,
            manifest: None,
            connect_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=1_000).contains(&self.batch) {
            return Err(format!("a message carries 1 to 1000 readings, not {}", self.batch));
        }
        if !(1..=32_000).contains(&self.in_flight) {
            return Err(format!("1 to 32000 messages may be in flight, not {}", self.in_flight));
        }
        if self.topic_prefix.contains(['+', '#', '\0']) {
            return Err(format!("{:?} cannot begin a topic: + and # are wildcards", self.topic_prefix));
        }
        self.faults.validate()
    }
}

/// The speed at which a history is published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// As fast as the broker confirms messages.
    Max,
    /// One second of event time per second.
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
                _ => Err(format!("{text:?} is not a rate; give max, realtime, or readings per second")),
            },
        }
    }
}

/// Limits how far a replay runs ahead of the engine. Without a limit the broker's queue grows until
/// the broker drops messages.
#[derive(Clone)]
pub struct MaxLag {
    /// The most readings that may be sent and have no outcome yet.
    pub readings: u64,
    /// Returns the number of readings since the replay began that have an outcome, for instance
    /// stored or duplicate. The replay calls it several hundred times a second.
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
