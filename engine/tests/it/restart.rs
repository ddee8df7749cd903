//! An engine that is killed, stopped or resized, and detectors that are evicted and restored: the
//! rows stay the same.

use std::ops::Range;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Publisher, Samples, TestEnv, log_lines};

use crate::support::{publish_slowly, start, undisturbed};

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
    let mut publisher = env.publisher();
    let engine = env.engine().await;
    engine.terminate().await;
    // Each engine is killed in the middle of the readings that are published while it starts, so it
    // has enough of its own to store, however quick the engine before it was.
    let readings = |from: i64| from..from + READINGS / 4;
    for (from, committed) in [(0, 50.0), (100, 150.0), (200, 250.0)] {
        let publishing = publish_slowly(publisher, samples.clone(), readings(from));
        let engine = env.engine().await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
        publisher = publishing.await.unwrap();
    }
    let publishing = publish_slowly(publisher, samples.clone(), readings(300));
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
    // Some have come back meanwhile, because there is room for four.
    engine.until_metric_below("thicket_detectors", 0.5).await;
    samples.publish(&publisher, 130..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    env.snapshot().await.assert_same(&expected);
}

/// Sensors whose detectors take much memory.
const WIDE_SENSORS: i64 = 20;
const WIDE_FIELDS: i64 = 64;

/// Publishes readings of many fields, and waits until the broker has them.
async fn deliver_wide(publisher: &Publisher, start: i64, readings: Range<i64>) {
    for i in readings {
        for sensor in 0..WIDE_SENSORS {
            let value = |field: i64| (i * 31 + field * 17 + sensor * 7) % (23 + field);
            let fields = (0..WIDE_FIELDS).map(|field| format!(",\"f{field}\":{}", value(field)));
            let payload = format!("{{\"ts\":{}{}}}", start + i, fields.collect::<String>());
            publisher.publish(&format!("sensors/wide-{sensor}"), payload).await;
        }
    }
    publisher.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_beyond_the_bound_of_memory_are_evicted_and_score_as_if_they_had_stayed() {
    const MEMORY: &str = "thicket_detector_memory_bytes";
    let start_time = now_seconds() - READINGS;
    let env = start(config()).await;
    let engine = env.engine().await;
    deliver_wide(&env.publisher(), start_time, 0..90).await;
    env.until_accounted(90 * WIDE_SENSORS).await;
    engine.until_metric(MEMORY, 1.0).await;
    let all = engine.metric(MEMORY).await;
    assert!(engine.terminate().await.success());
    let expected = env.snapshot().await;

    // Room for a third of the detectors.
    let bound = (all / 3.0).floor();
    let env = start(config().set("shards.memory", format!("{bound}"))).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    for (from, to) in [(0, 50), (50, 90)] {
        deliver_wide(&publisher, start_time, from..to).await;
        env.until_accounted(to * WIDE_SENSORS).await;
        engine.until_metric("thicket_detector_evictions_total", WIDE_SENSORS as f64 / 2.0).await;
        engine.until_metric_below(MEMORY, bound + 1.0).await;
    }
    assert!(engine.metric("thicket_detector_restores_total").await > 0.5);
    assert!(engine.metric("thicket_detectors").await < WIDE_SENSORS as f64 / 2.0);
    env.snapshot().await.assert_same(&expected);
    assert!(engine.terminate().await.success());
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
