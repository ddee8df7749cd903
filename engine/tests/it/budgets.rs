//! A Redis and a memory that are too small for all detectors: the log keeps its room, and every
//! reading is stored with the same score.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Publisher, Samples, TestEnv, log_lines};

use crate::support::{json, start, undisturbed};

const SENSORS: usize = 400;
/// Half of it is less than the checkpoints of all sensors need.
const MAX_MEMORY: &str = "6mb";

fn config() -> Config {
    TestEnv::config().checkpoint_every(40)
}

fn samples() -> Samples {
    Samples::new("mic-", SENSORS, now_seconds() - 5_000)
}

/// Limits the memory of Redis.
async fn limit(env: &TestEnv, maxmemory: &str) {
    env.redis().await.set_config("maxmemory", maxmemory).await.unwrap();
}

/// Lets an engine score 60 readings of each sensor, and stops it.
async fn save_every_detector(env: &TestEnv, samples: &Samples) -> Publisher {
    let engine = env.engine().await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..60).await;
    env.until_accounted(samples.records(60)).await;
    assert!(engine.terminate().await.success());
    publisher
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_fill_redis_make_room_for_the_log_and_change_no_row() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 120).await;
    let env = start(config()).await;
    limit(&env, MAX_MEMORY).await;
    // Twice as many checkpoints as fit.
    let publisher = save_every_detector(&env, &samples).await;

    let engine = env.engine().await;
    engine.until_metric("thicket_checkpoint_memory_limit_bytes", 3_000_000.0).await;
    let (used, limit_bytes) = (
        engine.metric("thicket_checkpoint_memory_bytes").await,
        engine.metric("thicket_checkpoint_memory_limit_bytes").await,
    );
    println!("checkpoints take {used} of {limit_bytes} bytes");
    assert!(used > limit_bytes / 2.0 && used <= limit_bytes, "{used} of {limit_bytes}");
    samples.deliver(&publisher, 60..120).await;
    env.until_accounted(samples.records(120)).await;
    assert!(engine.metric("thicket_checkpoints_evicted_total").await > 0.5);
    assert_eq!(engine.get("/readyz").await.status, 200);
    env.snapshot().await.assert_same(&expected);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);

    // No checkpoint and no message can be written now. The stop must not wait for either.
    limit(&env, "1mb").await;
    samples.deliver(&publisher, 120..122).await;
    engine.until_logged(log_lines::APPEND_FAILED).await;
    assert!(engine.terminate().await.success());
    assert_eq!(env.unaccounted().await, 0);
    limit(&env, MAX_MEMORY).await;
    let _engine = env.engine().await;
    env.until("SELECT count(*) FROM scores", samples.records(122)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_make_room_for_the_log_if_another_program_fills_redis() {
    const MEMORY: &str = "thicket_checkpoint_memory_bytes";
    let samples = samples();
    let expected = undisturbed(config(), &samples, 90).await;
    let env = start(config()).await;
    limit(&env, "16mb").await;
    let publisher = save_every_detector(&env, &samples).await;

    let engine = env.engine().await;
    engine.until_metric(MEMORY, 2_000_000.0).await;
    let before = engine.metric(MEMORY).await;
    let redis = env.redis().await;
    redis.fill(15).await.unwrap();
    // From fifteen sixteenths to three quarters: three megabytes, or all checkpoints.
    engine.until_metric("thicket_checkpoints_evicted_total", 20.0).await;
    engine.until_logged(log_lines::REDIS_SHORT).await;
    samples.deliver(&publisher, 60..90).await;
    env.until_accounted(samples.records(90)).await;
    assert!(engine.metric("thicket_append_failures_total").await < 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    println!("checkpoints: {before} bytes before, {} after", engine.metric(MEMORY).await);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_forgotten_sensors_are_deleted() {
    let samples = Samples::new("mic-", 4, now_seconds() - 100);
    let env = start(config()).await;
    let engine = env.engine().await;
    samples.deliver(&env.publisher(), 0..10).await;
    env.until_accounted(samples.records(10)).await;
    assert!(engine.terminate().await.success());
    let redis = env.redis().await;
    for number in 0..4 {
        assert_eq!(redis.checkpoint_seq(&samples.sensor(number)).await.unwrap(), 10);
    }
    env.execute("DELETE FROM sensors WHERE name IN ('mic-1', 'mic-2')").await;
    let engine = env.engine().await;
    engine.until_metric("thicket_checkpoints_deleted_total", 2.0).await;
    let mut left = Vec::new();
    for number in 0..4 {
        left.push(redis.checkpoint_seq(&samples.sensor(number)).await.unwrap());
    }
    assert_eq!(left, [10, 0, 0, 10]);
}

/// Checks that a planned number is within a fifth of a measured one.
fn assert_close(what: &str, planned: &serde_json::Value, measured: f64) {
    let ratio = planned.as_f64().unwrap() / measured;
    println!("{what}: {planned} planned, {measured:.0} measured");
    assert!((0.8..1.2).contains(&ratio), "{what}: {planned} planned, {measured} measured");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_within_a_fifth_of_what_an_engine_takes() {
    const SENSORS: i64 = 8;
    const READINGS: i64 = 1_500;
    let small = TestEnv::config().set("detector.profile", "small");
    let env = start(small).await;
    let plan = json(&env.thicket(&["plan", "--sensors", "8", "--fields", "2", "--rate", "1/s", "--json"]));
    let samples = Samples::new("mic-", SENSORS as usize, now_seconds() - 5_000);
    let engine = env.engine().await;
    let publisher = env.publisher();
    for page in 0..15 {
        samples.deliver(&publisher, page * 100..(page + 1) * 100).await;
    }
    env.until_accounted(samples.records(READINGS)).await;
    engine.until_metric("thicket_detectors", 1.0).await;
    // The gauge is set once a second.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let memory = engine.metric("thicket_detector_memory_bytes").await / SENSORS as f64;
    assert_close("bytes of a detector", &plan["memory"]["detector_bytes"], memory);
    let rows = env
        .number("SELECT sum(pg_total_relation_size(inhrelid))::int8 FROM pg_inherits WHERE inhparent = 'readings'::regclass")
        .await as f64;
    assert_close(
        "bytes of a row",
        &plan["postgresql"]["bytes_per_reading"],
        rows / samples.records(READINGS) as f64,
    );
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    engine.until_metric("thicket_checkpoint_memory_bytes", 1.0).await;
    let checkpoint = engine.metric("thicket_checkpoint_memory_bytes").await / SENSORS as f64;
    assert_close("bytes of a checkpoint", &plan["redis"]["checkpoint_bytes"], checkpoint);
}
