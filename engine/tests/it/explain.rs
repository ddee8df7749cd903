//! `thicket explain`.

use std::ops::Range;

use serde_json::Value;
use thicket_schema::Timestamp;
use thicket_testkit::samples::{now_seconds, sample};
use thicket_testkit::{Config, Publisher, TestEnv};

use crate::support::{json, start, stderr, stdout};

/// A reading that stands out: see [`sample`].
const SPIKE: i64 = 310;

/// A checkpoint is saved only at a stop.
fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(1_000_000)
}

async fn publish(publisher: &Publisher, first: i64, readings: Range<i64>) {
    for i in readings {
        publisher.publish("sensors/city/mic-1", sample(first, 1, i)).await;
    }
}

/// The time of reading number `i`.
fn at(first: i64, i: i64) -> String {
    Timestamp((first + i) * 1_000_000).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detection_is_computed_again_and_is_the_same_bit_for_bit() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let first = now_seconds() - 400;
    publish(&publisher, first, 0..SPIKE + 1).await;
    env.until_accounted(SPIKE + 1).await;
    assert!(engine.terminate().await.success());
    // The stop saved the detector after the spike. Later readings are explained from that
    // checkpoint.
    let engine = env.engine().await;
    publish(&publisher, first, SPIKE + 1..SPIKE + 40).await;
    env.until_accounted(SPIKE + 40).await;

    let explain = |time: &str| {
        let output = env.thicket(&["explain", "city/mic-1", "--at", time, "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        json(&output)
    };
    let spike = explain(&at(first, SPIKE));
    assert_eq!(spike["reproduced"], true, "{spike}");
    // Both with the digits that are stored.
    for number in ["score", "grade", "confidence", "onset"] {
        assert_eq!(spike["stored"][number], spike["computed"][number], "{number}: {spike}");
    }
    assert_eq!((&spike["seq"], &spike["replayed"]["rows"]), (&Value::from(SPIKE + 1), &Value::from(SPIKE)));
    assert_eq!(spike["replayed"]["checkpoint"], Value::Null, "the checkpoint is newer than the reading");
    assert!(spike["values"]["level"].as_f64().unwrap() > 90.0, "{spike}");
    let level =
        spike["explanation"]["causes"].as_array().unwrap().iter().find(|cause| cause["field"] == "level");
    assert_eq!(level.unwrap()["direction"], "high", "{spike}");
    let views: Vec<&Value> =
        spike["explanation"]["views"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
    assert_eq!(views, ["level", "field", "residuals", "lasting", "courses", "relations", "coincidence"]);

    let later = explain(&at(first, SPIKE + 20));
    assert_eq!(later["replayed"]["checkpoint"], SPIKE + 1, "{later}");
    assert_eq!(later["replayed"]["rows"], 19);

    let between = Timestamp((first + SPIKE) * 1_000_000 + 500_000).to_string();
    let text = env.thicket(&["explain", "city/mic-1", "--at", &between]);
    let text = stdout(&text);
    for words in [
        "the same, bit for bit",
        "level was 9",
        "view residuals",
        "threshold",
        "nearest",
        "flags       anomaly",
    ] {
        assert!(text.contains(words), "{words} is missing\n{text}");
    }
    println!("{text}");
    assert!(engine.terminate().await.success());

    env.execute("UPDATE readings SET score = score + 1e-9 WHERE seq = 311").await;
    let changed = env.thicket(&["explain", "city/mic-1", "--at", &at(first, SPIKE)]);
    assert_eq!(changed.status.code(), Some(1));
    assert!(stdout(&changed).contains("DIFFERENT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detection_is_explained_with_the_configuration_that_it_was_made_with() {
    let env = start(config()).await;
    let publisher = env.publisher();
    let first = now_seconds() - 400;
    let other_threshold = config().set("detector.alarms_per_week", 50_000.0);
    let other_shape = config().set("detector.points", 64);
    let stages = [
        (config(), "\"alarms_per_week\":1.0", 0..150),
        (other_threshold, "\"alarms_per_week\":50000.0", 150..200),
        (other_shape, "\"points\":64", 200..260),
    ];
    for (settings, mark, readings) in stages {
        let end = readings.end;
        let engine = env.engine_with(&settings).await;
        env.until(&format!("SELECT count(*) FROM partitions WHERE detectors LIKE '%{mark}%'"), 4).await;
        publish(&publisher, first, readings).await;
        env.until_accounted(end).await;
        assert!(engine.terminate().await.success());
    }
    assert_eq!(env.number("SELECT count(DISTINCT config) FROM readings").await, 3);
    // Readings before the newest checkpoint, which are replayed from the first row, and one after
    // it.
    for i in [100, 149, 151, 199, 201, 259] {
        let output = env.thicket(&["explain", "city/mic-1", "--at", &at(first, i), "--json"]);
        assert!(output.status.success(), "{i}: {}{}", stdout(&output), stderr(&output));
        let explained = json(&output);
        assert_eq!(
            (&explained["seq"], &explained["replayed"]["mismatches"]),
            (&Value::from(i + 1), &Value::from(0))
        );
        assert_eq!(explained["alarms_per_week"], if (150..200).contains(&i) { 50_000.0 } else { 1.0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_cannot_be_explained_is_refused_with_the_reason() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let first = now_seconds() - 400;
    publish(&publisher, first, 0..100).await;
    env.until_accounted(100).await;
    let refused = |arguments: &[&str]| {
        let output = env.thicket(&[&["explain"], arguments].concat());
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        stderr(&output)
    };
    let text = refused(&["city/mic-2"]);
    assert!(text.contains("there is no sensor city/mic-2; did you mean city/mic-1?"), "{text}");
    let text = refused(&["city/mic-1", "--at", &at(first, -1)]);
    assert!(text.contains("no scored reading at or before") && text.contains("its first is at"), "{text}");
    let text = refused(&["city/mic-1", "--at", &at(first, 20)]);
    assert!(text.contains("was still warming up"), "{text}");
    // A reading is explained with the configuration that it was made with, not with the current
    // one.
    let current = config().set("detector.points", 256);
    let output = env.thicket_with(&["explain", "city/mic-1"], &current);
    assert!(output.status.success(), "{}", stderr(&output));
    env.execute("UPDATE readings SET config = 7 WHERE seq = 100").await;
    let text = refused(&["city/mic-1"]);
    assert!(text.contains("configuration 0000000000000007, which is not stored"), "{text}");
    assert!(engine.terminate().await.success());
}
