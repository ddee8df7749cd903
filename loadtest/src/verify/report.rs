//! The outcome as JSON.

use serde::{Deserialize, Serialize};

/// The account of a run. It balances: published = stored + duplicates + dead letters, where nothing was lost, published
/// before the ledger, or delivered twice by the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Publications that the broker confirmed: readings, those repeated on purpose again, and messages without meaning.
    pub published: u64,
    /// Rows of the ledgers' sensors within the ledgers' time.
    pub stored: u64,
    /// Readings that arrived again with the same values (the engine's count, over everything it ever took in).
    pub duplicates: u64,
    /// Readings that arrived after newer ones of their sensor; stored, not scored (the engine's count).
    pub late: u64,
    /// Messages and readings that were put aside with a reason (the engine's count).
    pub dead_letters: u64,
    /// Publications with neither an equal row nor a dead letter. A row with other values does not count.
    pub lost: u64,
    /// How well the injected events were found.
    pub anomalies: Anomalies,
    /// Sustained rate.
    pub readings_per_second: Option<f64>,
    /// From the arrival over MQTT to the commit.
    pub latency_ms: Latency,
}

/// Injected events against found ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies {
    /// Events whose whole span was published.
    pub injected: u64,
    /// Those of them that some anomaly overlaps, give or take two frames.
    pub found: u64,
    /// Anomalies that overlap no event, give or take two frames.
    pub false_alarms: u64,
}

/// Quantiles in milliseconds; nothing where they are not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the readings took at most this.
    pub p50: Option<f64>,
    /// 99 % of the readings took at most this.
    pub p99: Option<f64>,
}

impl Latency {
    pub(super) fn rounded(self) -> Self {
        let round = |value: Option<f64>| value.map(|milliseconds| (milliseconds * 100.0).round() / 100.0);
        Self { p50: round(self.p50), p99: round(self.p99) }
    }
}

/// What only whoever ran the engine can measure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Performance {
    /// Sustained readings per second.
    pub readings_per_second: Option<f64>,
    /// From the arrival over MQTT to the commit.
    pub latency_ms: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_the_documented_members() {
        let report = Report {
            published: 1_000,
            stored: 990,
            duplicates: 5,
            late: 3,
            dead_letters: 5,
            lost: 0,
            anomalies: Anomalies { injected: 10, found: 9, false_alarms: 1 },
            readings_per_second: Some(1_234.5),
            latency_ms: Latency { p50: Some(3.25), p99: None },
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"published":1000,"stored":990,"duplicates":5,"late":3,"dead_letters":5,"lost":0,"anomalies":{"injected":10,"found":9,"false_alarms":1},"readings_per_second":1234.5,"latency_ms":{"p50":3.25,"p99":null}}"#
        );
    }
}
