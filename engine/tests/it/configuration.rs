//! Another configuration in the middle of a stream, while the engine runs: it takes effect at one
//! position in the log, also after a crash.

use std::ops::Range;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, Publisher, Samples, TestEnv, log_lines};

use crate::support::{publish_slowly, start};

const SENSORS: usize = 5;
const BEFORE: i64 = 150;
const READINGS: i64 = 320;

/// The stored configurations.
const CONFIGS: &str = "SELECT * FROM configs ORDER BY id";

fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(60)
}

/// Two of the sensors get forests of another size, the others only another threshold.
fn other_config() -> Config {
    let other = config().set("detector.alarms_per_week", 20_000.0);
    let other = other.for_sensors("city/mic-0", [("points", 96)]);
    other.for_sensors("city/mic-1", [("points", 64), ("smoothing", 0)])
}

/// With this configuration, the detector learns slowly as long as an anomaly lasts.
fn guarded_config() -> Config {
    config().set("detector.alarms_per_week", 2_000.0).set("detector.accept_after", "1y")
}

/// Waits until every partition's log has a configuration with this text.
async fn until_logged(env: &TestEnv, text: &str) {
    env.until(&format!("SELECT count(*) FROM partitions WHERE detectors LIKE '%{text}%'"), 4).await;
}

/// Publishes the first part and changes the configuration of the running engine.
async fn publish_and_change(env: &TestEnv, engine: &Engine, publisher: &Publisher, samples: &Samples) {
    samples.publish(publisher, 0..BEFORE).await;
    env.until_accounted(samples.records(BEFORE)).await;
    engine.reload(&other_config());
    until_logged(env, "city/mic-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_at_its_place_keeps_what_was_learnt_and_survives_crashes() {
    let samples = Samples::new("city/mic-", SENSORS, now_seconds() - READINGS);
    let undisturbed = start(config()).await;
    let engine = undisturbed.engine().await;
    let publisher = undisturbed.publisher();
    publish_and_change(&undisturbed, &engine, &publisher, &samples).await;
    samples.publish(&publisher, BEFORE..READINGS).await;
    undisturbed.until_accounted(samples.records(READINGS)).await;
    assert!(engine.terminate().await.success());
    let expected = undisturbed.snapshot().await;
    let expected_configs = undisturbed.texts(CONFIGS).await;

    let boundary = format!(
        "SELECT count(*) FROM (SELECT count(DISTINCT config) AS configs,
                min(config) FILTER (WHERE seq <= {BEFORE}) AS old,
                max(config) FILTER (WHERE seq <= {BEFORE}) AS still_old FROM readings GROUP BY sensor) s
         WHERE configs = 2 AND old = still_old"
    );
    assert_eq!(
        undisturbed.number(&boundary).await,
        SENSORS as i64,
        "all rows before the change have the old configuration"
    );
    let ungraded = format!("SELECT count(*) FROM scores WHERE seq > {BEFORE} AND grade IS NULL");
    assert_eq!(undisturbed.number(&ungraded).await, 0, "a forest of another size is warm at once");
    let anomalous = format!("SELECT count(*) FROM scores WHERE seq > {BEFORE} AND anomaly");
    assert!(undisturbed.number(&anomalous).await > 0, "the other threshold applies");

    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    publish_and_change(&env, &engine, &publisher, &samples).await;
    engine.kill();
    // Each engine has readings of its own to store, however quick the engine before it was.
    let third = (READINGS - BEFORE) / 3;
    let mut publisher = publisher;
    for (from, committed) in [(BEFORE, 30.0), (BEFORE + third, 200.0)] {
        let publishing = publish_slowly(publisher, samples.clone(), from..from + third);
        let engine = env.engine_with(&other_config()).await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
        publisher = publishing.await.unwrap();
    }
    let publishing = publish_slowly(publisher, samples.clone(), BEFORE + 2 * third..READINGS);
    let engine = env.engine_with(&other_config()).await;
    let _publisher = publishing.await.unwrap();
    env.until_scored(samples.records(READINGS)).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    env.snapshot().await.assert_same(&expected);
    assert_eq!(env.texts(CONFIGS).await, expected_configs);
}

