//! `thicket reconcile`: no false alarm beside a running engine, and no difference that it misses.

use std::process::Output;

use thicket_schema::{Flag, SensorName};
use thicket_testkit::samples::{now_seconds, sample};
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{json, start, stderr, stdout};

fn config() -> Config {
    TestEnv::config().checkpoint_every(20)
}

/// Everything that a command printed.
fn printed(output: &Output) -> String {
    stdout(output) + &stderr(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_raises_no_false_alarm() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let samples = Samples::new("s", 6, now_seconds() - 3_000);
    let mut published = 0;
    for round in 0..8 {
        samples.publish(&publisher, round * 250..(round + 1) * 250).await;
        publisher.publish("sensors/s0", "nonsense").await;
        publisher.publish("sensors/s0", sample(samples.start(), 0, 1)).await;
        published += samples.records(250) + 2;
        let output = env.thicket(&["reconcile"]);
        assert!(output.status.success(), "round {round}: {}", printed(&output));
        let since = env.thicket(&["reconcile", "--since", "20m"]);
        assert!(since.status.success(), "round {round}: {}", printed(&since));
    }
    env.until_accounted(published).await;
    let output = env.thicket(&["reconcile", "--json"]);
    let report = json(&output);
    assert_eq!(report["balances"], true);
    assert_eq!(report["in_flight"]["0"]["records"], 0);
}

/// Changes a table, expects one check to fail because of it, and undoes the change.
async fn assert_found(env: &TestEnv, change: &str, undo: &str, check: &str, words: &str) {
    env.execute(change).await;
    let output = env.thicket(&["reconcile"]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{change}: {text}");
    assert!(text.contains(&format!("FAIL  {check}")) && text.contains(words), "{change}: {text}");
    env.execute(undo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_found_and_named() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let first = now_seconds() - 200_000;
    for i in 0..60 {
        for sensor in 0..3 {
            // A reading every 50 minutes: over three days.
            publisher.publish(&format!("sensors/s{sensor}"), sample(first + i * 3_000, sensor, i)).await;
        }
    }
    publisher.publish("sensors/s0", sample(first + 3_000, 0, 0)).await;
    publisher.publish("sensors/s0", "nonsense").await;
    env.until_accounted(182).await;
    assert!(engine.terminate().await.success());
    let reconciled = env.thicket(&["reconcile"]);
    assert!(
        reconciled.status.success() && printed(&reconciled).contains("everything balances"),
        "{}",
        printed(&reconciled)
    );

    let id = SensorName::new("s1").unwrap().id().0;
    env.execute("CREATE TABLE kept (LIKE readings)").await;
    env.execute("CREATE TABLE kept_dead_letters (LIKE dead_letters)").await;
    let keep = format!(
        "WITH gone AS (DELETE FROM readings WHERE sensor = {id} AND seq = 30 RETURNING *) INSERT INTO kept SELECT * FROM gone"
    );
    let back = "WITH back AS (DELETE FROM kept RETURNING *) INSERT INTO readings SELECT * FROM back";
    assert_found(&env, &keep, back, "scored rows", "119 stored, 120 by the ledger").await;
    assert_found(&env, &keep, back, "sequences", "sensor s1: gaps or repetitions between seq 1 and 60: 1")
        .await;
    let last = keep.replace("seq = 30", "seq = 60");
    assert_found(
        &env,
        &last,
        back,
        "checkpoints",
        "sensor s1: its checkpoint is of seq 60, of the rows they end at 59",
    )
    .await;
    let late =
        keep.replace(&format!("sensor = {id} AND seq = 30"), &format!("flags & {} <> 0", Flag::Late.bit()));
    assert_found(&env, &late, back, "late rows", "0 stored, 1 by the ledger").await;
    let other = format!("UPDATE readings SET score = NULL, seq = NULL WHERE sensor = {id} AND seq = 60");
    let undo = format!("UPDATE readings SET seq = 60 WHERE sensor = {id} AND seq IS NULL");
    assert_found(&env, &other, &undo, "kinds", "sensor s1: 1 row of no kind").await;
    assert_found(
        &env,
        "UPDATE partitions SET duplicates = duplicates + 1 WHERE id = 2",
        "UPDATE partitions SET duplicates = duplicates - 1 WHERE id = 2",
        "ledger",
        "partition 02",
    )
    .await;
    assert_found(
        &env,
        "WITH gone AS (DELETE FROM dead_letters RETURNING *) INSERT INTO kept_dead_letters SELECT * FROM gone",
        "INSERT INTO dead_letters SELECT * FROM kept_dead_letters",
        "dead letters",
        "0 stored, 0 deleted and 0 only counted, 1 by the ledger",
    )
    .await;
    let unknown = format!("UPDATE sensors SET id = 1 WHERE id = {id}");
    let known = format!("UPDATE sensors SET id = {id} WHERE id = 1");
    assert_found(&env, &unknown, &known, "references", "60 rows without a row in sensors").await;
    assert_found(&env, &unknown, &known, "ids", "sensor s1: the id is 1").await;
    let config = format!("UPDATE readings SET config = -config WHERE sensor = {id}");
    assert_found(&env, &config, &config, "references", "sensor s1: 60 rows without a configuration").await;
    let fields = format!("UPDATE readings SET field_set = -field_set WHERE sensor = {id}");
    assert_found(&env, &fields, &fields, "references", "sensor s1: 60 rows without a field set").await;
    assert_found(
        &env,
        "UPDATE partitions SET n = n + 1 WHERE n > 0",
        "UPDATE partitions SET n = n - 1 WHERE n > 0",
        "logs",
        "but the log ends at",
    )
    .await;
    assert!(env.thicket(&["reconcile"]).status.success(), "all is undone");

    let redis = env.redis().await;
    let sensor = SensorName::new("s2").unwrap();
    redis.set_checkpoint_seq(&sensor, 61).await.unwrap();
    redis.delete_log(sensor.partition(4)).await.unwrap();
    let text = printed(&env.thicket(&["reconcile"]));
    assert!(text.contains("its checkpoint is of seq 61") && text.contains("there is no log"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_entries_are_reported_by_status_and_reconcile() {
    let env = start(config()).await;
    env.engine().await.terminate().await;
    env.execute(
        "INSERT INTO log_losses (partition, after_generation, after_n, before_generation, before_n) VALUES (2, 5, 6, 7, 8)",
    )
    .await;
    env.execute("INSERT INTO quarantine VALUES (3, 7, 8, 9, 'poison', 'site/a', now(), 'panicked')").await;
    for command in ["status", "reconcile"] {
        let text = printed(&env.thicket(&[command]));
        assert!(text.contains("LOST") && text.contains("partition 02: after 5-6, before 7-8"), "{text}");
    }
    let status = env.thicket(&["status", "--json"]);
    let status = json(&status);
    assert_eq!(status["losses"][0]["after"], "5-6");
    assert_eq!(status["quarantined"]["poison"], 1);
    // The broker may have reported its counters before the command asked.
    let dropped = &status["broker_dropped"];
    assert!(dropped.is_null() || *dropped == 0, "{dropped}");
    assert_eq!(status["totals"]["in_flight"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_was_killed_leaves_nothing_that_does_not_balance() {
    let env = start(config()).await;
    let publisher = env.publisher();
    let samples = Samples::new("s", 6, now_seconds() - 3_000);
    for round in 0..4 {
        let engine = env.engine().await;
        samples.publish(&publisher, round * 400..(round + 1) * 400).await;
        engine.kill();
        let output = env.thicket(&["reconcile"]);
        assert!(output.status.success(), "round {round}: {}", printed(&output));
    }
    let _engine = env.engine().await;
    publisher.settle().await;
    env.until("SELECT sum(scored) FROM ledger", samples.records(1_600)).await;
    let output = env.thicket(&["reconcile"]);
    assert!(output.status.success(), "{}", printed(&output));
}
