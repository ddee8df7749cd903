//! Another configuration in the middle of a stream, while the engine runs: it takes effect at one place in the log, whatever crashes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, Engine, Publisher, now_seconds, payload};

const SMALL: &str = "[queue]\npartitions = 4\n[shards]\n[checkpoint]\nevery = 60\n[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";
/// Two of the sensors get forests of another size, the others only another threshold.
const OTHER: &str = "[queue]\npartitions = 4\n[shards]\n[checkpoint]\nevery = 60\n[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\nalarms_per_week = 20000.0\n[[detectors]]\nsensors = \"city/mic-0\"\npoints = 96\n[[detectors]]\nsensors = \"city/mic-1\"\npoints = 64\nsmoothing = 0\n";

const SENSORS: usize = 5;
const BEFORE: i64 = 150;
const READINGS: i64 = 320;

async fn publish(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/city/mic-{sensor}"), payload(start, sensor, i)).await;
        }
    }
}

async fn tables(bed: &Bed) -> Vec<String> {
    let mut tables = bed
        .texts(
            "SELECT s.name, r.ts, r.seq, r.values, r.flags, r.config, r.confidence, r.onset,
                    encode(float8send(r.score), 'hex') AS score, encode(float8send(r.grade), 'hex') AS grade
             FROM readings r JOIN sensors s ON s.id = r.sensor ORDER BY s.name, r.ts",
        )
        .await;
    tables.extend(bed.texts("SELECT * FROM anomalies ORDER BY sensor, started").await);
    tables.extend(bed.texts("SELECT * FROM configs ORDER BY id").await);
    tables
}

/// Publishes the first part, changes the file under the running engine, and waits until every partition's log has said so.
async fn until_changed(bed: &Bed, engine: &Engine, publisher: &mut Publisher, start: i64) {
    publish(publisher, start, 0..BEFORE).await;
    bed.until_accounted(BEFORE * SENSORS as i64).await;
    let file = bed.config(SMALL);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(SMALL, OTHER)).unwrap();
    engine.signal("HUP");
    bed.until("SELECT count(*) FROM partitions WHERE detectors LIKE '%city/mic-1%'", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_at_its_place_keeps_what_was_learnt_and_survives_crashes() {
    let start = now_seconds() - READINGS;
    let undisturbed = Bed::new().await;
    let engine = undisturbed.engine(SMALL).await;
    let mut publisher = undisturbed.publisher();
    until_changed(&undisturbed, &engine, &mut publisher, start).await;
    publish(&mut publisher, start, BEFORE..READINGS).await;
    undisturbed.until_accounted(READINGS * SENSORS as i64).await;
    assert!(engine.terminate().await.success());
    let expected = tables(&undisturbed).await;

    let boundary = format!(
        "SELECT count(*) FROM (SELECT count(DISTINCT config) AS configs, min(config) FILTER (WHERE seq <= {BEFORE}) AS old,
                max(config) FILTER (WHERE seq <= {BEFORE}) AS still_old FROM readings GROUP BY sensor) s
         WHERE configs = 2 AND old = still_old"
    );
    assert_eq!(
        undisturbed.number(&boundary).await,
        SENSORS as i64,
        "all rows up to the change are the old one's"
    );
    let ungraded = format!("SELECT count(*) FROM readings WHERE seq > {BEFORE} AND grade IS NULL");
    assert_eq!(undisturbed.number(&ungraded).await, 0, "a forest of another size is warm at once");
    let flags = format!("SELECT count(*) FROM readings WHERE seq > {BEFORE} AND (flags & 2) <> 0");
    assert!(undisturbed.number(&flags).await > 0, "the other threshold holds");

    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let engine = bed.engine(SMALL).await;
    until_changed(&bed, &engine, &mut publisher, start).await;
    let publishing = tokio::spawn(async move {
        for i in BEFORE..READINGS {
            publish(&mut publisher, start, i..i + 1).await;
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        }
        publisher
    });
    engine.kill();
    for committed in [30.0, 200.0] {
        let engine = bed.engine(OTHER).await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
    }
    let engine = bed.engine(OTHER).await;
    let _publisher = publishing.await.unwrap();
    bed.until("SELECT sum(scored) FROM ledger", READINGS * SENSORS as i64).await;
    assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    let found = tables(&bed).await;
    let differing = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!(differing, None);
    assert_eq!(found.len(), expected.len());
}

