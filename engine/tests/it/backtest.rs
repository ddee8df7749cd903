//! `thicket backtest`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use std::path::PathBuf;

use common::{Bed, now_seconds, payload};
use serde_json::Value;

const SENSORS: usize = 3;
const READINGS: i64 = 400;
/// A reading that stands out: see `payload`.
const SPIKE: i64 = 310;
const DETECTOR: &str = "[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";

fn settings() -> String {
    format!("[queue]\npartitions = 4\n{DETECTOR}")
}

/// A file with a configuration to try.
fn new_config(bed: &Bed, text: &str) -> String {
    let path: PathBuf =
        bed.path().join(format!("new-{:x}.toml", xxhash_rust::xxh3::xxh3_64(text.as_bytes())));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn backtest(bed: &Bed, arguments: &[&str]) -> Value {
    let output = bed.thicket(&[&["backtest", "--json"], arguments].concat(), &settings());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn bed_with_a_past(start: i64) -> Bed {
    let bed = Bed::new().await;
    let engine = bed.engine(&settings()).await;
    let mut publisher = bed.publisher();
    for i in 0..READINGS {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/city/mic-{sensor}"), payload(start, sensor, i)).await;
        }
    }
    bed.until_accounted(READINGS * SENSORS as i64).await;
    assert!(engine.terminate().await.success());
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_configuration_finds_what_was_found_with_the_same_scores() {
    let bed = bed_with_a_past(now_seconds() - READINGS).await;
    let before = bed.texts("SELECT * FROM anomalies ORDER BY sensor, started").await;
    assert!(!before.is_empty());
    let same = new_config(&bed, DETECTOR);
    let out = bed.path().join("scores.csv");
    let report = backtest(&bed, &["--with", &same, "--out", out.to_str().unwrap()]);
    let totals = &report["totals"];
    assert_eq!(totals["readings"], READINGS * SENSORS as i64, "{report}");
    assert_eq!((&totals["gained"], &totals["lost"]), (&Value::from(0), &Value::from(0)), "{report}");
    assert_eq!((&totals["old"], &totals["kept"]), (&Value::from(before.len()), &totals["new"]));
    assert_eq!(report["sensors"].as_array().unwrap().len(), SENSORS);
    assert!(report["cost"]["memory_bytes_per_sensor"].as_f64().unwrap() > 10_000.0, "{report}");
    assert_eq!(report["labels"], Value::Null);

    let csv = std::fs::read_to_string(&out).unwrap();
    let mut rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    rows.sort();
    let stored = bed.texts("SELECT score FROM scores ORDER BY sensor, ts").await;
    assert_eq!(rows.len(), stored.len());
    for (row, stored) in rows.iter().zip(stored) {
        let stored: f64 = stored.trim_matches(['(', ')']).parse().unwrap();
        assert_eq!(row[2].parse::<f64>().unwrap().to_bits(), stored.to_bits(), "{row:?}");
    }
    assert_eq!(
        bed.texts("SELECT * FROM anomalies ORDER BY sensor, started").await,
        before,
        "nothing changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_gains_and_loses_and_is_judged_by_labels() {
    let start = now_seconds() - READINGS;
    let bed = bed_with_a_past(start).await;
    bed.execute("INSERT INTO labels (sensor, started, label) SELECT sensor, started, 'true' FROM anomalies")
        .await;
    let found = bed.number("SELECT count(*) FROM anomalies").await;

    // Its verdicts begin after the spike.
    let blind = new_config(&bed, &DETECTOR.replace("warm_up = 64", "warm_up = 390"));
    let report = backtest(&bed, &["--with", &blind, "--examples", "1"]);
    assert_eq!(
        (&report["totals"]["lost"], &report["totals"]["kept"]),
        (&Value::from(found), &Value::from(0))
    );
    assert_eq!(report["lost"].as_array().unwrap().len(), 1);
    assert_eq!(report["lost"][0]["causes"][0]["field"], "level", "{report}");
    assert_eq!(
        (&report["labels"]["old"]["precision"], &report["labels"]["new"]["recall"]),
        (&Value::from(1.0), &Value::from(0.0))
    );

    // It takes every reading in thirty for an anomaly.
    let jumpy = new_config(&bed, &format!("{DETECTOR}alarms_per_week = 100000.0\n"));
    let report = backtest(&bed, &["--with", &jumpy, "--sensors", "city/mic-1"]);
    assert_eq!(report["sensors"].as_array().unwrap().len(), 1);
    assert!(report["totals"]["gained"].as_i64().unwrap() > 0, "{report}");
    assert_eq!(report["labels"]["new"]["recall"], 1.0, "{report}");

    // From just before the spike, after so many readings to warm up.
    let from = thicket_schema::Timestamp((start + SPIKE - 10) * 1_000_000).to_string();
    let to = thicket_schema::Timestamp((start + SPIKE + 9) * 1_000_000).to_string();
    let same = new_config(&bed, DETECTOR);
    let range =
        ["--with", &same, "--from", &from, "--to", &to, "--warm-up-readings", "250", "--threads", "1"];
    let report = backtest(&bed, &range);
    assert_eq!(report["totals"]["readings"], 20 * SENSORS, "{report}");
    assert_eq!(report["totals"]["warm_up_readings"], 250 * SENSORS, "{report}");
    assert_eq!(report["totals"]["kept"], SENSORS, "{report}");

    let text = bed.thicket(&["backtest", "--with", &jumpy], &settings());
    let (said, progress) = (String::from_utf8_lossy(&text.stdout), String::from_utf8_lossy(&text.stderr));
    for words in ["city/mic-2", "gained, the most severe first", "precision", "µs of CPU a reading"] {
        assert!(said.contains(words), "{words} is missing\n{said}");
    }
    assert!(progress.contains("1200 readings of 3 sensors in"), "{progress}");
    println!("{said}{progress}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_need_no_servers_and_mistakes_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mic-7.csv");
    let start = 1_795_345_200;
    let row = |i: i64| {
        let reading: Value = serde_json::from_str(&payload(start, 1, i)).unwrap();
        format!(
            "{},{},{}\n",
            thicket_schema::Timestamp((start + i) * 1_000_000),
            reading["pitch"],
            reading["level"]
        )
    };
    let rows: String = (0..READINGS).map(row).collect();
    std::fs::write(&file, format!("time,pitch,level\n{rows}")).unwrap();
    let new = directory.path().join("new.toml");
    std::fs::write(&new, DETECTOR).unwrap();
    let run = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_thicket"))
            .arg("backtest")
            .args(arguments)
            .output()
            .unwrap()
    };
    let (new, csv) = (new.to_str().unwrap(), file.to_str().unwrap());
    let output = run(&["--with", new, "--csv", csv, "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["totals"]["readings"], &report["totals"]["old"]),
        (&Value::from(READINGS), &Value::Null)
    );
    let begun: Vec<&Value> =
        report["gained"].as_array().unwrap().iter().map(|alarm| &alarm["started"]).collect();
    assert!(begun.contains(&&Value::from("2026-11-22T11:05:10Z")), "{report}");
    assert_eq!(report["sensors"][0]["sensor"], "mic-7");
    let text = run(&["--with", new, "--csv", csv]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("found:\n  2026-11-22T11:0"));

    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["--with", "nowhere.toml", "--csv", csv]).contains("nowhere.toml"));
    assert!(refused(&["--with", new, "--csv", csv, csv]).contains("two files are named mic-7"));
    std::fs::write(&file, "time,level\n2026-11-22T11:00:00Z,1\n2026-11-22T11:00:01Z,loud\n").unwrap();
    assert!(refused(&["--with", new, "--csv", csv]).contains("line 3: \"loud\" is not a number"));
    assert!(
        refused(&["--with", new, "--csv", csv, "--from", "1d", "--to", "2d"])
            .contains("--from is after --to")
    );
}
