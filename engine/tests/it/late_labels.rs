//! Labels of anomalies that have ended.

use std::ops::Range;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Publisher, TestEnv};

use crate::support::{json, start, stderr};

/// The first readings of the bursts, each of which has five readings.
const BURSTS: [i64; 2] = [300, 500];
const READINGS: i64 = 600;

/// Publishes a level that is high during the bursts.
async fn publish(publisher: &Publisher, begin: i64, readings: Range<i64>) {
    for i in readings {
        let noise = (i * 7_919 % 101) as f64 / 50.0;
        let is_high = BURSTS.iter().any(|first| (*first..first + 5).contains(&i));
        let level = if is_high { 80.0 } else { 50.0 };
        let text = format!("{{\"ts\":{},\"level\":{}}}", begin + i, level + noise);
        publisher.publish("sensors/city/gauge", text).await;
    }
}

/// Returns a query that counts the anomalies that began with or after a reading.
fn anomalies_since(begin: i64, reading: i64) -> String {
    format!("SELECT count(*) FROM anomalies WHERE started >= to_timestamp({})", begin + reading)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_labelled_after_its_end_does_not_come_again_and_a_crash_keeps_that() {
    let begin = now_seconds() - READINGS;
    let config = TestEnv::config().small_detector().checkpoint_every(10_000);
    let env = start(config.set("detector.alarms_per_week", 1_000.0)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publish(&publisher, begin, 0..450).await;
    env.until_accounted(450).await;
    assert_eq!(env.number(&anomalies_since(begin, BURSTS[0])).await, 1);
    let ended = format!("{} AND ended IS NOT NULL", anomalies_since(begin, BURSTS[0]));
    assert_eq!(env.number(&ended).await, 1, "it is over");

    // The newest label counts. Replay applies both.
    for label in ["true", "false"] {
        env.execute(&format!(
            "INSERT INTO labels (sensor, started, label) SELECT sensor, started, '{label}' FROM anomalies
             WHERE started >= to_timestamp({})
             ON CONFLICT (sensor, started) DO UPDATE SET label = excluded.label, logged = false",
            begin + BURSTS[0]
        ))
        .await;
        env.until(&format!("SELECT count(*) FROM applied_labels WHERE label = '{label}'"), 1).await;
    }
    // No checkpoint has the labels.
    engine.kill();
    let engine = env.engine().await;
    publish(&publisher, begin, 450..READINGS).await;
    env.until_accounted(READINGS).await;
    assert_eq!(env.number(&anomalies_since(begin, BURSTS[1])).await, 0);
    assert!(env.number("SELECT count(*) FROM scores WHERE suppressed").await > 0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);

    // A backtest with the same configuration applies the labels where the engine applied them.
    let same = env.path().join("same.toml");
    let detector = "[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\nalarms_per_week = 1000.0\n";
    std::fs::write(&same, detector).unwrap();
    let backtest = env.thicket(&["backtest", "--json", "--with", same.to_str().unwrap()]);
    assert!(backtest.status.success(), "{}", stderr(&backtest));
    let report = json(&backtest);
    let changed = (report["totals"]["gained"].as_u64(), report["totals"]["lost"].as_u64());
    assert_eq!(changed, (Some(0), Some(0)), "{report}");

    engine.kill();
    let engine = env.engine().await;
    publish(&publisher, begin, READINGS..READINGS + 40).await;
    env.until_accounted(READINGS + 40).await;
    assert!(engine.metric("thicket_detector_restores_total").await > 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
}
