//! Sensors whose readings have other fields each time: every reading becomes a row, the readings
//! decide which fields are scored, and a crash at any point changes no row.

use std::ops::Range;

use serde_json::json as value;
use thicket_schema::Flag;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Publisher, TestEnv};

use crate::support::{json, start, stdout};

/// Readings of each sensor. The warm-up of the detectors has 64.
const READINGS: i64 = 300;
const SENSORS: [&str; 3] = ["climate", "turns", "renamed"];

fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(25)
}

/// Returns the payload of a reading. `climate`: at first battery and link quality alone, from
/// reading 100 on with humidity. `turns`: two values that never come together. `renamed`: another
/// name from reading 150 on.
fn payload(sensor: &str, first: i64, i: i64) -> String {
    let (a, b) = (20.0 + ((i * 7_919) % 101) as f64 / 50.0, 50.0 + ((i * 104_729) % 97) as f64 / 10.0);
    let mut reading = match sensor {
        "climate" if i == 0 => value!({ "battery": 100, "linkquality": 42 }),
        "climate" if i < 100 => value!({ "temperature": a, "linkquality": 40 + i % 5, "relay": 0 }),
        "climate" => value!({ "temperature": a, "humidity": b, "linkquality": 40 + i % 5, "relay": 0 }),
        "turns" if i % 2 == 0 => value!({ "temperature": a }),
        "turns" => value!({ "humidity": b }),
        _ if i < 150 => value!({ "t": a }),
        _ => value!({ "temp": a }),
    };
    reading["ts"] = value!(first + i);
    reading.to_string()
}

async fn publish(publisher: &Publisher, first: i64, readings: Range<i64>) {
    for i in readings {
        for sensor in SENSORS {
            publisher.publish(&format!("sensors/{sensor}"), payload(sensor, first, i)).await;
        }
    }
    publisher.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_while_fields_are_decided_ends_with_the_rows_of_an_undisturbed_one() {
    let first = now_seconds() - READINGS;
    let records = READINGS * SENSORS.len() as i64;
    let undisturbed = start(config()).await;
    let engine = undisturbed.engine().await;
    publish(&undisturbed.publisher(), first, 0..READINGS).await;
    undisturbed.until_accounted(records).await;
    assert!(engine.terminate().await.success());
    let expected = undisturbed.snapshot().await;
    let scored = "SELECT sensor, string_agg(field, ' ' ORDER BY field) FROM field_standings
                  WHERE scored GROUP BY sensor ORDER BY sensor";
    let decided =
        ["(climate,\"humidity relay temperature\")", "(renamed,temp)", "(turns,\"humidity temperature\")"];
    assert_eq!(undisturbed.texts(scored).await, decided);

    let env = start(config()).await;
    let publisher = env.publisher();
    // In the warm-up; while the readings after the first humidity are kept; after it has joined;
    // while the readings with the new name are kept.
    let mut from = 0;
    for until in [30, 130, 180, 200] {
        let engine = env.engine().await;
        publish(&publisher, first, from..until).await;
        env.until_accounted(until * SENSORS.len() as i64).await;
        assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
        engine.kill();
        from = until;
    }
    let engine = env.engine().await;
    publish(&publisher, first, from..READINGS).await;
    env.until_accounted(records).await;
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    env.snapshot().await.assert_same(&expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_reading_is_a_row_and_the_commands_say_which_fields_are_scored() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let first = now_seconds() - 1_000;
    publish(&publisher, first, 0..READINGS).await;
    for i in 0..20 {
        publisher.publish("sensors/button", value!({ "ts": first + i, "battery": 90 }).to_string()).await;
    }
    let spike = value!({ "ts": first + READINGS, "temperature": 51, "humidity": 55 }).to_string();
    publisher.publish("sensors/climate", spike).await;
    let records = READINGS * SENSORS.len() as i64 + 21;
    env.until_accounted(records).await;

    let unscored = format!(
        "SELECT s.name, count(*) FROM readings r JOIN sensors s ON s.id = r.sensor
         WHERE r.flags = {} AND r.score IS NULL AND r.seq IS NOT NULL GROUP BY s.name ORDER BY s.name",
        Flag::Unscored.bit()
    );
    assert_eq!(env.texts(&unscored).await, ["(button,20)", "(climate,1)", "(renamed,64)"]);
    assert_eq!(
        env.texts("SELECT sum(scored), sum(unscored), sum(dead_letters) FROM ledger").await,
        [format!("({},85,0)", records - 85)]
    );
    engine.until_metric("thicket_readings_unscored_total", 85.0).await;
    assert!(engine.metric("thicket_readings_unscored_total").await < 85.5);
    let newest = "SELECT anomaly FROM scores WHERE sensor = 'climate' ORDER BY ts DESC LIMIT 1";
    assert_eq!(env.texts(newest).await, ["(t)"], "the spike is found");

    let shown = json(&env.thicket(&["sensors", "show", "climate", "--json"]));
    let fields: Vec<String> = (shown["fields"].as_array().unwrap().iter())
        .map(|field| format!("{} {}", field["field"].as_str().unwrap(), field["standing"].as_str().unwrap()))
        .collect();
    let standings =
        ["humidity scored", "relay scored", "temperature scored", "battery excluded", "linkquality excluded"];
    assert_eq!(fields, standings);
    let text = stdout(&env.thicket(&["sensors", "show", "climate"]));
    assert!(text.contains("the pattern linkquality of detector.exclude"), "{text}");
    assert!(text.contains("it has never changed so far"), "{text}");
    let status = json(&env.thicket(&["status", "--json"]));
    assert_eq!(status["fields"]["sensors_without_scored_field"], 1);
    assert_eq!(status["fields"]["examples"][0], "button");
    let text = stdout(&env.thicket(&["status"]));
    assert!(text.contains("85 unscored") && text.contains("without a scored field: button"), "{text}");
    assert!(env.thicket(&["reconcile"]).status.success());
    assert!(engine.terminate().await.success());
}
