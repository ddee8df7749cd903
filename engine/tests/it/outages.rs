//! Servers that are away, at the start and later, and a second engine by mistake: nothing lost, nothing twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, Publisher, now_seconds, payload};

const SMALL: &str = "[queue]\npartitions = 4\n[shards]\n[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";
const SENSORS: usize = 3;

async fn publish(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/mic-{sensor}"), payload(start, sensor, i)).await;
        }
    }
}

/// Every reading that was published has one row, and each sensor's rows are numbered without a gap.
async fn complete(bed: &Bed, readings: i64) {
    bed.until("SELECT count(*) FROM readings WHERE seq IS NOT NULL", readings * SENSORS as i64).await;
    let gapless = bed.number("SELECT count(*) FROM (SELECT sensor FROM scores GROUP BY sensor HAVING max(seq) = count(*) AND min(seq) = 1) s").await;
    assert_eq!(gapless, SENSORS as i64);
    assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_before_its_servers_waits_for_them_and_says_so() {
    let mut bed = Bed::new().await;
    bed.servers.postgres.stop().unwrap();
    bed.servers.redis.stop().unwrap();
    bed.servers.mosquitto.stop().unwrap();
    let engine = bed.engine_unready(SMALL);
    while !engine.log().contains("postgresql does not answer") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(engine.get("/healthz").await.unwrap().contains(" 200 "));
    assert!(engine.get("/readyz").await.unwrap().contains("waiting for postgresql and redis"));
    bed.servers.postgres.restart_on_same_port().unwrap();
    while !engine.log().contains("redis does not answer") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bed.servers.redis.restart_on_same_port().unwrap();
    while !engine.log().contains("no connection to the broker") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bed.servers.mosquitto.restart_on_same_port().unwrap();
    engine.ready().await;
    let mut publisher = bed.publisher();
    publish(&mut publisher, now_seconds() - 10, 0..10).await;
    complete(&bed, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_may_be_killed_in_the_middle_of_a_stream() {
    let mut bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let start = now_seconds() - 1_000;
    let mut publisher = bed.publisher();
    let mut published = 0;
    for server in ["postgres", "redis", "mosquitto"] {
        publish(&mut publisher, start, published..published + 60).await;
        // The broker's own losses are outside the promise: it is killed once it has handed everything on.
        if server == "mosquitto" {
            publisher.settle().await;
            bed.until("SELECT sum(scored) FROM ledger", (published + 60) * SENSORS as i64).await;
        }
        match server {
            "postgres" => bed.servers.postgres.kill().unwrap(),
            "redis" => bed.servers.redis.kill().unwrap(),
            _ => bed.servers.mosquitto.kill().unwrap(),
        }
        if server != "mosquitto" {
            publish(&mut publisher, start, published + 60..published + 120).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        match server {
            "postgres" => bed.servers.postgres.restart_on_same_port().unwrap(),
            "redis" => bed.servers.redis.restart_on_same_port().unwrap(),
            _ => bed.servers.mosquitto.restart_on_same_port().unwrap(),
        }
        if server == "mosquitto" {
            publish(&mut publisher, start, published + 60..published + 120).await;
        }
        published += 120;
        complete(&bed, published).await;
    }
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_engines_one_works_and_the_other_waits_and_takes_over() {
    let bed = Bed::new().await;
    let first = bed.engine(SMALL).await;
    let second = bed.engine_unready(SMALL);
    while !second.log().contains("another node holds the subscription") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let start = now_seconds() - 1_000;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..50).await;
    complete(&bed, 50).await;
    assert!(second.metric("thicket_partitions_owned").await < 0.5);
    assert!(second.get("/readyz").await.unwrap().contains(" 503 "));

    first.kill();
    publish(&mut publisher, start, 50..100).await;
    second.ready().await;
    complete(&bed, 100).await;
    assert!((second.metric("thicket_partitions_owned").await - 4.0).abs() < 0.5);
}
