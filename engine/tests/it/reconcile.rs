//! `thicket reconcile`: no false alarm beside a running engine, and no difference that it does not see.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use std::process::Output;

use common::{Bed, now_seconds, payload};
use fred::interfaces::{HashesInterface as _, KeysInterface as _};
use thicket_schema::{Keys, SensorName};

const SMALL: &str = "[queue]\npartitions = 4\n[checkpoint]\nevery = 20\n";

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_raises_no_false_alarm() {
    let bed = Bed::new().await;
    let _engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 3_000;
    let mut published = 0;
    for round in 0..8 {
        for i in round * 250..(round + 1) * 250 {
            for sensor in 0..6 {
                publisher.publish(&format!("sensors/{sensor}"), payload(start, sensor, i)).await;
                published += 1;
            }
        }
        publisher.publish("sensors/0", "nonsense").await;
        publisher.publish("sensors/0", payload(start, 0, 1)).await;
        published += 2;
        let output = bed.thicket(&["reconcile"], SMALL);
        assert!(output.status.success(), "round {round}: {}", stdout(&output));
        let since = bed.thicket(&["reconcile", "--since", "20m"], SMALL);
        assert!(since.status.success(), "round {round}: {}", stdout(&since));
    }
    bed.until_accounted(published).await;
    let output = bed.thicket(&["reconcile", "--json"], SMALL);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["balances"], true);
    assert_eq!(report["in_flight"]["0"]["records"], 0);
}

