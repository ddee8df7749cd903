//! Injected events against the rows of `anomalies`.
//!
//! An anomaly lasts from its first to its last flagged reading; an open anomaly has no end. An
//! event is found if an anomaly of its sensor overlaps it, with a tolerance of two frames. An
//! anomaly is a false alarm if it overlaps no event of its sensor, with the same tolerance. An
//! event that was published only in part does not count as injected, and an anomaly that overlaps
//! it is not a false alarm.

use thicket_schema::Timestamp;
use thicket_store::postgres::SnapshotReader;

use super::{
    error::VerifyError,
    published::{Published, PublishedSensor},
    report::Anomalies,
};

/// The greatest gap between an anomaly and an event that still belong together, in frames.
const TOLERANCE_FRAMES: i64 = 2;

/// A span of time in µs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The beginning.
    pub start: i64,
    /// The end.
    pub end: i64,
}

impl Interval {
    fn overlaps(self, other: Self, tolerance: i64) -> bool {
        self.start.saturating_sub(tolerance) <= other.end && other.start <= self.end.saturating_add(tolerance)
    }
}

/// Counts the found events and the false alarms of one sensor. `events` were published whole,
/// `parts` only in part. `tolerance` is in µs.
pub fn count_matches(
    events: &[Interval],
    parts: &[Interval],
    anomalies: &[Interval],
    tolerance: i64,
) -> Anomalies {
    let hit = |event: &&Interval| anomalies.iter().any(|anomaly| anomaly.overlaps(**event, tolerance));
    let false_alarm =
        |anomaly: &&Interval| !events.iter().chain(parts).any(|event| anomaly.overlaps(*event, tolerance));
    Anomalies {
        injected: events.len() as u64,
        found: events.iter().filter(hit).count() as u64,
        false_alarms: anomalies.iter().filter(false_alarm).count() as u64,
    }
}

/// Counts over all sensors of the manifests. Ignores anomalies that began outside the time that a
/// sensor's manifest covers.
pub(super) async fn compare(
    published: &Published,
    database: &mut SnapshotReader,
) -> Result<Anomalies, VerifyError> {
    let known = database.sensor_ids().await?;
    let mut sum = Anomalies::default();
    for (name, sensor) in &published.sensors {
        let (events, parts) = split_events(published, name, sensor);
        let mut anomalies = Vec::new();
        if let Some(&id) = known.get(name) {
            for row in database.anomalies(id).await? {
                let start = row.started.as_micros();
                let end = row.ended.map_or(i64::MAX, Timestamp::as_micros);
                if (sensor.first_ts..=sensor.last_ts).contains(&start) {
                    anomalies.push(Interval { start, end });
                }
            }
        }
        let of_sensor = count_matches(&events, &parts, &anomalies, TOLERANCE_FRAMES * sensor.period_micros);
        sum.injected += of_sensor.injected;
        sum.found += of_sensor.found;
        sum.false_alarms += of_sensor.false_alarms;
    }
    Ok(sum)
}

/// Returns the events of a sensor: those that were published whole, and the others.
fn split_events(
    published: &Published,
    name: &str,
    sensor: &PublishedSensor,
) -> (Vec<Interval>, Vec<Interval>) {
    let events = published.events.get(name).map(Vec::as_slice).unwrap_or_default();
    events
        .iter()
        .map(|event| Interval { start: event.start, end: event.end })
        .partition(|event| event.start >= sensor.first_ts && event.end <= sensor.last_ts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: i64, end: i64) -> Interval {
        Interval { start, end }
    }

    fn counts(events: &[Interval], anomalies: &[Interval]) -> (u64, u64, u64) {
        let Anomalies { injected, found, false_alarms } = count_matches(events, &[], anomalies, 2);
        (injected, found, false_alarms)
    }

    #[test]
    fn any_overlap_finds_and_the_tolerance_reaches_two_frames() {
        let event = [interval(100, 110)];
        for anomaly in [(105, 106), (90, 100), (110, 120), (90, 120), (112, 115), (95, 98), (0, i64::MAX)] {
            assert_eq!(counts(&event, &[interval(anomaly.0, anomaly.1)]), (1, 1, 0), "{anomaly:?}");
        }
        for anomaly in [(113, 115), (90, 97), (0, 1)] {
            assert_eq!(counts(&event, &[interval(anomaly.0, anomaly.1)]), (1, 0, 1), "{anomaly:?}");
        }
    }

    #[test]
    fn several_anomalies_in_one_event_find_it_once_and_alarm_nobody() {
        assert_eq!(counts(&[interval(100, 140)], &[interval(101, 105), interval(120, 130)]), (1, 1, 0));
        // One anomaly over two events finds both.
        assert_eq!(counts(&[interval(100, 110), interval(120, 130)], &[interval(105, 125)]), (2, 2, 0));
        assert_eq!(counts(&[interval(100, 110)], &[]), (1, 0, 0));
        assert_eq!(counts(&[], &[interval(1, 2), interval(7, 8)]), (0, 0, 2));
    }

    #[test]
    fn an_event_published_in_part_is_neither_injected_nor_a_false_alarm() {
        let anomalies = count_matches(&[], &[interval(100, 110)], &[interval(104, 106)], 2);
        assert_eq!(anomalies, Anomalies { injected: 0, found: 0, false_alarms: 0 });
    }
}
