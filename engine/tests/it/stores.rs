//! Stores that lie, forget, fill up or break off in the middle of an answer. The engine reports it.
//! As far as the stores kept what they acknowledged, the rows stay the same.

use std::time::Duration;

use thicket_detector::{Detector, DetectorConfig, Profile};
use thicket_schema::{Checkpoint, SensorName, Timestamp};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Config, Engine, FlakyProxy, Samples, TestEnv, log_lines};

use crate::support::{start, undisturbed};

const SENSORS: usize = 3;

fn config() -> Config {
    let small = TestEnv::config().set("detector.profile", "small").set("detector.warm_up", 64);
    small.checkpoint_every(50)
}

fn samples() -> Samples {
    Samples::new("mic-", SENSORS, now_seconds() - 1_000)
}

/// A well-formed checkpoint of a detector that has seen other readings than those that are stored.
fn invented(sensor: &SensorName, start: i64, readings: i64) -> Checkpoint {
    let config = DetectorConfig { profile: Profile::Small, warm_up: 64, ..DetectorConfig::default() };
    let mut detector = Detector::new(sensor.as_str(), &config);
    let names = ["level".to_owned(), "pitch".to_owned()];
    for i in 0..readings {
        detector.apply((start + i) * 1_000_000, &names, &[i as f64, 1.0]).unwrap();
    }
    Checkpoint {
        sensor: sensor.as_str().to_owned(),
        seq: detector.seq(),
        newest: detector.newest().map(Timestamp),
        era: 0,
        config: config.fingerprint(),
        state: detector.snapshot(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_lead_to_the_stored_scores_is_not_used() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 300).await;
    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    samples.deliver(&publisher, 0..200).await;
    env.until_accounted(samples.records(200)).await;
    assert!(engine.terminate().await.success());

    let redis = env.redis().await;
    for (sensor, readings) in [(0, 150), (1, 260)] {
        let sensor = samples.sensor(sensor);
        let checkpoint = invented(&sensor, samples.start(), readings);
        redis.set_checkpoint_seq(&sensor, checkpoint.seq).await.unwrap();
        redis.set_checkpoint_state(&sensor, checkpoint.encode()).await.unwrap();
    }
    let engine = env.engine().await;
    samples.deliver(&publisher, 200..300).await;
    env.until_accounted(samples.records(300)).await;
    env.snapshot().await.assert_same(&expected);
    engine.assert_logged_with(log_lines::CHECKPOINT_MISMATCH, "mic-0");
    engine.assert_logged_with(log_lines::CHECKPOINT_AHEAD, "mic-1");
    assert!(engine.metric("thicket_restore_mismatches_total").await > 0.5);
    // Checkpoints that are written from then on are valid again.
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    samples.deliver(&publisher, 300..301).await;
    env.until_accounted(samples.records(301)).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_after_acknowledging_it_is_reported_with_its_range_and_the_rest_goes_on() {
    // A small limit keeps most of the backlog in Redis alone.
    let mut env = start(config().set("shards.max_in_flight", 8)).await;
    let engine = env.engine().await;
    let samples = samples();
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..50).await;
    env.until_accounted(samples.records(50)).await;
    assert_eq!(env.number("SELECT count(*) FROM log_losses").await, 0);

    env.servers.postgres.stop().unwrap();
    for i in 5..10 {
        samples.deliver(&publisher, i * 10..i * 10 + 10).await;
        let appended = samples.records(i * 10 + 10) as f64;
        engine.until_metric("thicket_records_appended_total", appended).await;
    }
    env.redis().await.delete_everything().await.unwrap();
    env.servers.postgres.restart_on_same_port().unwrap();
    samples.deliver(&publisher, 100..150).await;
    let newest = format!("SELECT count(*) FROM readings WHERE ts >= to_timestamp({})", samples.start() + 100);
    env.until(&newest, samples.records(50)).await;
    assert!(env.number("SELECT count(*) FROM log_losses").await >= 1, "{}", engine.log());
    engine.assert_logged(log_lines::ENTRIES_LOST);
    assert_eq!(env.tables().await.gapless_sensors().await.unwrap(), SENSORS as i64);
    assert_eq!(env.unaccounted().await, 0);
    assert!(engine.terminate().await.success());
}

/// An engine that has committed 60 readings of each sensor. PostgreSQL is stopped, 60 more are in
/// the log, and Redis takes no further one.
async fn full_log(samples: &Samples) -> (TestEnv, Engine) {
    let mut env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..60).await;
    env.until_accounted(samples.records(60)).await;
    env.servers.postgres.stop().unwrap();
    samples.deliver(&publisher, 60..120).await;
    engine.until_metric("thicket_records_appended_total", samples.records(120) as f64).await;
    env.redis().await.set_config("maxmemory", "1mb").await.unwrap();
    (env, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_is_drained_and_then_takes_entries_again() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 200).await;
    let (mut env, engine) = full_log(&samples).await;
    let (publisher, redis) = (env.publisher(), env.redis().await);
    samples.deliver(&publisher, 120..200).await;
    engine.until_logged(log_lines::APPEND_FAILED).await;
    let ready = engine.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("the log does not take messages"), "{}", ready.body);
    env.servers.postgres.restart_on_same_port().unwrap();
    // While nothing can be appended, the log is scored, committed and trimmed, and leases are
    // renewed.
    env.until("SELECT sum(delivered) FROM ledger", samples.records(120)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(engine.metric("thicket_partitions_owned").await > 3.5);
    redis.set_config("maxmemory", "0").await.unwrap();
    env.until_accounted(samples.records(200)).await;
    engine.until_metric_below("thicket_log_out_of_memory", 0.5).await;
    assert!(engine.metric("thicket_append_failures_total").await > 0.5);
    env.snapshot().await.assert_same(&expected);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_while_redis_is_full_drains_the_log_and_then_goes_on() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 200).await;
    let (mut env, engine) = full_log(&samples).await;
    let (publisher, redis) = (env.publisher(), env.redis().await);
    engine.kill();
    samples.deliver(&publisher, 120..200).await;

    env.servers.postgres.restart_on_same_port().unwrap();
    let engine = env.launch(&env.base(), &[]);
    // It takes leases, restores its detectors and commits what is in the log.
    env.until("SELECT sum(delivered) FROM ledger", samples.records(120)).await;
    assert_eq!(engine.get("/readyz").await.status, 503);
    redis.set_config("maxmemory", "0").await.unwrap();
    env.until_accounted(samples.records(200)).await;
    engine.until_ready().await;
    env.snapshot().await.assert_same(&expected);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_is_read_only_is_waited_for_and_quarantines_no_reading() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 150).await;
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..50).await;
    env.until_accounted(samples.records(50)).await;
    env.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    env.execute("SELECT pg_reload_conf()").await;
    // Before any reading arrives.
    until("/readyz says it", async || engine.get("/readyz").await.body.contains("it is read-only")).await;
    samples.deliver(&publisher, 50..150).await;
    engine.until_logged(log_lines::READ_ONLY).await;
    let mut session = env.tables().await;
    session.execute("SET default_transaction_read_only = off").await.unwrap();
    session.execute("ALTER SYSTEM RESET default_transaction_read_only").await.unwrap();
    env.execute("SELECT pg_reload_conf()").await;
    env.until_accounted(samples.records(150)).await;
    env.snapshot().await.assert_same(&expected);
    assert_eq!(env.number("SELECT count(*) FROM quarantine").await, 0);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_off_in_the_middle_of_an_answer_change_no_row() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 300).await;
    let env = start(config()).await;
    let seed = seed();
    println!("seed {seed}");
    let redis = FlakyProxy::before(env.servers.redis.port(), seed, 2_000).await.unwrap();
    let postgres = FlakyProxy::before(env.servers.postgres.port(), seed + 1, 1_500).await.unwrap();
    let through = |url: String, port: u16, proxy: &FlakyProxy| {
        url.replace(&format!(":{port}"), &format!(":{}", proxy.port()))
    };
    let redis_url = through(env.servers.redis.url(), env.servers.redis.port(), &redis);
    let postgres_url = through(env.servers.postgres.url(), env.servers.postgres.port(), &postgres);
    let flaky = config().set("redis.url", redis_url).set("postgres.url", postgres_url);
    let engine = env.engine_with(&flaky).await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..300).await;
    env.until("SELECT count(*) FROM scores", samples.records(300)).await;
    // How many bytes go over which connection depends on the machine's pace.
    assert!(redis.broken() + postgres.broken() > 0, "no connection broke");
    env.snapshot().await.assert_same(&expected);
    assert_eq!(env.unaccounted().await, 0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
}

fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| now_seconds().cast_unsigned())
}
