//! Injected events against the rows of `anomalies`.
//!
//! An anomaly lasts from its first to its last flagged reading; one that has not ended reaches to the present. An event is
//! found when some anomaly of its sensor overlaps it, give or take two frames. An anomaly is a false alarm when it overlaps
//! no event of its sensor, give or take two frames; events whose span was published only in part are not counted as
//! injected, but neither does an anomaly in them count as a false alarm.

use super::{
    Anomalies, VerifyError,
    published::{Published, PublishedSensor},
};
use crate::database::Database;

/// How far an anomaly and an event may miss each other, in frames.
const TOLERANCE_FRAMES: i64 = 2;

/// A span of time in µs, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The first moment.
    pub start: i64,
    /// The last moment.
    pub end: i64,
}

impl Interval {
    fn overlaps(self, other: Self, tolerance: i64) -> bool {
        self.start.saturating_sub(tolerance) <= other.end && other.start <= self.end.saturating_add(tolerance)
    }
}

/// Judges one sensor: `events` that were published whole, `parts` of events that were not, and the anomalies found.
pub fn judge(events: &[Interval], parts: &[Interval], anomalies: &[Interval], tolerance: i64) -> Anomalies {
    let hit = |event: &&Interval| anomalies.iter().any(|anomaly| anomaly.overlaps(**event, tolerance));
    let false_alarm =
        |anomaly: &&Interval| !events.iter().chain(parts).any(|event| anomaly.overlaps(*event, tolerance));
    Anomalies {
        injected: events.len() as u64,
        found: events.iter().filter(hit).count() as u64,
        false_alarms: anomalies.iter().filter(false_alarm).count() as u64,
    }
}

/// Judges all sensors of the ledgers; anomalies outside of the ledgers' time are left alone.
pub(super) async fn compare(
    published: &Published,
    database: &mut Database,
) -> Result<Anomalies, VerifyError> {
    let known = database.sensors().await?;
    let mut sum = Anomalies::default();
    for (name, sensor) in &published.sensors {
        let (events, parts) = events(published, name, sensor);
        let mut anomalies = Vec::new();
        if let Some(&id) = known.get(name) {
            for row in database.anomalies(id).await? {
                let start = row.started.timestamp_micros();
                let end = row.ended.map_or(i64::MAX, |ended| ended.timestamp_micros());
                if (sensor.first_ts..=sensor.last_ts).contains(&start) {
                    anomalies.push(Interval { start, end });
                }
            }
        }
        let of_sensor = judge(&events, &parts, &anomalies, TOLERANCE_FRAMES * sensor.period_micros);
        sum.injected += of_sensor.injected;
        sum.found += of_sensor.found;
        sum.false_alarms += of_sensor.false_alarms;
    }
    Ok(sum)
}

/// A sensor's events, those published whole and the others.
fn events(published: &Published, name: &str, sensor: &PublishedSensor) -> (Vec<Interval>, Vec<Interval>) {
    let labels = published.labels.get(name).map(Vec::as_slice).unwrap_or_default();
    labels
        .iter()
        .map(|label| Interval { start: label.start, end: label.end })
        .partition(|event| event.start >= sensor.first_ts && event.end <= sensor.last_ts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(start: i64, end: i64) -> Interval {
        Interval { start, end }
    }

    fn counts(events: &[Interval], anomalies: &[Interval]) -> (u64, u64, u64) {
        let Anomalies { injected, found, false_alarms } = judge(events, &[], anomalies, 2);
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
        let anomalies = judge(&[], &[interval(100, 110)], &[interval(104, 106)], 2);
        assert_eq!(anomalies, Anomalies { injected: 0, found: 0, false_alarms: 0 });
    }
}
