//! The report of a comparison, as JSON.

use serde::{Deserialize, Serialize};

/// The counts of a run. They balance: published = stored + duplicates + dead letters, provided that
/// nothing was lost, nothing was published before the manifest, and the broker delivered nothing
/// twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Publications that the broker confirmed: readings, their deliberate copies, and malformed
    /// messages.
    pub published: u64,
    /// Rows of the manifests' sensors within the event times of the manifests.
    pub stored: u64,
    /// Readings that arrived again with the same values. The engine's count since its tables were
    /// created.
    pub duplicates: u64,
    /// Readings that arrived after newer ones of their sensor: stored, but not scored. The engine's
    /// count.
    pub late: u64,
    /// Messages and readings that could not be processed. The engine's count.
    pub dead_letters: u64,
    /// Publications with neither an equal row nor a dead letter. A row with other values is not an
    /// equal row.
    pub lost: u64,
    /// Well-formed readings with a dead letter and no equal row: the engine refused them.
    pub only_dead_letters: u64,
    /// Rows of the manifests' sensors, from each sensor's first published reading to its last, that
    /// equal no publication. 0 if a manifest is torn: it may lack publications.
    pub unexpected: u64,
    /// Injected and found events.
    pub anomalies: Anomalies,
    /// Mean number of readings per second; `None` if unknown.
    pub readings_per_second: Option<f64>,
    /// Time from the arrival over MQTT to the commit.
    pub latency_ms: Latency,
}

impl Report {
    /// Returns whether each well-formed reading has an equal row, each malformed message a dead
    /// letter, and each row a publication.
    pub fn is_complete(&self) -> bool {
        self.lost == 0 && self.only_dead_letters == 0 && self.unexpected == 0
    }
}

/// Numbers of injected and found events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anomalies {
    /// Events whose whole span was published.
    pub injected: u64,
    /// Injected events that an anomaly overlaps, with a tolerance of two frames.
    pub found: u64,
    /// Anomalies that overlap no event, with a tolerance of two frames.
    pub false_alarms: u64,
}

/// Quantiles of a latency in milliseconds; `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
}

impl Latency {
    /// Rounds to 0.01 ms.
    pub(super) fn rounded(self) -> Self {
        let round = |value: Option<f64>| value.map(|milliseconds| (milliseconds * 100.0).round() / 100.0);
        Self { p50: round(self.p50), p99: round(self.p99) }
    }
}

/// Measurements that only the caller that ran the engine can make.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Performance {
    /// Mean number of readings per second.
    pub readings_per_second: Option<f64>,
    /// Time from the arrival over MQTT to the commit.
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
            only_dead_letters: 2,
            unexpected: 4,
            anomalies: Anomalies { injected: 10, found: 9, false_alarms: 1 },
            readings_per_second: Some(1_234.5),
            latency_ms: Latency { p50: Some(3.25), p99: None },
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"published":1000,"stored":990,"duplicates":5,"late":3,"dead_letters":5,"lost":0,"only_dead_letters":2,"unexpected":4,"anomalies":{"injected":10,"found":9,"false_alarms":1},"readings_per_second":1234.5,"latency_ms":{"p50":3.25,"p99":null}}"#
        );
    }
}
