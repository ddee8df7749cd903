//! A process that ends while it only waits for a store dies of no reading, and no reading is
//! quarantined for that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use thicket_schema::{Flag, PartitionId};
use thicket_store::faults::{POISON, Poison};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, Publisher, TestEnv, log_lines};

use crate::support::start;

const P: PartitionId = PartitionId(0);
/// The exit code of a process that has not stopped within `shutdown.deadline`.
const DEADLINE_PASSED: i32 = 4;

fn config() -> Config {
    let config = TestEnv::config().small_detector().partitions(1);
    config.set("shutdown.deadline", "1s").set("shards.lease", "2s")
}

async fn publish(publisher: &Publisher, sensor: &str, ts: i64, value: f64) {
    publisher.publish(&format!("sensors/{sensor}"), format!("{{\"ts\":{ts},\"level\":{value}}}")).await;
}

/// Waits until the crash suspect is as wanted, and returns it.
async fn until_suspect(
    env: &TestEnv,
    is_wanted: impl Fn(&HashMap<String, String>) -> bool,
) -> HashMap<String, String> {
    let (redis, started) = (env.redis().await, Instant::now());
    loop {
        let suspect = redis.crash_suspect(P).await.unwrap();
        if is_wanted(&suspect) {
            return suspect;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{suspect:?}\n{}", env.logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts an engine and waits until it has recorded a suspect with this field. Returns the engine
/// and the name of its node.
async fn until_recorded(env: &TestEnv, earlier: &str, field: &str) -> (Engine, String) {
    let engine = env.launch(&env.base(), &[("THICKET_FAULTS", "poison")]);
    let is_new = |suspect: &HashMap<String, String>| {
        suspect.contains_key(field) && suspect.get("by").is_some_and(|by| by != earlier)
    };
    let mut suspect = until_suspect(env, is_new).await;
    (engine, suspect.remove("by").unwrap())
}

/// The reading shares its second with a stored one, so it waits for the commit of an earlier
/// reading.
#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_waits_for_rows_is_not_blamed_for_the_ends_of_processes() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let (publisher, first) = (env.publisher(), now_seconds() - 1_000);
    publish(&publisher, "b", first, 1.0).await;
    env.until_accounted(1).await;
    let mut locker = env.tables().await;
    locker.execute("BEGIN; LOCK TABLE readings IN SHARE MODE").await.unwrap();
    publish(&publisher, "a", first + 1, 1.0).await;
    // The others are in later entries.
    engine.until_metric("thicket_records_appended_total", 2.0).await;
    publish(&publisher, "b", first, 2.0).await;
    publish(&publisher, "b", first + 2, 3.0).await;
    engine.until_metric("thicket_records_appended_total", 4.0).await;
    engine.kill();
    let mut last = String::new();
    for _ in 0..4 {
        let (engine, node) = until_recorded(&env, &last, "to").await;
        // It goes on until it waits for the lock.
        engine.until_logged(log_lines::CONNECTED).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(engine.terminate().await.code(), Some(DEADLINE_PASSED));
        last = node;
    }
    locker.execute("COMMIT").await.unwrap();
    let engine = env.engine().await;
    env.until_accounted(4).await;
    assert_eq!(env.number("SELECT count(*) FROM quarantine").await, 0);
    assert_eq!(env.number("SELECT count(*) FROM readings WHERE seq IS NOT NULL").await, 4);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_loses_a_partition_or_ends_by_its_deadline_withdraws_its_suspect() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let (publisher, first) = (env.publisher(), now_seconds() - 1_000);
    publish(&publisher, "a", first, 1.0).await;
    env.until_accounted(1).await;
    engine.kill();
    let (poison, _) = POISON.iter().find(|(_, poison)| *poison == Poison::Abort).unwrap();
    publish(&publisher, "a", first + 1, *poison).await;
    publisher.settle().await;
    let redis = env.redis().await;
    let is_blamed = async || {
        let suspect = redis.crash_suspect(P).await.unwrap();
        suspect.get("deaths").is_some_and(|deaths| deaths == "1")
    };
    while !is_blamed().await {
        let mut engine = env.launch(&env.base(), &[("THICKET_FAULTS", "poison")]);
        while engine.ended().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // Two processes have died. The next one cannot quarantine the reading.
    let mut locker = env.tables().await;
    locker.execute("BEGIN; LOCK TABLE quarantine IN SHARE MODE").await.unwrap();
    let last = redis.crash_suspect(P).await.unwrap()["by"].clone();
    let (engine, node) = until_recorded(&env, &last, "at").await;
    redis.give_lease_away(P).await.unwrap();
    until_suspect(&env, |suspect| suspect.contains_key("withdrawn")).await;
    engine.kill();
    redis.drop_partition_leases().await.unwrap();

    let (engine, _) = until_recorded(&env, &node, "at").await;
    assert_eq!(redis.crash_suspect(P).await.unwrap()["deaths"], "2", "the withdrawn one does not count");
    assert_eq!(engine.terminate().await.code(), Some(DEADLINE_PASSED));
    assert!(redis.crash_suspect(P).await.unwrap().contains_key("withdrawn"));
    locker.execute("COMMIT").await.unwrap();
    let engine = env.engine().await;
    let skipped = format!("SELECT count(*) FROM readings WHERE flags & {} <> 0", Flag::Poison.bit());
    env.until(&skipped, 1).await;
    assert!(engine.terminate().await.success());
}
