//! A Redis and a memory that are too small for all detectors: the log keeps its room, and every reading
//! is stored with the same score.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{start, undisturbed};

const SENSORS: usize = 400;
/// Half of it is less than the checkpoints of all sensors need.
const MAX_MEMORY: &str = "6mb";

fn config() -> Config {
    TestEnv::config().checkpoint_every(40)
}

fn samples() -> Samples {
    Samples::new("mic-", SENSORS, now_seconds() - 5_000)
}

/// Limits the memory of Redis. Its own clients must not be closed for the memory of their buffers.
async fn limit(env: &TestEnv, maxmemory: &str) {
    env.redis().await.set_config("maxmemory", maxmemory).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_that_fill_redis_make_room_for_the_log_and_change_no_row() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 120).await;
    let env = start(config()).await;
    limit(&env, MAX_MEMORY).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..60).await;
    env.until_accounted(samples.records(60)).await;
    // Saves every detector, twice as many as fit.
    assert!(engine.terminate().await.success());

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

    // No checkpoint can be written now. The stop must not wait for one.
    limit(&env, "1mb").await;
    assert!(engine.terminate().await.success());
    assert_eq!(env.unaccounted().await, 0);
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
