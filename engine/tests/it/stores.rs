//! Stores that lie, forget, fill up or break off in the middle of an answer: reported, and as far as they kept what they acknowledged, the same rows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use std::time::Duration;

use common::chaos::Chaos;
use common::{Bed, Publisher, now_seconds, payload};
use fred::interfaces::{ClientLike as _, ConfigInterface as _, HashesInterface as _};
use fred::prelude::Client;
use thicket_detector::{Detector, DetectorConfig, Profile};
use thicket_schema::{Checkpoint, Keys, SensorName, Timestamp};

const SMALL: &str = "[queue]\npartitions = 4\n[shards]\n[checkpoint]\nevery = 50\n[detector]\nprofile = \"small\"\nwarm_up = 64\n";
const SENSORS: usize = 3;

async fn publish(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/mic-{sensor}"), payload(start, sensor, i)).await;
        }
    }
    publisher.settle().await;
}

async fn tables(bed: &Bed) -> Vec<String> {
    let mut tables = bed
        .texts(
            "SELECT s.name, r.ts, r.seq, r.values, r.flags, r.config, encode(float8send(r.score), 'hex') AS score, encode(float8send(r.grade), 'hex') AS grade
             FROM readings r JOIN sensors s ON s.id = r.sensor ORDER BY s.name, r.ts",
        )
        .await;
    tables.extend(bed.texts("SELECT * FROM anomalies ORDER BY sensor, started").await);
    tables
}

async fn undisturbed(start: i64, readings: i64) -> Vec<String> {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    publish(&mut bed.publisher(), start, 0..readings).await;
    bed.until_accounted(readings * SENSORS as i64).await;
    assert!(engine.terminate().await.success());
    tables(&bed).await
}

async fn redis(bed: &Bed) -> Client {
    thicket_actors::queue::try_connect_redis(&bed.servers.redis.url()).await.unwrap()
}

