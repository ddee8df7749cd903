//! Days of readings are deleted when they are old enough and no detector needs them to be restored.

use thicket_schema::SensorName;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Config, TestEnv, log_lines};

use crate::support::{start, stdout};

const DAY: i64 = 86_400;

/// The tables of days that are older than three days.
const OLD_DAYS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'readings'::regclass
    AND to_date(substring(inhrelid::regclass::text FROM '^readings_y(.*)$'), 'YYYY\"m\"MM\"d\"DD')
        < (now() AT TIME ZONE 'UTC')::date - 3";

/// Keeps readings without a limit.
fn config() -> Config {
    TestEnv::config()
}

fn two_days() -> Config {
    config().set("postgres.retention", "2d").set("mqtt.max_age", "2d")
}

/// Stores readings of five days ago, four days ago and now of three sensors, one of each late, and
/// stops the engine.
async fn fill(env: &TestEnv) {
    let engine = env.engine().await;
    let publisher = env.publisher();
    for sensor in ["a", "b", "c"] {
        for (days, seconds) in [(5, 0), (5, 2), (5, 1), (4, 0), (0, 0)] {
            let ts = now_seconds() - days * DAY + seconds - 10;
            publisher.publish(&format!("sensors/{sensor}"), format!("{{\"ts\":{ts},\"x\":{seconds}}}")).await;
        }
    }
    env.until_accounted(15).await;
    assert_eq!(env.number("SELECT sum(late) FROM ledger").await, 3);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_are_deleted_and_counted_in_the_ledger() {
    let env = start(config()).await;
    fill(&env).await;
    assert!(env.number(OLD_DAYS).await >= 2);
    let engine = env.engine_with(&two_days()).await;
    // Readings of another sensor are written meanwhile.
    let publisher = env.publisher();
    for i in 0..300 {
        publisher.publish("sensors/live", format!("{{\"ts\":{},\"x\":{i}}}", now_seconds() - 400 + i)).await;
    }
    engine.until_metric("thicket_readings_expired_total", 12.0).await;
    env.until_accounted(315).await;
    assert_eq!(env.number(OLD_DAYS).await, 0);
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 303);
    let ledger = env
        .texts("SELECT sum(scored), sum(late), sum(stored), sum(expired), sum(unaccounted) FROM ledger")
        .await;
    assert_eq!(ledger, ["(312,3,303,12,0)"]);
    assert_eq!(env.number("SELECT sum(expired_late) FROM partitions").await, 3);

    engine.until_metric_where("thicket_ledger_records", ("outcome", "delivered"), 315.0).await;
    let reconciled = env.thicket_with(&["reconcile"], &two_days());
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));

    // The detectors continue, and a reading of a deleted day does not create the day again.
    publisher.publish("sensors/a", format!("{{\"ts\":{},\"x\":1}}", now_seconds())).await;
    publisher.publish("sensors/a", format!("{{\"ts\":{},\"x\":1}}", now_seconds() - 4 * DAY)).await;
    env.until_accounted(317).await;
    assert_eq!(env.number("SELECT max(seq) FROM scores WHERE sensor = 'a'").await, 5);
    assert_eq!(env.number("SELECT count(*) FROM dead_letters WHERE reason = 'timestamp_too_old'").await, 1);
    assert_eq!(env.number(OLD_DAYS).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_a_detector_needs_is_kept() {
    let env = start(config()).await;
    fill(&env).await;
    let sensor = SensorName::new("b").unwrap();
    assert!(env.redis().await.delete_checkpoint(&sensor).await.unwrap());

    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_retention_kept_partitions", 2.0).await;
    engine.assert_logged_with(log_lines::DAY_KEPT, "1 sensor");
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 15);
    assert_eq!(env.number("SELECT sum(expired) FROM ledger").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_cannot_be_dropped_counts_as_kept() {
    let env = start(config()).await;
    fill(&env).await;
    let days = env.texts("SELECT DISTINCT tableoid::regclass::text FROM readings ORDER BY 1").await;
    let day = days[0].trim_matches(['(', ')']);
    env.execute(&format!("CREATE VIEW own AS SELECT * FROM {day}")).await;
    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_readings_expired_total", 3.0).await;
    engine.until_metric("thicket_retention_kept_partitions", 1.0).await;
    engine.until_log_contains("other objects depend on it").await;
    assert_eq!(env.number(OLD_DAYS).await, 1);

    assert!(engine.terminate().await.success());
    env.execute("DROP VIEW own").await;
    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_readings_expired_total", 9.0).await;
    assert_eq!(env.number(OLD_DAYS).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_lets_the_checkpoint_be_saved_that_it_waits_for() {
    let env = start(config()).await;
    fill(&env).await;
    let sensor = SensorName::new("b").unwrap();
    assert!(env.redis().await.delete_checkpoint(&sensor).await.unwrap());
    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_retention_kept_partitions", 2.0).await;
    env.until("SELECT count(*) FROM sensor_requests WHERE action = 'save' AND logged", 1).await;
    let redis = env.redis().await;
    until("the checkpoint", async || redis.checkpoint_seq(&sensor).await.unwrap() >= 4).await;
    // The next look at the days.
    assert!(engine.terminate().await.success());
    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_readings_expired_total", 12.0).await;
    assert_eq!(env.number(OLD_DAYS).await, 0);
    let reconciled = env.thicket_with(&["reconcile"], &two_days());
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_without_rows_is_forgotten_after_sensors_keep_unless_it_sends_again() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let old = now_seconds() - 4 * DAY;
    for sensor in ["gone", "back"] {
        publisher.publish(&format!("sensors/{sensor}"), format!("{{\"ts\":{old},\"x\":1}}")).await;
    }
    publisher.publish("sensors/live", format!("{{\"ts\":{},\"x\":1}}", now_seconds())).await;
    env.until_accounted(3).await;
    assert!(engine.terminate().await.success());
    let engine = env.engine_with(&two_days()).await;
    engine.until_metric("thicket_readings_expired_total", 2.0).await;
    assert_eq!(env.number("SELECT count(*) FROM sensors").await, 3, "sensors are kept without a limit");
    // The engine has asked to forget `back`, which sends before the request is in the log.
    env.execute(
        "INSERT INTO sensor_requests (sensor, action, last_day, ready)
         SELECT id, 'forget', last_day, false FROM sensors WHERE name = 'back'",
    )
    .await;
    publisher.publish("sensors/back", format!("{{\"ts\":{},\"x\":2}}", now_seconds())).await;
    env.until_accounted(4).await;
    env.execute("UPDATE sensor_requests SET ready = true").await;
    env.until("SELECT count(*) FROM sensor_requests WHERE logged", 1).await;
    assert!(engine.terminate().await.success());

    let engine = env.engine_with(&two_days().set("sensors.keep", "1d")).await;
    env.until("SELECT count(*) FROM sensors", 2).await;
    assert_eq!(env.number("SELECT count(*) FROM sensors WHERE name = 'gone'").await, 0);
    let gone = SensorName::new("gone").unwrap();
    assert_eq!(env.redis().await.checkpoint_seq(&gone).await.unwrap(), 0);
    // It begins again as a new sensor.
    publisher.publish("sensors/gone", format!("{{\"ts\":{},\"x\":1}}", now_seconds())).await;
    publisher.publish("sensors/back", format!("{{\"ts\":{},\"x\":1}}", now_seconds() + 1)).await;
    env.until_accounted(6).await;
    let seqs = "SELECT s.name || ' ' || max(r.seq) FROM readings r JOIN sensors s ON s.id = r.sensor GROUP BY s.name ORDER BY 1";
    assert_eq!(env.texts(seqs).await, ["(\"back 3\")", "(\"gone 1\")", "(\"live 1\")"]);
    env.until("SELECT count(*) FROM sensor_requests", 0).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
    let reconciled = env.thicket_with(&["reconcile"], &two_days());
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tables_are_pruned_also_if_sensors_cannot_be_forgotten() {
    let env = start(config()).await;
    env.execute(
        "INSERT INTO field_sets VALUES (99, '{unused}');
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused'; END$$;
         CREATE TRIGGER refuse BEFORE INSERT ON sensor_requests EXECUTE FUNCTION refuse()",
    )
    .await;
    let _engine = env.engine_with(&config().set("sensors.keep", "1d")).await;
    env.until("SELECT count(*) FROM field_sets WHERE id = 99", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_arrives_while_its_day_is_deleted_is_stored_all_the_same() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let old = now_seconds() - 4 * DAY;
    for ts in [old, now_seconds()] {
        publisher.publish("sensors/a", format!("{{\"ts\":{ts},\"x\":1}}")).await;
    }
    env.until_accounted(2).await;
    // Drops the day as retention does. A writer that has seen the day does not know of it.
    let day =
        env.texts(&format!("SELECT tableoid::regclass FROM readings WHERE ts = to_timestamp({old})")).await;
    let day = day[0].trim_matches(['(', ')']);
    env.execute(&format!("DROP TABLE {day}")).await;
    publisher.publish("sensors/a", format!("{{\"ts\":{old},\"x\":2}}")).await;
    env.until_accounted(3).await;
    assert_eq!(env.texts("SELECT sum(late), sum(dead_letters) FROM ledger").await, ["(1,0)"]);
}