/// A level that has risen and stays.
async fn publish_shift(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        let noise = (i * 7_919 % 101) as f64 / 50.0;
        let level = if i < 200 { 50.0 } else { 80.0 };
        let text = format!("{{\"ts\":{},\"level\":{}}}", start + i, level + noise);
        publisher.publish("sensors/city/gauge", text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_ends_the_learning_guard_at_its_place_in_the_log() {
    let settings = format!("{SMALL}alarms_per_week = 2000.0\naccept_after = \"1y\"\n");
    let start = now_seconds() - READINGS;
    let slowed = "SELECT count(*) FROM readings WHERE seq > 232 AND (flags & 512) <> 0";
    let label = "INSERT INTO labels (sensor, started, label) SELECT sensor, started, 'false' FROM anomalies WHERE ended IS NULL";

    let bed = Bed::new().await;
    let engine = bed.engine(&settings).await;
    let mut publisher = bed.publisher();
    publish_shift(&mut publisher, start, 0..230).await;
    bed.until_accounted(230).await;
    assert_eq!(bed.number("SELECT count(*) FROM anomalies WHERE ended IS NULL").await, 1, "it lasts");
    bed.execute(label).await;
    bed.until("SELECT count(*) FROM heard_labels", 1).await;
    bed.until("SELECT count(*) FROM labels WHERE announced", 1).await;
    publish_shift(&mut publisher, start, 230..READINGS).await;
    bed.until_accounted(READINGS).await;
    assert_eq!(bed.number(slowed).await, 0, "it is learnt as normal from the label on");
    // What a detector has heard, it knows again after a crash: the checkpoint may be older.
    engine.kill();
    let engine = bed.engine(&settings).await;
    publish_shift(&mut publisher, start, READINGS..READINGS + 40).await;
    bed.until_accounted(READINGS + 40).await;
    assert!(engine.metric("thicket_detector_restores_total").await > 0.5);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anomaly_that_lasts_ends_when_its_detector_is_made_anew() {
    let settings = format!("{SMALL}alarms_per_week = 2000.0\naccept_after = \"1y\"\n");
    let start = now_seconds() - READINGS;
    let bed = Bed::new().await;
    let engine = bed.engine(&settings).await;
    let mut publisher = bed.publisher();
    publish_shift(&mut publisher, start, 0..230).await;
    bed.until_accounted(230).await;
    assert_eq!(bed.number("SELECT count(*) FROM anomalies WHERE ended IS NULL").await, 1);
    let file = bed.config(&settings);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("points = 128", "points = 96")).unwrap();
    engine.signal("HUP");
    bed.until("SELECT count(*) FROM partitions WHERE detectors LIKE '%\"points\":96%'", 4).await;
    publish_shift(&mut publisher, start, 230..250).await;
    bed.until_accounted(250).await;
    let last = "SELECT count(*) FROM anomalies a WHERE ended = (SELECT max(ts) FROM readings WHERE seq <= 230 AND (flags & 2) <> 0)";
    assert_eq!(bed.number(last).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_is_refused_by_name_and_the_old_configuration_holds() {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let start = now_seconds() - READINGS;
    publish(&mut publisher, start, 0..20).await;
    bed.until_accounted(20 * SENSORS as i64).await;
    let file = bed.config(SMALL);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}alarms_per_weak = 3\n")).unwrap();
    // Noticed without a signal.
    let started = std::time::Instant::now();
    while !engine.log().contains("alarms_per_weak") {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{}", engine.log());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(engine.log().contains("the old one holds"));
    publish(&mut publisher, start, 20..40).await;
    bed.until_accounted(40 * SENSORS as i64).await;
    assert_eq!(bed.number("SELECT count(DISTINCT config) FROM readings").await, 1);
}