/// Does something, expects one check to fail because of it, and undoes it.
async fn found(bed: &Bed, change: &str, undo: &str, check: &str, words: &str) {
    bed.execute(change).await;
    let output = bed.thicket(&["reconcile"], SMALL);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{change}: {text}");
    assert!(text.contains(&format!("FAIL  {check}")) && text.contains(words), "{change}: {text}");
    bed.execute(undo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_found_and_named() {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 200_000;
    for i in 0..60 {
        for sensor in 0..3 {
            // Over three days.
            publisher.publish(&format!("sensors/s{sensor}"), payload(start + i * 3_000, sensor, i)).await;
        }
    }
    publisher.publish("sensors/s0", payload(start + 3_000, 0, 0)).await;
    publisher.publish("sensors/s0", "nonsense").await;
    bed.until_accounted(182).await;
    assert!(engine.terminate().await.success());
    let well = bed.thicket(&["reconcile"], SMALL);
    assert!(well.status.success() && stdout(&well).contains("everything balances"), "{}", stdout(&well));

    let id = SensorName::new("s1").unwrap().id().0;
    bed.execute("CREATE TABLE kept (LIKE readings)").await;
    bed.execute("CREATE TABLE letters (LIKE dead_letters)").await;
    let keep = format!(
        "WITH gone AS (DELETE FROM readings WHERE sensor = {id} AND seq = 30 RETURNING *) INSERT INTO kept SELECT * FROM gone"
    );
    let back = "WITH back AS (DELETE FROM kept RETURNING *) INSERT INTO readings SELECT * FROM back";
    found(&bed, &keep, back, "scored rows", "59 stored").await;
    found(&bed, &keep, back, "sequences", "sensor s1: gaps or repetitions between seq 1 and 60: 1").await;
    let last = keep.replace("seq = 30", "seq = 60");
    found(
        &bed,
        &last,
        back,
        "checkpoints",
        "sensor s1: its checkpoint is of seq 60, of the rows they end at 59",
    )
    .await;
    let late = keep.replace(&format!("sensor = {id} AND seq = 30"), "flags & 4 = 4");
    found(&bed, &late, back, "late rows", "0 stored, 1 by the ledger").await;
    let other = format!("UPDATE readings SET score = NULL, seq = NULL WHERE sensor = {id} AND seq = 60");
    let undo = format!("UPDATE readings SET seq = 60 WHERE sensor = {id} AND seq IS NULL");
    found(&bed, &other, &undo, "kinds", "sensor s1: 1 row of no kind").await;
    found(
        &bed,
        "UPDATE partitions SET duplicates = duplicates + 1 WHERE id = 2",
        "UPDATE partitions SET duplicates = duplicates - 1 WHERE id = 2",
        "ledger",
        "partition 02",
    )
    .await;
    found(
        &bed,
        "WITH gone AS (DELETE FROM dead_letters RETURNING *) INSERT INTO letters SELECT * FROM gone",
        "INSERT INTO dead_letters SELECT * FROM letters",
        "dead letters",
        "0 stored and 0 dropped, 1 by the ledger",
    )
    .await;
    let unknown = format!("UPDATE sensors SET id = 1 WHERE id = {id}");
    let known = format!("UPDATE sensors SET id = {id} WHERE id = 1");
    found(&bed, &unknown, &known, "references", "60 rows without a row in sensors").await;
    let config = format!("UPDATE readings SET config = -config WHERE sensor = {id}");
    found(&bed, &config, &config, "references", "sensor s1: 60 rows without a configuration").await;
    let fields = format!("UPDATE readings SET field_set = -field_set WHERE sensor = {id}");
    found(&bed, &fields, &fields, "references", "sensor s1: 60 rows without a field set").await;
    found(
        &bed,
        "UPDATE partitions SET n = n + 1 WHERE n > 0",
        "UPDATE partitions SET n = n - 1 WHERE n > 0",
        "logs",
        "but the log ends at",
    )
    .await;
    assert!(bed.thicket(&["reconcile"], SMALL).status.success(), "all is undone");

    let keys = Keys::default();
    let redis = thicket_actors::queue::try_connect_redis(&bed.servers.redis.url()).await.unwrap();
    let sensor = SensorName::new("s2").unwrap();
    let partition = sensor.partition(4);
    let () = redis.hset(keys.checkpoint(partition, &sensor), ("seq", 61)).await.unwrap();
    let _: u64 = redis.del(keys.log(partition)).await.unwrap();
    let text = stdout(&bed.thicket(&["reconcile"], SMALL));
    assert!(text.contains("its checkpoint is of seq 61") && text.contains("there is no log"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_is_told_by_status_and_reconcile() {
    let bed = Bed::new().await;
    bed.engine(SMALL).await.terminate().await;
    bed.execute(
        "INSERT INTO log_losses (partition, after_generation, after_n, before_generation, before_n) VALUES (2, 5, 6, 7, 8)",
    )
    .await;
    bed.execute("INSERT INTO verdicts VALUES (3, 7, 8, 9, 'poison', 'site/a', now(), 'panicked')").await;
    for command in ["status", "reconcile"] {
        let text = stdout(&bed.thicket(&[command], SMALL));
        assert!(text.contains("LOST") && text.contains("partition 02: after 5-6, before 7-8"), "{text}");
    }
    let status = bed.thicket(&["status", "--json"], SMALL);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["losses"][0]["after"], "5-6");
    assert_eq!(status["verdicts"]["poison"], 1);
    assert_eq!(status["broker_dropped"], serde_json::Value::Null);
    assert_eq!(status["totals"]["in_flight"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_killed_leaves_nothing_that_does_not_balance() {
    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 3_000;
    let mut published = 0;
    for round in 0..4 {
        let engine = bed.engine(&format!("{SMALL}[shards]\n")).await;
        for i in round * 400..(round + 1) * 400 {
            for sensor in 0..6 {
                publisher.publish(&format!("sensors/{sensor}"), payload(start, sensor, i)).await;
                published += 1;
            }
        }
        engine.kill();
        let output = bed.thicket(&["reconcile"], SMALL);
        assert!(output.status.success(), "round {round}: {}", stdout(&output));
    }
    let _engine = bed.engine(SMALL).await;
    publisher.settle().await;
    bed.until("SELECT sum(scored) FROM ledger", published).await;
    let output = bed.thicket(&["reconcile"], SMALL);
    assert!(output.status.success(), "{}", stdout(&output));
}
