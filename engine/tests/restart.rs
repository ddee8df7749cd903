//! Kill it, stop it, let detectors come and go: the same rows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, Publisher, now_seconds, payload};

/// Small enough for a test, large enough to run past several checkpoints, trims and full windows.
const SMALL: &str = "[queue]\npartitions = 4\n[shards]\n[checkpoint]\nevery = 100\n[detector]\ntrees = 4\npoints = 128\nwarm_up = 64\n";

const SENSORS: usize = 6;
const READINGS: i64 = 400;

async fn publish(publisher: &mut Publisher, start: i64, readings: std::ops::Range<i64>) {
    for i in readings {
        for sensor in 0..SENSORS {
            publisher.publish(&format!("sensors/city/mic-{sensor}"), payload(start, sensor, i)).await;
        }
    }
}

/// Everything that is a function of what was published, bit for bit.
async fn tables(bed: &Bed) -> Vec<String> {
    let mut tables = bed
        .texts(
            "SELECT s.name, r.ts, r.seq, fs.names, r.values, r.flags, r.config,
                    encode(float8send(r.score), 'hex') AS score, encode(float8send(r.grade), 'hex') AS grade
             FROM readings r JOIN sensors s ON s.id = r.sensor JOIN field_sets fs ON fs.id = r.field_set
             ORDER BY s.name, r.ts",
        )
        .await;
    tables.extend(bed.texts("SELECT * FROM anomalies ORDER BY sensor, started").await);
    tables.extend(bed.texts("SELECT * FROM sensors ORDER BY id").await);
    tables.extend(bed.texts("SELECT topic, reason, payload FROM dead_letters ORDER BY topic, reason").await);
    tables
}

async fn undisturbed(start: i64) -> Vec<String> {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    publish(&mut publisher, start, 0..READINGS).await;
    bed.until_accounted(READINGS * SENSORS as i64).await;
    assert!(engine.terminate().await.success());
    tables(&bed).await
}

fn scored() -> i64 {
    READINGS * SENSORS as i64
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_again_and_again_ends_with_the_rows_of_an_undisturbed_one() {
    let start = now_seconds() - READINGS;
    let expected = undisturbed(start).await;

    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let engine = bed.engine(SMALL).await;
    engine.terminate().await;
    let publishing = tokio::spawn(async move {
        for i in 0..READINGS {
            publish(&mut publisher, start, i..i + 1).await;
            tokio::time::sleep(std::time::Duration::from_millis(15)).await;
        }
        publisher
    });
    for committed in [50.0, 150.0, 250.0] {
        let engine = bed.engine(SMALL).await;
        engine.until_metric("thicket_readings_stored_total", committed).await;
        engine.kill();
    }
    let engine = bed.engine(SMALL).await;
    let _publisher = publishing.await.unwrap();
    bed.until("SELECT sum(scored) FROM ledger", scored()).await;
    assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
    assert!(engine.metric("thicket_detector_restores_total").await > 0.0);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
    assert!(engine.metric("thicket_commit_conflicts_total").await < 0.5);
    let found = tables(&bed).await;
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "the rows differ from the undisturbed run's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_engine_saves_every_detector_and_the_next_goes_on_from_there() {
    let start = now_seconds() - READINGS;
    let expected = undisturbed(start).await;

    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 0..150).await;
    bed.until_accounted(150 * SENSORS as i64).await;
    assert_eq!(engine.terminate().await.code(), Some(0));

    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 150..READINGS).await;
    bed.until_accounted(scored()).await;
    assert!((engine.metric("thicket_detector_restores_total").await - SENSORS as f64).abs() < 0.5);
    assert_eq!(tables(&bed).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn detectors_that_retire_and_come_back_score_as_if_they_had_stayed() {
    let start = now_seconds() - READINGS;
    let expected = undisturbed(start).await;

    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let settings = SMALL.replace("[shards]", "[shards]\nevict_after = \"1s\"\nmax_resident = 4");
    let engine = bed.engine(&settings).await;
    publish(&mut publisher, start, 0..130).await;
    bed.until_accounted(130 * SENSORS as i64).await;
    engine.until_metric("thicket_detector_evictions_total", SENSORS as f64).await;
    assert!(engine.metric("thicket_detectors").await < 0.5, "all are gone from memory");
    publish(&mut publisher, start, 130..READINGS).await;
    bed.until_accounted(scored()).await;
    assert_eq!(tables(&bed).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_whose_checkpoint_is_damaged_is_rebuilt_from_its_rows_up_to_the_newest_timestamp() {
    use fred::interfaces::HashesInterface as _;
    let start = now_seconds() - READINGS;
    let expected = undisturbed(start).await;

    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 0..150).await;
    bed.until_accounted(150 * SENSORS as i64).await;
    engine.terminate().await;
    let redis = thicket_actors::queue::try_connect_redis(&bed.servers.redis.url()).await.unwrap();
    for sensor in 0..SENSORS {
        let name = thicket_schema::SensorName::new(&format!("city/mic-{sensor}")).unwrap();
        let key = thicket_schema::Keys::default().checkpoint(name.partition(4), &name);
        let () = redis.hset(key, ("state", "no checkpoint at all")).await.unwrap();
    }
    let engine = bed.engine(SMALL).await;
    publish(&mut publisher, start, 150..READINGS).await;
    bed.until_accounted(scored()).await;
    assert!(engine.log().contains("the checkpoint cannot be read"), "{}", engine.log());
    assert_eq!(tables(&bed).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_changes_no_row() {
    let start = now_seconds() - READINGS;
    let expected = undisturbed(start).await;
    let bed = Bed::new().await;
    let mut publisher = bed.publisher();
    for (shards, readings) in [(1, 0..120), (4, 120..260), (2, 260..READINGS)] {
        let engine = bed.engine(&SMALL.replace("[shards]", &format!("[shards]\ncount = {shards}"))).await;
        let end = readings.end;
        publish(&mut publisher, start, readings).await;
        bed.until_accounted(end * SENSORS as i64).await;
        engine.terminate().await;
    }
    assert_eq!(tables(&bed).await, expected);
}