/// Publishes a level that rises at reading 200 and stays high.
async fn publish_shift(publisher: &Publisher, start: i64, readings: Range<i64>) {
    for i in readings {
        let noise = (i * 7_919 % 101) as f64 / 50.0;
        let level = if i < 200 { 50.0 } else { 80.0 };
        let text = format!("{{\"ts\":{},\"level\":{}}}", start + i, level + noise);
        publisher.publish("sensors/city/gauge", text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_ends_the_learning_guard_at_its_place_in_the_log() {
    let first = now_seconds() - READINGS;
    let slowed = "SELECT count(*) FROM scores WHERE seq > 232 AND learning_slowed";
    let label = "INSERT INTO labels (sensor, started, label)
                 SELECT sensor, started, 'false' FROM anomalies WHERE ended IS NULL";

    let env = start(guarded_config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publish_shift(&publisher, first, 0..230).await;
    env.until_accounted(230).await;
    assert_eq!(env.number("SELECT count(*) FROM anomaly_events WHERE ended IS NULL").await, 1, "it lasts");
    env.execute(label).await;
    env.until("SELECT count(*) FROM applied_labels", 1).await;
    env.until("SELECT count(*) FROM labels WHERE logged", 1).await;
    publish_shift(&publisher, first, 230..READINGS).await;
    env.until_accounted(READINGS).await;
    assert_eq!(env.number(slowed).await, 0, "from the label on, the level is learnt as normal");
    // After a crash the checkpoint may be older than the label: the label is applied again.
    engine.kill();
    let engine = env.engine().await;
    publish_shift(&publisher, first, READINGS..READINGS + 40).await;
    env.until_accounted(READINGS + 40).await;
    assert!(engine.metric("thicket_detector_restores_total").await > 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anomaly_that_lasts_ends_when_its_detector_is_replaced() {
    let first = now_seconds() - READINGS;
    let env = start(guarded_config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publish_shift(&publisher, first, 0..230).await;
    env.until_accounted(230).await;
    assert_eq!(env.number("SELECT count(*) FROM anomaly_events WHERE ended IS NULL").await, 1);
    engine.reload(&guarded_config().set("detector.points", 96));
    until_logged(&env, "\"points\":96").await;
    publish_shift(&publisher, first, 230..250).await;
    env.until_accounted(250).await;
    let last_anomalous = "SELECT count(*) FROM anomaly_events
        WHERE ended = (SELECT max(ts) FROM scores WHERE seq <= 230 AND anomaly)";
    assert_eq!(env.number(last_anomalous).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_is_refused_by_name_and_the_old_configuration_holds() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let samples = Samples::new("city/mic-", SENSORS, now_seconds() - READINGS);
    samples.publish(&publisher, 0..20).await;
    env.until_accounted(samples.records(20)).await;
    // The engine notices the change without a signal.
    engine.rewrite_config(&config().set("detector.alarms_per_weak", 3));
    engine.until_log_contains("alarms_per_weak").await;
    engine.assert_logged(log_lines::CONFIGURATION_REFUSED);
    samples.publish(&publisher, 20..40).await;
    env.until_accounted(samples.records(40)).await;
    assert_eq!(env.number("SELECT count(DISTINCT config) FROM readings").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_changed_while_the_engine_starts_takes_effect() {
    let mut env = start(config()).await;
    env.servers.redis.stop().unwrap();
    let engine = env.launch(&env.base(), &[]);
    engine.until_log_contains("redis does not answer").await;
    engine.rewrite_config(&config().set("detector.alarms_per_week", 3));
    env.servers.redis.restart_on_same_port().unwrap();
    engine.until_log_contains("the configuration file has changed").await;
    engine.until_log_contains("appending control entries to the log").await;
    until_logged(&env, "\"alarms_per_week\":3.0").await;
}
