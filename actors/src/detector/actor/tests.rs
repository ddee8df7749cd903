use thicket_schema::{FieldSet, Reading};

use thicket_detector::DetectorConfig;

use super::*;
use crate::messages::{History, ScoreOutcome};
use crate::time_order::Occupied;

/// A value that panics a detector while [`arm_poison`] holds.
const POISON: f64 = faults::POISON[0].0;

/// Makes poison values panic detectors in this process.
fn arm_poison() {
    fail::cfg("poison", "return").unwrap();
}

fn reading(ts: i64, value: f64) -> Reading {
    Reading {
        sensor: SensorName::new("s").unwrap(),
        ts: Timestamp(ts),
        stamped: false,
        fields: FieldSet::new(vec!["value".to_owned()]).unwrap(),
        values: vec![value],
    }
}

async fn restored(checkpoint_every: u64) -> actix::Addr<DetectorActor> {
    let detector = crate::testing::start(DetectorActor::new(SensorName::new("s").unwrap(), checkpoint_every));
    let config = DetectorConfig { trees: 2, points: 32, ..DetectorConfig::default() };
    let config = Arc::new(NamedConfig::from(config));
    detector.send(Restore { config, history: History::default() }).await.unwrap();
    detector
}

fn score(readings: Vec<Reading>) -> Score {
    let to = readings.len();
    Score { readings: Arc::new(readings), from: 0, to, near: None, skip: false }
}

#[actix_rt::test]
async fn a_late_reading_waits_for_the_rows_near_it_and_does_not_change_the_detector() {
    let detector = restored(1_000).await;
    let readings = vec![reading(5, 1.0), reading(5, 2.0), reading(4, 3.0), reading(4, 3.0), reading(6, 4.0)];
    let scores = detector.send(score(readings.clone())).await.unwrap().unwrap();
    assert!(matches!(&scores.outcomes[0], ScoreOutcome::Scored(detection) if detection.seq == 1));
    assert_eq!(scores.outcomes[1..], [ScoreOutcome::Conflict], "another value at the same fine time");
    assert_eq!(scores.unknown, [Timestamp(4)]);

    let mut near = Occupied::default();
    near.insert(scores.places[0], &readings[0].fields, &readings[0].values);
    let rest = Score { from: 2, near: Some(near), ..score(readings) };
    let scores = detector.send(rest).await.unwrap().unwrap();
    assert_eq!(scores.outcomes[..2], [ScoreOutcome::NotNewer, ScoreOutcome::Duplicate]);
    assert!(matches!(&scores.outcomes[2], ScoreOutcome::Scored(detection) if detection.seq == 2));
    assert_eq!((scores.clock.late_from, scores.clock.state), (Some(2), None), "the row has ended");
}

#[actix_rt::test]
async fn a_checkpoint_is_due_once_per_interval() {
    let detector = restored(10).await;
    let mut taken = 0;
    for ts in 0..100 {
        let scores = detector.send(score(vec![reading(ts, ts as f64)])).await.unwrap().unwrap();
        taken += usize::from(scores.checkpoint.is_some());
    }
    assert_eq!(taken, 10);
}

#[actix_rt::test]
async fn a_detector_that_panicked_has_no_state_until_it_is_restored() {
    arm_poison();
    let detector = restored(10).await;
    assert!(detector.send(score(vec![reading(1, POISON)])).await.is_err());
    let refused = detector.send(score(vec![reading(2, 1.0)])).await.unwrap();
    assert_eq!(refused.unwrap_err(), NotRestored);
}
