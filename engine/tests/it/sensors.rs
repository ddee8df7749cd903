//! Sensors: bounds on their number, fields and days, and ids that are taken. Each refused reading
//! is a dead letter that names the setting, and the ledger balances.

use std::ops::Range;

use thicket_schema::SensorName;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, TestEnv};

use crate::support::{json, start, stderr, stdout};

fn config() -> Config {
    TestEnv::config()
}

fn reconcile(env: &TestEnv) {
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
}

async fn dead_letters(env: &TestEnv) -> Vec<String> {
    env.texts("SELECT reason || ' ' || count(*) FROM dead_letters GROUP BY reason ORDER BY 1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_sensors_than_allowed_are_dead_letters_also_after_a_restart() {
    let env = start(config().set("sensors.max", 10)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    for topic in 0..25 {
        publisher.publish(&format!("sensors/{topic}"), "1").await;
    }
    env.until_accounted(25).await;
    assert_eq!(env.number("SELECT count(*) FROM sensors").await, 10);
    assert_eq!(dead_letters(&env).await, ["(\"too_many_sensors 15\")"]);
    let named = "SELECT count(*) FROM dead_letters WHERE detail LIKE '%sensors.max%' AND of_reading";
    assert_eq!(env.number(named).await, 15);
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    publisher.publish("sensors/0", "2").await;
    publisher.publish("sensors/new", "2").await;
    env.until_accounted(27).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 11);
    engine.until_metric_where("thicket_dead_letters_total", ("reason", "too_many_sensors"), 1.0).await;
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_sensors_beyond_the_rate_are_dead_letters() {
    let env = start(config().set("sensors.new_at_once", 5).set("sensors.new_per_second", 1)).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    for topic in 0..1_000 {
        publisher.publish(&format!("sensors/{topic}"), "1").await;
    }
    env.until_accounted(1_000).await;
    let sensors = env.number("SELECT count(*) FROM sensors").await;
    assert!((5..200).contains(&sensors), "{sensors}");
    let named = "SELECT count(*) FROM dead_letters WHERE detail LIKE '%sensors.new_per_second%'";
    assert_eq!(env.number(named).await, 1_000 - sensors);
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_that_wait_in_the_log_are_not_new_to_the_next_owner_of_the_subscription() {
    const SENSORS: usize = 40;
    let admits = |at_once: i64| config().set("sensors.new_at_once", at_once).set("sensors.new_per_second", 1);
    let env = start(admits(SENSORS as i64)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let send = async |reading: usize| {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/{sensor}"), reading.to_string()).await;
        }
    };
    // Nothing is committed while the table is locked: the sensors are in the log only.
    let mut lock = env.tables().await;
    lock.execute("BEGIN; LOCK TABLE readings IN SHARE MODE").await.unwrap();
    send(0).await;
    engine.until_metric("thicket_records_appended_total", SENSORS as f64).await;
    engine.kill();
    // The next owner would admit one of them as new.
    let _engine = env.engine_with(&admits(1)).await;
    send(1).await;
    lock.execute("ROLLBACK").await.unwrap();
    env.until_accounted(2 * SENSORS as i64).await;
    assert_eq!(dead_letters(&env).await, Vec::<String>::new());
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 2 * SENSORS as i64);
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_changes_its_field_names_holds_up_nobody() {
    let env = start(config().partitions(1)).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let first = now_seconds() - 4_000;
    for i in 0..3_000 {
        let names: Vec<String> = (0..63).map(|field| format!("\"n{i}_{field}\":1")).collect();
        let payload = format!("{{\"ts\":{},\"a\":1,{}}}", first + i, names.join(","));
        publisher.publish("sensors/evil", payload).await;
    }
    publisher.publish("sensors/good", "1").await;
    env.until_accounted(3_001).await;
    assert_eq!(env.number("SELECT cardinality(fields) FROM sensors WHERE name = 'evil'").await, 253);
    assert_eq!(env.number("SELECT count(*) FROM field_sets").await, 5);
    let refused = "SELECT dead_letters FROM partitions";
    assert_eq!(env.number(refused).await, 2_996);
    let named = "SELECT count(*) FROM dead_letters WHERE detail NOT LIKE '%sensors.max_fields%'";
    assert_eq!(env.number(named).await, 0);
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_brings_a_backlog_of_a_month_and_no_table_for_every_past_day() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let now = now_seconds();
    let readings: Vec<String> =
        (0..399).rev().map(|day| format!("{{\"ts\":{},\"a\":1}}", now - day * 86_400)).collect();
    publisher.publish("sensors/a", format!("[{}]", readings.join(","))).await;
    env.until_accounted(399).await;
    let days = env.number("SELECT count(*) FROM pg_inherits WHERE inhparent = 'readings'::regclass").await;
    assert!(days <= 40, "{days}");
    assert_eq!(dead_letters(&env).await, ["(\"too_many_days 366\")"]);
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 33);
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_the_id_of_another_sensor_gets_no_rows() {
    let env = start(config()).await;
    let taken = SensorName::new("b").unwrap();
    env.execute(&format!(
        "INSERT INTO sensors (id, name, partition, fields, first_seen)
         VALUES ({}, 'victim', {}, '{{}}', now())",
        taken.id().0,
        taken.partition(4).0,
    ))
    .await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/b", "1").await;
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(2).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 1);
    assert_eq!(dead_letters(&env).await, ["(\"sensor_id_taken 1\")"]);
    let reconciled = env.thicket(&["reconcile"]);
    assert_eq!(reconciled.status.code(), Some(1));
    assert!(stdout(&reconciled).contains("victim"), "{}", stdout(&reconciled));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_a_rate_dead_letters_are_counted_and_few_are_stored() {
    let env = start(config().set("dead_letters.max_per_second", 1)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    for _ in 0..2_000 {
        publisher.publish("sensors/a", vec![b'{'; 1_000]).await;
    }
    env.until_accounted(2_000).await;
    let stored = env.number("SELECT count(*) FROM dead_letters").await;
    assert!((28..300).contains(&stored), "{stored}");
    let ledger = "SELECT sum(dead_letters)::int8 FROM partitions";
    assert_eq!(env.number(ledger).await, 2_000);
    assert_eq!(env.number("SELECT sum(dead_letters_stored)::int8 FROM ledger").await, stored);
    let short = "SELECT count(*) FROM dead_letters WHERE length(payload) = 256 AND payload_bytes = 1000";
    assert!(env.number(short).await > 10);
    engine.until_metric_where("thicket_dead_letters_total", ("reason", "malformed_json"), 2_000.0).await;
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_of_a_sensor_does_not_decide_its_fields() {
    let env = start(config().small_detector()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", "{\"oops\":1}").await;
    for i in 0..200 {
        publisher.publish("sensors/a", format!("{{\"level\":{}}}", 50 + i % 7)).await;
    }
    env.until_accounted(201).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 201);
    let scored = "SELECT count(*) FROM field_standings WHERE field = 'level' AND scored";
    assert_eq!(env.number(scored).await, 1);
}

/// Publishes readings of the sensor `a`, one a second from `start` on.
async fn publish_levels(env: &TestEnv, start: i64, readings: Range<i64>) {
    let publisher = env.publisher();
    for i in readings {
        let level = 50.0 + (i * 7_919 % 101) as f64 / 50.0;
        publisher.publish("sensors/a", format!("{{\"ts\":{},\"level\":{level}}}", start + i)).await;
    }
    publisher.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_that_is_reset_begins_again_and_is_restored_so() {
    let env = start(config().small_detector().checkpoint_every(40)).await;
    let begin = now_seconds() - 1_000;
    let engine = env.engine().await;
    publish_levels(&env, begin, 0..150).await;
    env.until_accounted(150).await;
    let reset = env.thicket(&["sensors", "reset", "a"]);
    assert!(reset.status.success(), "{}", stderr(&reset));
    env.until("SELECT count(*) FROM detector_resets WHERE seq = 150", 1).await;
    publish_levels(&env, begin, 150..200).await;
    env.until_accounted(200).await;
    let warm = "SELECT count(*) FROM scores WHERE warming_up AND seq > 150";
    assert_eq!(env.number(warm).await, 50, "it warms up");
    assert!(engine.terminate().await.success());
    for (until, from_rows) in [(230, false), (260, true)] {
        if from_rows {
            let sensor = SensorName::new("a").unwrap();
            assert!(env.redis().await.delete_checkpoint(&sensor).await.unwrap());
        }
        let engine = env.engine().await;
        publish_levels(&env, begin, until - 30..until).await;
        env.until_accounted(until).await;
        assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
        assert!(engine.terminate().await.success());
    }
    assert_eq!(env.number("SELECT max(seq) FROM readings").await, 260);
    reconcile(&env);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_that_is_forgotten_begins_anew() {
    let env = start(config().small_detector().checkpoint_every(40)).await;
    let begin = now_seconds() - 1_000;
    let engine = env.engine().await;
    publish_levels(&env, begin, 0..100).await;
    let other = env.publisher();
    other.publish("sensors/b", "1").await;
    env.until_accounted(101).await;
    let listed = env.thicket(&["sensors", "list", "--json"]);
    assert_eq!(json(&listed).as_array().unwrap().len(), 2);
    assert_eq!(json(&listed)[0]["sensor"], "a");
    let first = env.thicket(&["sensors", "list", "--limit", "1"]);
    assert!(stderr(&first).contains("1 of 2; --limit N shows more"), "{}", stderr(&first));
    let asked = env.thicket(&["sensors", "forget", "a"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(stdout(&asked).contains("--yes"), "{}", stdout(&asked));
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 101);
    let forgotten = env.thicket(&["sensors", "forget", "a", "--yes"]);
    assert!(forgotten.status.success(), "{}", stderr(&forgotten));
    env.until("SELECT count(*) FROM sensors", 1).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 1);
    reconcile(&env);
    publish_levels(&env, begin, 50..90).await;
    env.until_accounted(141).await;
    assert_eq!(env.number("SELECT max(seq) FROM readings").await, 40);
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    publish_levels(&env, begin, 100..130).await;
    env.until_accounted(171).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
    assert_eq!(env.number("SELECT max(seq) FROM readings").await, 70);
    reconcile(&env);
}
