use std::time::Duration;

use thicket_detector::Label;
use thicket_schema::Timestamp;

use super::*;
use crate::backtest::scorer::{Counts, Scored};

fn alarm(from: i64, to: Option<i64>, grade: f64, label: Option<Label>) -> Alarm {
    Alarm {
        started: Timestamp(from),
        ended: to.map(Timestamp),
        peak_at: Timestamp(from),
        peak_grade: grade,
        readings: 1,
        late_readings: 0,
        causes: Vec::new(),
        label,
    }
}

fn outcome(stored: Option<Vec<Alarm>>, alarms: Vec<Alarm>) -> SensorOutcome {
    let counts = Counts { scored: 900, warming: 100, ..Counts::default() };
    let scored = Scored { alarms, counts, memory: 4_000, cpu: Duration::from_millis(2) };
    SensorOutcome { sensor: "a".to_owned(), scored, stored }
}

#[test]
fn both_sides_are_compared_and_judged() {
    let stored = vec![
        alarm(10, None, 0.9, Some(Label::True)),
        alarm(50, Some(60), 0.8, Some(Label::False)),
        alarm(80, Some(81), 0.7, None),
    ];
    let new =
        vec![alarm(49, Some(49), 0.95, None), alarm(80, Some(90), 0.6, None), alarm(95, None, 0.5, None)];
    let report = Report::new(&[outcome(Some(stored), new)], 1);
    let Totals { old, new, kept, gained, lost, .. } = report.totals;
    assert_eq!((old, new, kept, gained, lost), (Some(3), 3, 2, 1, 1));
    assert_eq!(report.lost[0].alarm.started, Timestamp(50));
    assert_eq!(report.gained[0].alarm.started, Timestamp(95));
    let Labels { old, new } = report.labels.unwrap();
    assert_eq!((old.precision, old.recall), (Some(0.5), Some(1.0)));
    assert_eq!((new.precision, new.recall, new.counts.unlabelled), (Some(1.0), Some(1.0), 2));
    assert!((report.cost.cpu_micros_per_reading - 2.0).abs() < 1e-9);
}

#[test]
fn of_files_every_alarm_is_shown() {
    let alarms = vec![alarm(1, Some(2), 0.5, None), alarm(5, Some(6), 0.9, None)];
    let report = Report::new(&[outcome(None, alarms.clone()), outcome(None, Vec::new())], 1);
    assert_eq!((report.totals.old, report.gained.len()), (None, 2));
    assert_eq!(report.gained[0].alarm, alarms[0], "in the order of time");
    assert!(report.labels.is_none());
}
