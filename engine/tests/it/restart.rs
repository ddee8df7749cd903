//! An engine that is killed, stopped or resized, and detectors that are evicted and restored: the
//! rows stay the same.

use std::time::Duration;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv, log_lines};

use crate::support::{start, undisturbed};

const SENSORS: usize = 6;
const READINGS: i64 = 400;

/// Few enough for a test, and enough for several checkpoints, trims and full windows.
fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(100)
}

fn samples() -> Samples {
    Samples::new("city/mic-", SENSORS, now_seconds() - READINGS)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_again_and_again_ends_with_the_rows_of_an_undisturbed_one() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;

    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    engine.terminate().await;
    let publishing = tokio::spawn({
        let samples = samples.clone();
        async move {
            for i in 0..READINGS {
                samples.publish(&publisher, i..i + 1).await;
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            publisher
        }
    });
    for committed in [50.0, 150.0, 250.0] {
        let engine = env.engine().await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
    }
    let engine = env.engine().await;
    let _publisher = publishing.await.unwrap();
    env.until_scored(samples.records(READINGS)).await;
    assert!(engine.metric("thicket_detector_restores_total").await > 0.0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_engine_saves_every_detector_and_the_next_goes_on_from_there() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;

    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    samples.publish(&publisher, 0..150).await;
    env.until_accounted(samples.records(150)).await;
    assert_eq!(engine.terminate().await.code(), Some(0));

    let engine = env.engine().await;
    samples.publish(&publisher, 150..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    assert!((engine.metric("thicket_detector_restores_total").await - SENSORS as f64).abs() < 0.5);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_are_evicted_and_come_back_score_as_if_they_had_stayed() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;

    let env = start(config().set("shards.evict_after", "1s").set("shards.max_detectors", 4)).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    samples.publish(&publisher, 0..130).await;
    env.until_accounted(samples.records(130)).await;
    engine.until_metric("thicket_detector_evictions_total", SENSORS as f64).await;
    assert!(engine.metric("thicket_detectors").await < 0.5, "all are evicted");
    samples.publish(&publisher, 130..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_whose_checkpoint_is_damaged_is_rebuilt_from_its_rows_up_to_the_newest_timestamp() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;

    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    samples.publish(&publisher, 0..150).await;
    env.until_accounted(samples.records(150)).await;
    engine.terminate().await;
    let redis = env.redis().await;
    for sensor in 0..SENSORS {
        redis.set_checkpoint_state(&samples.sensor(sensor), b"no checkpoint at all".to_vec()).await.unwrap();
    }
    let engine = env.engine().await;
    samples.publish(&publisher, 150..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    engine.assert_logged(log_lines::CHECKPOINT_UNREADABLE);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_changes_no_row() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;
    let env = start(config()).await;
    let publisher = env.publisher();
    for (shards, readings) in [(1, 0..120), (4, 120..260), (2, 260..READINGS)] {
        let engine = env.engine_with(&config().shards(shards)).await;
        let end = readings.end;
        samples.publish(&publisher, readings).await;
        env.until_accounted(samples.records(end)).await;
        engine.terminate().await;
    }
    env.snapshot().await.assert_same(&expected);
}
