//! Sensors whose times are not in order: several readings of one written second, values that come
//! apart, backlogs, and clocks that go back. The rows are those of an undisturbed run, whatever is
//! killed.

use std::time::Duration;

use serde_json::Value;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Publisher, Snapshot, TestEnv};
use tokio::task::JoinHandle;

use crate::support::{json, start, stderr, stdout};

const STEPS: i64 = 420;
const HOUR: i64 = 3_600;

fn config() -> Config {
    let config = TestEnv::config().small_detector().checkpoint_every(40);
    config.for_sensors("attic", [("fields", vec!["humidity", "pressure"])])
}

/// A value between 50 and 52 that looks random.
fn usual(i: i64) -> f64 {
    50.0 + (i * 7_919 % 101) as f64 / 50.0
}

/// The messages of all sensors, in their order, ending about now.
fn messages(now: i64) -> Vec<(&'static str, String)> {
    let start = now - STEPS;
    let mut messages = Vec::new();
    for i in 0..STEPS {
        let mut send = |topic, ts: f64, fields: String| {
            messages.push((topic, format!("{{\"ts\":{ts:.6},{fields}}}")));
        };
        let time = (start + i) as f64;
        // Several readings in one second, and one of them twice.
        for part in 0..3 {
            send("sensors/bedroom", time, format!("\"level\":{}", usual(i * 3 + part)));
        }
        send("sensors/bedroom", time, format!("\"level\":{}", usual(i * 3)));
        // The values of one time come apart, and two contradict each other.
        send("sensors/attic", time + 0.5, format!("\"pressure\":{}", usual(i)));
        send("sensors/attic", time + 0.5, format!("\"humidity\":{}", usual(i + 1)));
        send("sensors/attic", time + 0.5, format!("\"humidity\":{}", usual(i + 2)));
        // The clock goes back by an hour, onto times that are stored already, and is right again.
        let level = if i == 330 { 500.0 } else { usual(i) };
        let lost = if (200..300).contains(&i) { 150.0 } else { 0.0 };
        send("sensors/pump", time - lost, format!("\"level\":{level}"));
        // The clock never finds the right time again.
        let lost = if i >= 100 { HOUR as f64 } else { 0.0 };
        send("sensors/cellar", time - lost, format!("\"level\":{level}"));
        // A backlog between live readings.
        send("sensors/field", time, format!("\"level\":{}", usual(i)));
        if (100..130).contains(&i) {
            send("sensors/field", time - HOUR as f64, format!("\"level\":{}", usual(i)));
        }
    }
    messages
}

async fn publish(publisher: &Publisher, messages: &[(&str, String)]) {
    for (topic, payload) in messages {
        publisher.publish(topic, payload.clone()).await;
    }
}

