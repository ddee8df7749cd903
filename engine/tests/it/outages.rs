//! Servers that are away, at the start and later, and a second engine by mistake: no reading is
//! lost, and none is stored twice.

use std::time::Duration;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv, log_lines};

use crate::support::start;

const SENSORS: usize = 3;

fn config() -> Config {
    TestEnv::config().small_detector()
}

/// Waits until every published reading has a row, and checks that each sensor's rows are numbered
/// without a gap.
async fn until_complete(env: &TestEnv, readings: i64) {
    env.until("SELECT count(*) FROM scores", readings * SENSORS as i64).await;
    assert_eq!(env.tables().await.gapless_sensors().await.unwrap(), SENSORS as i64);
    assert_eq!(env.unaccounted().await, 0);
    assert_eq!(env.number("SELECT sum(dead_letters) FROM dead_letter_summary").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_before_its_servers_waits_for_them_and_says_so() {
    let mut env = start(config()).await;
    env.servers.postgres.stop().unwrap();
    env.servers.redis.stop().unwrap();
    env.servers.mosquitto.stop().unwrap();
    let engine = env.launch(&config(), &[]);
    engine.until_logged(log_lines::POSTGRES_AWAY).await;
    // Every missing server is named before the first one is there.
    engine.until_logged(log_lines::BROKER_MISSING).await;
    engine.until_logged(log_lines::REDIS_SILENT).await;
    assert_eq!(engine.get("/healthz").await.status, 200);
    assert!(engine.get("/readyz").await.body.contains("waiting for postgresql and redis"));
    env.servers.postgres.restart_on_same_port().unwrap();
    engine.until_logged(log_lines::REDIS_AWAY).await;
    env.servers.redis.restart_on_same_port().unwrap();
    engine.until_logged(log_lines::BROKER_AWAY).await;
    env.servers.mosquitto.restart_on_same_port().unwrap();
    engine.until_ready().await;
    let publisher = env.publisher();
    Samples::new("mic-", SENSORS, now_seconds() - 10).publish(&publisher, 0..10).await;
    until_complete(&env, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_may_be_killed_in_the_middle_of_a_stream() {
    let mut env = start(config()).await;
    let engine = env.engine().await;
    let samples = Samples::new("mic-", SENSORS, now_seconds() - 1_000);
    let publisher = env.publisher();
    let mut published = 0;
    for server in ["postgres", "redis", "mosquitto"] {
        samples.publish(&publisher, published..published + 60).await;
        // The broker's own losses are outside the promise: it is killed when it has delivered
        // everything.
        if server == "mosquitto" {
            publisher.settle().await;
            env.until("SELECT sum(scored) FROM ledger", samples.records(published + 60)).await;
        }
        match server {
            "postgres" => env.servers.postgres.kill().unwrap(),
            "redis" => env.servers.redis.kill().unwrap(),
            _ => env.servers.mosquitto.kill().unwrap(),
        }
        if server != "mosquitto" {
            samples.publish(&publisher, published + 60..published + 120).await;
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        match server {
            "postgres" => env.servers.postgres.restart_on_same_port().unwrap(),
            "redis" => env.servers.redis.restart_on_same_port().unwrap(),
            _ => env.servers.mosquitto.restart_on_same_port().unwrap(),
        }
        if server == "mosquitto" {
            samples.publish(&publisher, published + 60..published + 120).await;
        }
        published += 120;
        until_complete(&env, published).await;
    }
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_works_and_the_other_waits_and_takes_over() {
    let env = start(config()).await;
    let first = env.engine().await;
    let second = env.launch(&config(), &[]);
    second.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    let samples = Samples::new("mic-", SENSORS, now_seconds() - 1_000);
    let publisher = env.publisher();
    samples.publish(&publisher, 0..50).await;
    until_complete(&env, 50).await;
    assert!(second.metric("thicket_partitions_owned").await < 0.5);
    let standby = second.get("/readyz").await;
    assert_eq!((standby.status, standby.body.starts_with("standby")), (200, true), "{}", standby.body);

    first.kill();
    samples.publish(&publisher, 50..100).await;
    second.until_ready().await;
    until_complete(&env, 100).await;
    assert!((second.metric("thicket_partitions_owned").await - 4.0).abs() < 0.5);
}