/// A checkpoint, in order in itself, of a detector that has seen something else than what is stored.
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
        config: config.fingerprint(),
        state: detector.snapshot(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_lead_to_the_stored_scores_is_not_believed() {
    let start = now_seconds() - 1_000;
    let expected = undisturbed(start, 300).await;
    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 0..200).await;
    bed.until_accounted(200 * SENSORS as i64).await;
    assert!(engine.terminate().await.success());

    let redis = redis(&bed).await;
    for (sensor, readings) in [(0, 150), (1, 260)] {
        let name = SensorName::new(&format!("mic-{sensor}")).unwrap();
        let checkpoint = invented(&name, start, readings);
        let key = Keys::default().checkpoint(name.partition(4), &name);
        let state: bytes::Bytes = checkpoint.encode().into();
        let () = redis.hset(key.clone(), ("seq", checkpoint.seq.to_string())).await.unwrap();
        let () = redis.hset(key, ("state", state)).await.unwrap();
    }
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 200..300).await;
    bed.until_accounted(300 * SENSORS as i64).await;
    assert_eq!(tables(&bed).await, expected);
    let log = engine.log();
    assert!(
        log.contains("the checkpoint does not lead to the stored scores") && log.contains("mic-0"),
        "{log}"
    );
    assert!(log.contains("the checkpoint is ahead of the stored rows") && log.contains("mic-1"), "{log}");
    assert!(engine.metric("thicket_restore_mismatches_total").await > 0.5);
    // What is written from then on is to be believed again.
    assert!(engine.terminate().await.success());
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 300..301).await;
    bed.until_accounted(301 * SENSORS as i64).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_lost_after_acknowledging_it_is_reported_with_its_range_and_the_rest_goes_on() {
    let mut bed = Bed::new().await;
    // Most of the backlog is to be in Redis alone.
    let settings = SMALL.replace("[shards]", "[shards]\nmax_in_flight = 8");
    let engine = bed.engine(&settings).await;
    let start = now_seconds() - 1_000;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..50).await;
    bed.until_accounted(50 * SENSORS as i64).await;
    assert_eq!(bed.number("SELECT count(*) FROM log_losses").await, 0);

    bed.servers.postgres.stop().unwrap();
    for i in 5..10 {
        publish(&mut publisher, start, i * 10..i * 10 + 10).await;
        let appended = (i * 10 + 10) as f64 * SENSORS as f64;
        engine.until_metric("thicket_records_appended_total", appended).await;
    }
    let () = redis(&bed).await.flushall(false).await.unwrap();
    bed.servers.postgres.restart_on_same_port().unwrap();
    publish(&mut publisher, start, 100..150).await;
    let newest = format!("SELECT count(*) FROM readings WHERE ts >= to_timestamp({})", start + 100);
    bed.until(&newest, 50 * SENSORS as i64).await;
    assert!(bed.number("SELECT count(*) FROM log_losses").await >= 1, "{}", engine.log());
    assert!(engine.log().contains("redis lost entries that it had acknowledged"), "{}", engine.log());
    let gapless = "SELECT count(*) FROM (SELECT sensor FROM scores GROUP BY sensor HAVING max(seq) = count(*) AND min(seq) = 1) s";
    assert_eq!(bed.number(gapless).await, SENSORS as i64);
    assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_is_drained_and_then_takes_entries_again() {
    let start = now_seconds() - 1_000;
    let expected = undisturbed(start, 200).await;
    let mut bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..60).await;
    bed.until_accounted(60 * SENSORS as i64).await;
    bed.servers.postgres.stop().unwrap();
    publish(&mut publisher, start, 60..120).await;
    engine.until_metric("thicket_records_appended_total", 120.0 * SENSORS as f64).await;
    let redis = redis(&bed).await;
    let () = redis.config_set("maxmemory", "1mb").await.unwrap();
    publish(&mut publisher, start, 120..200).await;
    while !engine.log().contains("append failed") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bed.servers.postgres.restart_on_same_port().unwrap();
    // What is in the log is scored, committed and trimmed, and leases are renewed, while nothing new can be appended.
    bed.until("SELECT coalesce(sum(delivered), 0) FROM ledger", 120 * SENSORS as i64).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(engine.metric("thicket_partitions_owned").await > 3.5);
    let () = redis.config_set("maxmemory", "0").await.unwrap();
    bed.until_accounted(200 * SENSORS as i64).await;
    assert_eq!(tables(&bed).await, expected);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_may_only_be_read_is_waited_for_and_blames_no_reading() {
    let start = now_seconds() - 1_000;
    let expected = undisturbed(start, 150).await;
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..50).await;
    bed.until_accounted(50 * SENSORS as i64).await;
    bed.execute("ALTER SYSTEM SET default_transaction_read_only = on").await;
    bed.execute("SELECT pg_reload_conf()").await;
    publish(&mut publisher, start, 50..150).await;
    while !engine.log().contains("read-only transaction") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bed.execute_in_session(
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
    )
    .await;
    bed.execute("SELECT pg_reload_conf()").await;
    bed.until_accounted(150 * SENSORS as i64).await;
    assert_eq!(tables(&bed).await, expected);
    assert_eq!(bed.number("SELECT count(*) FROM verdicts").await, 0);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_off_in_the_middle_of_an_answer_change_no_row() {
    let start = now_seconds() - 1_000;
    let expected = undisturbed(start, 300).await;
    let bed = Bed::new().await;
    let seed = rand_seed();
    println!("seed {seed}");
    let redis = Chaos::before(bed.servers.redis.port(), seed, 2_000).await;
    let postgres = Chaos::before(bed.servers.postgres.port(), seed + 1, 1_500).await;
    let through = |url: String, port: u16, chaos: &Chaos| {
        url.replace(&format!(":{port}"), &format!(":{}", chaos.port()))
    };
    let redis_url = through(bed.servers.redis.url(), bed.servers.redis.port(), &redis);
    let postgres_url = through(bed.servers.postgres.url(), bed.servers.postgres.port(), &postgres);
    let environment =
        [("THICKET__REDIS__URL", redis_url.as_str()), ("THICKET__POSTGRES__URL", postgres_url.as_str())];
    let engine = bed.engine_with(SMALL, &environment);
    engine.ready().await;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..300).await;
    bed.until("SELECT count(*) FROM readings WHERE seq IS NOT NULL", 300 * SENSORS as i64).await;
    // How many bytes go over which connection depends on the machine's pace.
    assert!(redis.broken() + postgres.broken() > 0, "nothing broke");
    assert_eq!(tables(&bed).await, expected);
    assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
}

fn rand_seed() -> u64 {
    std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| now_seconds().cast_unsigned())
}
