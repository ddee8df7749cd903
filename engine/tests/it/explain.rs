//! `thicket explain`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, Publisher, now_seconds, payload};
use serde_json::Value;

/// No checkpoints but those of a stop.
const SMALL: &str = "[queue]\npartitions = 4\n[checkpoint]\nevery = 1000000\n[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";
/// A reading that stands out: see `payload`.
const SPIKE: i64 = 310;

async fn publish(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        publisher.publish("sensors/city/mic-1", payload(start, 1, i)).await;
    }
}

fn at(start: i64, i: i64) -> String {
    thicket_schema::Timestamp((start + i) * 1_000_000).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detection_is_computed_once_more_and_comes_out_the_same_bit_for_bit() {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 400;
    publish(&mut publisher, start, 0..SPIKE + 1).await;
    bed.until_accounted(SPIKE + 1).await;
    assert!(engine.terminate().await.success());
    // The stop saved the detector after the spike; what comes then is explained from that checkpoint.
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, SPIKE + 1..SPIKE + 40).await;
    bed.until_accounted(SPIKE + 40).await;

    let explain = |time: &str| {
        let output = bed.thicket(&["explain", "city/mic-1", "--at", time, "--json"], SMALL);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let spike = explain(&at(start, SPIKE));
    assert_eq!(spike["reproduced"], true, "{spike}");
    assert_eq!((&spike["seq"], &spike["replayed"]["rows"]), (&Value::from(SPIKE + 1), &Value::from(SPIKE)));
    assert_eq!(spike["replayed"]["checkpoint"], Value::Null, "the checkpoint is newer than the reading");
    assert!(spike["values"]["level"].as_f64().unwrap() > 90.0, "{spike}");
    let level =
        spike["explanation"]["causes"].as_array().unwrap().iter().find(|cause| cause["field"] == "level");
    assert_eq!(level.unwrap()["direction"], "high", "{spike}");
    let views: Vec<&Value> =
        spike["explanation"]["views"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
    assert_eq!(views, ["level", "trend", "spread"]);

    let later = explain(&at(start, SPIKE + 20));
    assert_eq!(later["replayed"]["checkpoint"], SPIKE + 1, "{later}");
    assert_eq!(later["replayed"]["rows"], 19);

    let between = thicket_schema::Timestamp((start + SPIKE) * 1_000_000 + 500_000).to_string();
    let text = bed.thicket(&["explain", "city/mic-1", "--at", &between], SMALL);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    for words in
        ["the same, bit for bit", "level was 9", "view spread", "threshold", "nearest", "flags       anomaly"]
    {
        assert!(text.contains(words), "{words} is missing\n{text}");
    }
    println!("{text}");
    assert!(engine.terminate().await.success());

    bed.execute("UPDATE readings SET score = score + 1e-9 WHERE seq = 311").await;
    let changed = bed.thicket(&["explain", "city/mic-1", "--at", &at(start, SPIKE)], SMALL);
    assert_eq!(changed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&changed.stdout).contains("DIFFERENT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_configuration_was_before_and_is_now() {
    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 400;
    let other_threshold = format!("{SMALL}alarms_per_week = 50000.0\n");
    let other_shape = SMALL.replace("points = 128", "points = 64");
    let stages = [
        (SMALL, "\"alarms_per_week\":1.0", 0..150),
        (&other_threshold, "\"alarms_per_week\":50000.0", 150..200),
        (&other_shape, "\"points\":64", 200..260),
    ];
    for (settings, mark, readings) in stages {
        let end = readings.end;
        let engine = bed.engine(settings).await;
        bed.until(&format!("SELECT count(*) FROM partitions WHERE detectors LIKE '%{mark}%'"), 4).await;
        publish(&mut publisher, start, readings).await;
        bed.until_accounted(end).await;
        assert!(engine.terminate().await.success());
    }
    assert_eq!(bed.number("SELECT count(DISTINCT config) FROM readings").await, 3);
    // As if there had never been a checkpoint, and with the newest.
    for i in [100, 149, 151, 199, 201, 259] {
        let output = bed.thicket(&["explain", "city/mic-1", "--at", &at(start, i), "--json"], SMALL);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{i}: {text}{}", String::from_utf8_lossy(&output.stderr));
        let explained: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&explained["seq"], &explained["replayed"]["mismatches"]),
            (&Value::from(i + 1), &Value::from(0))
        );
        assert_eq!(explained["alarms_per_week"], if (150..200).contains(&i) { 50_000.0 } else { 1.0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_explained_says_why() {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - 400;
    publish(&mut publisher, start, 0..100).await;
    bed.until_accounted(100).await;
    let refused = |arguments: &[&str], settings: &str| {
        let output = bed.thicket(&[&["explain"], arguments].concat(), settings);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = refused(&["city/mic-2"], SMALL);
    assert!(text.contains("there is no sensor city/mic-2; did you mean city/mic-1?"), "{text}");
    let text = refused(&["city/mic-1", "--at", &at(start, -1)], SMALL);
    assert!(text.contains("no scored reading at or before") && text.contains("its first is at"), "{text}");
    let text = refused(&["city/mic-1", "--at", &at(start, 20)], SMALL);
    assert!(text.contains("was still warming up"), "{text}");
    // Every reading is explained with the configuration that it was made with, whatever it is now.
    let output = bed.thicket(&["explain", "city/mic-1"], &SMALL.replace("128", "256"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bed.execute("UPDATE readings SET config = 7 WHERE seq = 100").await;
    let text = refused(&["city/mic-1"], SMALL);
    assert!(text.contains("configuration 0000000000000007, which is not stored"), "{text}");
    assert!(engine.terminate().await.success());
}
