//! Stores that are slow, locked or silent: the engine goes on by itself, and no row changes.

use std::time::{Duration, Instant};

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, Samples, SilentProxy, TestEnv};

use crate::support::{start, undisturbed};

const SENSORS: usize = 3;

fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(50)
}

fn samples() -> Samples {
    Samples::new("mic-", SENSORS, now_seconds() - 5_000)
}

/// Starts an engine that reaches one store through a proxy. `key` is the setting of its `url`.
async fn engine_behind_proxy(env: &TestEnv, key: &str, url: &str, port: u16) -> (Engine, SilentProxy) {
    let proxy = SilentProxy::before(port).await.unwrap();
    let url = url.replace(&format!(":{port}"), &format!(":{}", proxy.port()));
    (env.engine_with(&config().set(key, url)).await, proxy)
}

/// Waits until every published reading has its row, and prints how long that took.
async fn until_recovered(env: &TestEnv, records: i64, cause: &str) {
    let since = Instant::now();
    env.until_accounted(records).await;
    println!("{cause}: {records} records are stored {:.1} s after its end", since.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_falls_silent_is_left_for_a_new_connection() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 200).await;
    let env = start(config()).await;
    let (url, port) = (env.servers.postgres.url(), env.servers.postgres.port());
    let (engine, proxy) = engine_behind_proxy(&env, "postgres.url", &url, port).await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..100).await;
    env.until_accounted(samples.records(100)).await;
    proxy.fall_silent();
    samples.deliver(&publisher, 100..200).await;
    engine.until_metric("thicket_records_appended_total", samples.records(200) as f64).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.heal();
    until_recovered(&env, samples.records(200), "a silent postgresql").await;
    env.snapshot().await.assert_same(&expected);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_falls_silent_is_left_for_a_new_connection() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 200).await;
    let env = start(config()).await;
    let (url, port) = (env.servers.redis.url(), env.servers.redis.port());
    let (engine, proxy) = engine_behind_proxy(&env, "redis.url", &url, port).await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..100).await;
    env.until_accounted(samples.records(100)).await;
    proxy.fall_silent();
    samples.deliver(&publisher, 100..200).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.heal();
    until_recovered(&env, samples.records(200), "a silent redis").await;
    env.snapshot().await.assert_same(&expected);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_table_and_a_slow_trigger_delay_the_rows_and_change_none() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, 400).await;
    let env = start(config().set("postgres.writers", 1)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    samples.deliver(&publisher, 0..50).await;
    env.until_accounted(samples.records(50)).await;

    let mut locker = env.tables().await;
    locker.execute("BEGIN; LOCK TABLE readings").await.unwrap();
    samples.deliver(&publisher, 50..100).await;
    engine.until_metric("thicket_commits_timed_out_total", 1.0).await;
    assert!(engine.metric("thicket_commit_oldest_seconds").await > 10.0, "the lock is seen");
    assert_eq!(engine.log().matches("did not commit the rows").count(), 1, "{}", engine.log());
    locker.execute("COMMIT").await.unwrap();
    until_recovered(&env, samples.records(100), "a locked table").await;
    engine.until_metric_below("thicket_commit_oldest_seconds", 0.5).await;

    // Meanwhile all readings wait for one transaction, which would take longer than a statement may.
    locker
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_sleep(0.025); RETURN NEW; END $$;
             BEGIN;
             CREATE TRIGGER slow BEFORE INSERT ON readings FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await
        .unwrap();
    samples.deliver(&publisher, 100..400).await;
    engine.until_metric("thicket_readings_scored_total", samples.records(400) as f64).await;
    locker.execute("COMMIT").await.unwrap();
    env.until_more_than("SELECT count(*) FROM readings", samples.records(150)).await;
    // Without the lock, DROP TRIGGER locks the day tables before their parent, and an insert locks the
    // parent first: a deadlock.
    env.execute("BEGIN; LOCK TABLE readings; DROP TRIGGER slow ON readings; COMMIT").await;
    until_recovered(&env, samples.records(400), "a slow trigger").await;
    println!("transactions timed out: {}", engine.metric("thicket_commits_timed_out_total").await);
    env.snapshot().await.assert_same(&expected);
    assert_eq!(env.number("SELECT count(*) FROM quarantine").await, 0);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    assert!(engine.terminate().await.success());
}
