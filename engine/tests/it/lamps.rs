//! `/readyz`, the gauges and the log say what is, also while a store is away.

use std::time::{Duration, Instant};

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, CutProxy, Engine, Samples, TestEnv, log_lines};

use crate::support::start;

/// The number of partitions of a deployment by default.
const PARTITIONS: u16 = 64;
/// A time without readings.
const PAUSE: Duration = Duration::from_secs(12);

fn config() -> Config {
    TestEnv::config().small_detector().partitions(PARTITIONS)
}

/// Waits until `/readyz` has this status and a text that contains all parts.
async fn until_readyz(engine: &Engine, status: u16, parts: &[&str]) {
    let started = Instant::now();
    loop {
        let answer = engine.get("/readyz").await;
        if answer.status == status && parts.iter().all(|part| answer.body.contains(part)) {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{}: {}\n{}",
            answer.status,
            answer.body,
            engine.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Returns the lines of the log that warn.
fn warnings(engine: &Engine) -> Vec<String> {
    engine.log().lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_named_by_readyz_the_gauge_and_one_log_line() {
    let mut env = start(config()).await;
    let proxy = CutProxy::before(env.servers.postgres.port()).await.unwrap();
    let (own, behind) = (format!(":{}/", env.servers.postgres.port()), format!(":{}/", proxy.port()));
    let url = env.addresses().postgres.replace(&own, &behind);
    let engine = env.engine_with(&config().set("postgres.url", url)).await;
    let samples = Samples::new("mic-", 200, now_seconds() - 1_000);
    let publisher = env.publisher();
    samples.publish(&publisher, 0..5).await;
    env.until_accounted(samples.records(5)).await;
    let connected =
        async |store: &str| engine.metric_where("thicket_store_connected", ("store", store)).await;
    assert!(connected("redis").await > 0.5 && connected("postgresql").await > 0.5);

    proxy.cut();
    samples.publish(&publisher, 5..10).await;
    until_readyz(&engine, 503, &["postgresql at postgres://", "has not answered"]).await;
    assert!(connected("postgresql").await < 0.5 && connected("redis").await > 0.5);
    assert!(engine.metric("thicket_commit_oldest_seconds").await > 1.0, "a commit waits");
    proxy.heal();
    until_readyz(&engine, 200, &["ready"]).await;
    env.until_accounted(samples.records(10)).await;
    engine.until_metric_below("thicket_commit_oldest_seconds", 0.5).await;

    env.servers.redis.kill().unwrap();
    samples.publish(&publisher, 10..15).await;
    until_readyz(&engine, 503, &["redis at redis://", "has not answered"]).await;
    assert!(engine.metric("thicket_append_oldest_seconds").await > 1.0, "an append waits");
    assert!(engine.metric("thicket_partitions_owned").await < 0.5, "the leases have run out");
    engine.until_log_contains("cannot renew leases").await;
    let named = |name: &str| warnings(&engine).iter().filter(|line| line.contains(name)).count();
    assert_eq!(named("redis at redis://"), 1, "{}", engine.log());
    assert_eq!(named("cannot renew leases"), 1, "{}", engine.log());
    // Each operation that failed says so once, not for each of its partitions.
    assert!(warnings(&engine).len() < 20, "{:#?}", warnings(&engine));
    env.servers.redis.restart_on_same_port().unwrap();
    until_readyz(&engine, 200, &["ready"]).await;
    // Redis may have died after an append and before its reply: such readings arrive twice.
    env.until_scored(samples.records(15)).await;
    assert!(engine.log().contains("redis answers again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_is_the_age_of_the_oldest_reading_that_waits() {
    let mut env = start(config().shards(1).set("shards.max_in_flight", 2)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(1).await;
    // A pause, and then a reading that waits: the pause is no lag.
    let last = Instant::now();
    tokio::time::sleep(PAUSE).await;
    env.servers.postgres.stop().unwrap();
    // Two readings are in flight, so the shard waits for PostgreSQL before it scores another one. The lag
    // grows nevertheless.
    let appended = engine.metric("thicket_records_appended_total").await;
    for number in 1..=5 {
        publisher.publish("sensors/a", number.to_string()).await;
        engine.until_metric("thicket_records_appended_total", appended + f64::from(number)).await;
    }
    engine.until_metric("thicket_shard_lag_seconds", 4.0).await;
    let lag = engine.metric("thicket_shard_lag_seconds").await;
    let since_last = last.elapsed();
    assert!(
        lag < since_last.saturating_sub(PAUSE / 2).as_secs_f64(),
        "{lag}, and {since_last:?} since the first"
    );
    env.servers.postgres.restart_on_same_port().unwrap();
    env.until_accounted(6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_roles_and_reloads_are_gauges() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let is =
        async |name: &str, label: &str, value: &str| engine.metric_where(name, (label, value)).await > 0.5;
    assert!((engine.metric("thicket_partitions").await - 64.0).abs() < 0.5);
    assert!((engine.metric("thicket_partitions_owned").await - 64.0).abs() < 0.5);
    engine.until_metric_below("thicket_lease_renewal_age_seconds", 3.0).await;
    assert!(is("thicket_role", "role", "active").await && !is("thicket_role", "role", "standby").await);
    assert!(engine.metric("thicket_config_last_reload_successful").await > 0.5);
    engine.reload(&config().set("detector.alarms_per_weak", 3));
    engine.until_log_contains("the old one stays in force").await;
    assert!(engine.metric("thicket_config_last_reload_successful").await < 0.5);
    engine.reload(&config().set("detector.alarms_per_week", 3.0));
    engine.until_metric("thicket_config_last_reload_successful", 1.0).await;

    let second = env.launch(&config(), &[]);
    second.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    until_readyz(&second, 200, &["ready"]).await;
    assert!(second.metric_where("thicket_role", ("role", "active")).await > 0.5, "it owns partitions");
    assert!(second.metric("thicket_subscriptions_held").await < 0.5);
    assert!(engine.metric("thicket_subscriptions_held").await > 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sensors_open_anomalies_and_the_size_of_the_stores_are_counted() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let now = now_seconds();
    for (sensor, age) in [("fresh", 0), ("silent", 3 * 3_600), ("gone", 3 * 86_400)] {
        let reading = format!("{{\"ts\":{},\"level\":1}}", now - age);
        publisher.publish(&format!("sensors/{sensor}"), reading).await;
    }
    env.until_accounted(3).await;
    env.execute(
        "INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions)
         SELECT id, now(), NULL, now(), 1, 1, 1, '{level}', '{1}' FROM sensors",
    )
    .await;
    // The counts are read at the start, and then once a minute.
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    engine.until_metric_where("thicket_sensors", ("state", "known"), 3.0).await;
    engine.until_metric("thicket_postgres_bytes", 1_000_000.0).await;
    let sensors = async |state: &str| engine.metric_where("thicket_sensors", ("state", state)).await;
    assert!((sensors("reporting").await - 2.0).abs() < 0.5 && (sensors("silent").await - 1.0).abs() < 0.5);
    // The anomaly of a sensor that is gone stays open, and does not count.
    assert!((engine.metric("thicket_anomalies_open").await - 2.0).abs() < 0.5);
    engine.until_metric("thicket_redis_memory_bytes", 100_000.0).await;
}