/// Publishes messages over a second.
fn publish_over_a_second(
    publisher: Publisher,
    messages: Vec<(&'static str, String)>,
) -> JoinHandle<Publisher> {
    tokio::spawn(async move {
        for part in messages.chunks(10) {
            publish(&publisher, part).await;
            tokio::time::sleep(Duration::from_millis(12)).await;
        }
        publisher
    })
}

/// Returns the rows of an undisturbed run, and the number of its readings.
async fn undisturbed(messages: &[(&str, String)]) -> (Snapshot, i64) {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publish(&publisher, messages).await;
    env.until_accounted(messages.len() as i64).await;
    assert!(engine.terminate().await.success());
    let count = async |sensor: &str, condition: &str| {
        let query = format!(
            "SELECT count(*) FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = '{sensor}' AND {condition}"
        );
        env.number(&query).await
    };
    let (scored, late, shifted) = ("seq IS NOT NULL", "flags & 4 <> 0", "flags & 2048 <> 0");
    assert_eq!((count("bedroom", scored).await, count("bedroom", shifted).await), (STEPS * 3, STEPS * 2));
    assert_eq!(count("attic", "true").await, STEPS * 2, "joined, and no contradiction stored");
    assert_eq!((count("pump", late).await, count("pump", scored).await), (20, STEPS - 20));
    assert!(count("pump", "flags & 2048 <> 0 AND era = 1").await > 0, "onto times that are stored");
    assert_eq!((count("cellar", late).await, count("cellar", "era = 1").await), (20, STEPS - 120));
    assert_eq!((count("field", late).await, count("field", "era = 1").await), (30, 0));
    assert!(env.number("SELECT count(*) FROM anomaly_events WHERE sensor = 'cellar'").await > 0);
    assert_eq!(env.number("SELECT count(*) FROM anomalies WHERE ended < started").await, 0);
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}{}", stdout(&reconciled), stderr(&reconciled));
    (env.snapshot().await, env.number("SELECT count(*) FROM readings").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn times_out_of_order_give_the_same_rows_whatever_is_killed() {
    let messages = messages(now_seconds());
    let (expected, rows) = undisturbed(&messages).await;

    let env = start(config().set("shards.evict_after", "1s")).await;
    env.engine().await.terminate().await;
    let mut publisher = env.publisher();
    // Each engine is killed in the middle of the messages that are published while it starts, so it
    // has enough of its own to store, however quick the engine before it was.
    let mut parts = messages.chunks(messages.len().div_ceil(5)).map(<[_]>::to_vec);
    for (part, committed) in parts.by_ref().take(4).zip([300.0, 600.0, 500.0, 400.0]) {
        let publishing = publish_over_a_second(publisher, part);
        let engine = env.engine().await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
        publisher = publishing.await.unwrap();
    }
    let publishing = publish_over_a_second(publisher, parts.next().unwrap());
    let engine = env.engine().await;
    let _publisher = publishing.await.unwrap();
    env.until("SELECT sum(stored) FROM ledger", rows).await;
    env.until("SELECT count(*) FROM dead_letters", STEPS).await;
    assert_eq!(env.unaccounted().await, 0);
    assert!(engine.metric("thicket_detector_restores_total").await > 0.0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_without_its_checkpoint_is_rebuilt_across_a_change_of_its_clock() {
    let messages = messages(now_seconds());
    let (expected, _) = undisturbed(&messages).await;
    let env = start(config()).await;
    let publisher = env.publisher();
    let half = messages.len() * 3 / 4;
    let engine = env.engine().await;
    publish(&publisher, &messages[..half]).await;
    env.until_accounted(half as i64).await;
    engine.terminate().await;
    let redis = env.redis().await;
    for sensor in ["bedroom", "attic", "pump", "cellar", "field"] {
        let name = thicket_schema::SensorName::new(sensor).unwrap();
        redis.set_checkpoint_state(&name, b"no checkpoint at all".to_vec()).await.unwrap();
    }
    let engine = env.engine().await;
    publish(&publisher, &messages[half..]).await;
    env.until_accounted(messages.len() as i64).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    env.snapshot().await.assert_same(&expected);
    let explained = env.thicket(&["explain", "cellar", "--json"]);
    assert!(explained.status.success(), "{}", stderr(&explained));
    assert_eq!(json(&explained)["replayed"]["mismatches"], 0, "{}", stdout(&explained));
}

/// The backlog of an outage comes after the first live reading. Its anomaly is found on request.
#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_finds_the_anomaly_of_a_backlog() {
    let env = start(config().set("detector.begin_again_after", 0)).await;
    let engine = env.engine().await;
    let (publisher, now) = (env.publisher(), now_seconds());
    let message = |i: i64, level: f64| ("sensors/field", format!("{{\"ts\":{},\"level\":{level}}}", now - i));
    let mut all: Vec<_> = (0..400).map(|i| message(10_000 - i, usual(i))).collect();
    all.push(message(2, usual(1)));
    let backlog = |i: i64| if (100..120).contains(&i) { 90.0 } else { usual(i) };
    all.extend((0..200).map(|i| message(9_600 - i, backlog(i))));
    all.push(message(1, usual(2)));
    publish(&publisher, &all).await;
    env.until_accounted(all.len() as i64).await;
    assert!(engine.terminate().await.success());
    assert_eq!(env.number("SELECT sum(late) FROM ledger").await, 200);
    let of_backlog = format!("SELECT count(*) FROM anomalies WHERE started > to_timestamp({})", now - 9_600);
    assert_eq!(env.number(&of_backlog).await, 0);

    let new = env.path().join("same.toml");
    std::fs::write(&new, "[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n").unwrap();
    let backtest = |arguments: &[&str]| -> Value {
        let output =
            env.thicket(&[&["backtest", "--json", "--with", new.to_str().unwrap()], arguments].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        json(&output)
    };
    let report = backtest(&[]);
    assert_eq!((&report["totals"]["readings"], &report["totals"]["late_scored"]), (&602.into(), &200.into()));
    let found = &report["gained"][0];
    assert_eq!(found["readings"], found["late_readings"], "{report}");
    assert!(found["readings"].as_i64().unwrap() >= 20, "{report}");
    let report = backtest(&["--without-late"]);
    assert_eq!((&report["totals"]["readings"], &report["totals"]["gained"]), (&402.into(), &0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clockss_are_named_and_their_refused_readings_can_be_put_back() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let (publisher, now) = (env.publisher(), now_seconds());
    let mut all = Vec::new();
    for i in 0..50 {
        all.push(("sensors/pump", format!("{{\"ts\":{},\"level\":{}}}", now - 100 + i, usual(i))));
    }
    for i in 0..25 {
        let ts = now - 20 * 24 * HOUR + i;
        all.push(("sensors/pump", format!("{{\"ts\":{ts},\"level\":{}}}", usual(i))));
    }
    all.push(("sensors/hasty", format!("{{\"ts\":{},\"level\":1}}", now + 2 * HOUR)));
    publish(&publisher, &all).await;
    env.until_accounted(all.len() as i64).await;
    let status = json(&env.thicket(&["status", "--json"]));
    let (behind, ahead) = (&status["clocks"]["behind"], &status["clocks"]["ahead"]);
    assert_eq!((&behind[0]["sensor"], &behind[0]["scored"]), (&"pump".into(), &true.into()), "{status}");
    assert!((behind[0]["seconds"].as_f64().unwrap() / 86_400.0 - 20.0).abs() < 0.1, "{status}");
    assert_eq!((&ahead[0]["topic"], &ahead[0]["refused"]), (&"sensors/hasty".into(), &1.into()), "{status}");
    assert!((ahead[0]["seconds"].as_f64().unwrap() - 7_200.0).abs() < 60.0, "{status}");
    let text = stdout(&env.thicket(&["status"]));
    assert!(text.contains("sensor pump: 20.0 d behind") && text.contains("topic sensors/hasty"), "{text}");
    let lines = env.logs().matches("reading after reading of the sensor is late").count();
    assert_eq!(lines, 1, "one line per sensor");

    let replay = ["deadletter", "replay", "--reason", "timestamp_in_future", "--at-arrival"];
    let replayed = env.thicket(&replay);
    assert!(replayed.status.success(), "{}{}", stdout(&replayed), stderr(&replayed));
    env.until("SELECT count(*) FROM scores WHERE sensor = 'hasty'", 1).await;
    engine.terminate().await;
    let engine = env.engine().await;
    engine.until_metric("thicket_wrong_clocks", 2.0).await;
}
