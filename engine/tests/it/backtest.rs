//! `thicket backtest`.

use std::process::Command;

use serde_json::Value;
use thicket_schema::Timestamp;
use thicket_testkit::samples::{now_seconds, sample};
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{BINARY, json, start, stderr, stdout};

const SENSORS: usize = 3;
const READINGS: i64 = 400;
/// A reading that stands out: see [`sample`].
const SPIKE: i64 = 310;
/// The section of [`config`], as the file of a backtest has it.
const DETECTOR: &str = "[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";

fn config() -> Config {
    TestEnv::config().small_detector()
}

/// Writes a file with a configuration to try and returns its path.
fn new_config(env: &TestEnv, name: &str, text: &str) -> String {
    let path = env.path().join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn backtest(env: &TestEnv, arguments: &[&str]) -> Value {
    let output = env.thicket(&[&["backtest", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    json(&output)
}

/// Servers with stored readings from `first` on, in seconds since the Unix epoch.
async fn start_with_readings(first: i64) -> TestEnv {
    let env = start(config()).await;
    let engine = env.engine().await;
    let samples = Samples::new("city/mic-", SENSORS, first);
    samples.deliver(&env.publisher(), 0..READINGS).await;
    env.until_accounted(samples.records(READINGS)).await;
    assert!(engine.terminate().await.success());
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn the_present_configuration_finds_what_was_found_with_the_same_scores() {
    let env = start_with_readings(now_seconds() - READINGS).await;
    let before = env.snapshot().await;
    let found = env.number("SELECT count(*) FROM anomaly_events").await;
    assert!(found > 0);
    let same = new_config(&env, "same", DETECTOR);
    let out = env.path().join("scores.csv");
    let report = backtest(&env, &["--with", &same, "--out", out.to_str().unwrap()]);
    let totals = &report["totals"];
    assert_eq!(totals["readings"], READINGS * SENSORS as i64, "{report}");
    assert_eq!((&totals["gained"], &totals["lost"]), (&Value::from(0), &Value::from(0)), "{report}");
    assert_eq!((&totals["old"], &totals["kept"]), (&Value::from(found), &totals["new"]));
    assert_eq!(report["sensors"].as_array().unwrap().len(), SENSORS);
    assert!(report["cost"]["memory_bytes_per_sensor"].as_f64().unwrap() > 10_000.0, "{report}");
    assert_eq!(report["labels"], Value::Null);

    let csv = std::fs::read_to_string(&out).unwrap();
    let mut rows: Vec<Vec<&str>> = csv.lines().skip(1).map(|line| line.split(',').collect()).collect();
    rows.sort();
    let stored = env.texts("SELECT score FROM scores ORDER BY sensor, ts").await;
    assert_eq!(rows.len(), stored.len());
    for (row, stored) in rows.iter().zip(stored) {
        let stored: f64 = stored.trim_matches(['(', ')']).parse().unwrap();
        assert_eq!(row[2].parse::<f64>().unwrap().to_bits(), stored.to_bits(), "{row:?}");
    }
    env.snapshot().await.assert_same(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_gains_and_loses_and_is_judged_by_labels() {
    let first = now_seconds() - READINGS;
    let env = start_with_readings(first).await;
    env.execute(&format!(
        "INSERT INTO labels (sensor, started, label) SELECT sensor, started, 'true' FROM anomalies
         WHERE started >= to_timestamp({})",
        first + SPIKE
    ))
    .await;
    let found = env.number("SELECT count(*) FROM anomalies").await;

    // It is still warming up when the spike comes.
    let blind = new_config(&env, "blind", &DETECTOR.replace("warm_up = 64", "warm_up = 390"));
    let report = backtest(&env, &["--with", &blind, "--examples", "1"]);
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

    // It takes one reading in thirty for an anomaly.
    let jumpy = new_config(&env, "jumpy", &format!("{DETECTOR}alarms_per_week = 100000.0\n"));
    let report = backtest(&env, &["--with", &jumpy, "--sensors", "city/mic-1"]);
    assert_eq!(report["sensors"].as_array().unwrap().len(), 1);
    assert!(report["totals"]["gained"].as_i64().unwrap() > 0, "{report}");
    assert_eq!(report["labels"]["new"]["recall"], 1.0, "{report}");

    // A range that begins just before the spike, after readings to warm up with.
    let from = Timestamp((first + SPIKE - 10) * 1_000_000).to_string();
    let to = Timestamp((first + SPIKE + 9) * 1_000_000).to_string();
    let same = new_config(&env, "same", DETECTOR);
    let range =
        ["--with", &same, "--from", &from, "--to", &to, "--warm-up-readings", "250", "--threads", "1"];
    let report = backtest(&env, &range);
    assert_eq!(report["totals"]["readings"], 20 * SENSORS, "{report}");
    assert_eq!(report["totals"]["warm_up_readings"], 250 * SENSORS, "{report}");
    assert_eq!(report["totals"]["kept"], SENSORS, "{report}");

    let text = env.thicket(&["backtest", "--with", &jumpy]);
    let (said, progress) = (stdout(&text), stderr(&text));
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
    let first = 1_795_345_200;
    let row = |i: i64| {
        let reading: Value = serde_json::from_str(&sample(first, 1, i)).unwrap();
        format!("{},{},{}\n", Timestamp((first + i) * 1_000_000), reading["pitch"], reading["level"])
    };
    let rows: String = (0..READINGS).map(row).collect();
    std::fs::write(&file, format!("time,pitch,level\n{rows}")).unwrap();
    let new = directory.path().join("new.toml");
    std::fs::write(&new, DETECTOR).unwrap();
    let run = |arguments: &[&str]| Command::new(BINARY).arg("backtest").args(arguments).output().unwrap();
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
    assert!(stdout(&text).contains("found:\n  2026-11-22T11:0"));

    let refused = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(!output.status.success());
        stderr(&output)
    };
    assert!(refused(&["--with", "nowhere.toml", "--csv", csv]).contains("nowhere.toml"));
    assert!(refused(&["--with", new, "--csv", csv, csv]).contains("two files have the name mic-7"));
    std::fs::write(&file, "time,level\n2026-11-22T11:00:00Z,1\n2026-11-22T11:00:01Z,loud\n").unwrap();
    assert!(refused(&["--with", new, "--csv", csv]).contains("line 3: \"loud\" is not a number"));
    assert!(
        refused(&["--with", new, "--csv", csv, "--from", "1d", "--to", "2d"])
            .contains("--from is after --to")
    );
}
