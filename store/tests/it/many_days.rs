//! A database with a year of day tables: a restore reads few of them, and finds what a search of all
//! of them finds.

use std::time::Duration;

use chrono::Utc;
use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::{
    CheckpointFacts, FieldSets, PostgresPool, day_of, ensure_days, postgres_pool, rows_after,
};

use crate::support::PostgresServer;

const DAYS: i32 = 400;
const DAY: i64 = 86_400_000_000;
/// Day tables that a restore may read beside those since the newest day of its sensor.
const FEW: i64 = 4;

/// Stores a sensor with readings of these ages in days: the number and the era of each reading.
async fn store(server: &PostgresServer, name: &str, readings: &[(i64, i64, i32)]) -> SensorName {
    let (sensor, now) = (SensorName::new(name).unwrap(), Utc::now().timestamp_micros());
    let id = sensor.id().0;
    let last_day = match readings.iter().map(|&(age, ..)| age).min() {
        // Rows of a sensor whose newest day is not known are found, too.
        Some(age) if name != "unknown day" => {
            format!("(to_timestamp({}) AT TIME ZONE 'UTC')::date", (now - age * DAY) as f64 / 1e6)
        }
        _ => "NULL".to_owned(),
    };
    server
        .execute(&format!(
            "INSERT INTO sensors VALUES ({id}, '{name}', 0, '{{value}}', now(), 0, {last_day})"
        ))
        .await;
    for &(age, seq, era) in readings {
        let ts = (now - age * DAY) as f64 / 1e6;
        server
            .execute(&format!(
                "INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, flags, era, config)
                 VALUES ({id}, to_timestamp({ts}), {seq}, 1, '{{1}}', 0, 0, {era}, 7)"
            ))
            .await;
    }
    sensor
}

/// Returns the age in days of a time of the test.
fn age(ts: Option<Timestamp>) -> Option<i64> {
    ts.map(|ts| ((Utc::now().timestamp_micros() - ts.0) as f64 / DAY as f64).round() as i64)
}

/// Loads the facts of a sensor, and counts the day tables that the queries read.
async fn facts_and_tables(server: &PostgresServer, sensor: &SensorName) -> (CheckpointFacts, i64) {
    server.execute("SELECT pg_stat_reset()").await;
    let pool = postgres_pool(&server.url(), 1).unwrap();
    let facts = CheckpointFacts::load(&pool, sensor.id()).await.unwrap();
    // A session reports its statistics at its end, all at once: those of the marker are the last.
    pool.get().await.unwrap().batch_execute("SELECT FROM marker").await.unwrap();
    drop(pool);
    let scans = async |tables: &str| {
        server
            .number(&format!(
                "SELECT count(*) FROM pg_stat_user_tables
                 WHERE relname ~ '{tables}' AND seq_scan + coalesce(idx_scan, 0) > 0"
            ))
            .await
    };
    while scans("^marker$").await == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    (facts, scans("^readings_").await)
}

async fn seqs_after(pool: &PostgresPool, sensor: &SensorName, facts: CheckpointFacts) -> Vec<u64> {
    let newest = facts.time.newest.unwrap();
    let after = Some((facts.time.era, Timestamp(newest.0 - 1)));
    let rows = rows_after(pool, sensor.id(), after, 1_000, &FieldSets::default()).await.unwrap().rows;
    rows.iter().filter_map(|row| row.seq).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_a_sensor_do_not_depend_on_the_age_of_its_rows() {
    let server = PostgresServer::start().await;
    let today = day_of(Timestamp(Utc::now().timestamp_micros()));
    let days: Vec<i32> = (today - DAYS..=today + 1).collect();
    ensure_days(&mut server.connect().await, &days).await.unwrap();
    server.execute("INSERT INTO field_sets VALUES (1, '{value}')").await;
    let pool = postgres_pool(&server.url(), 1).unwrap();
    server.execute("CREATE TABLE marker ()").await;

    for (name, ages) in [
        ("now", [300, 30, 0]),
        ("weeks", [300, 60, 30]),
        ("months", [350, 300, 200]),
        ("unknown day", [350, 300, 200]),
    ] {
        let readings = [(ages[0], 1, 0), (ages[1], 2, 0), (ages[2], 3, 0)];
        let sensor = store(&server, name, &readings).await;
        let (found, tables) = facts_and_tables(&server, &sensor).await;
        let is_few = tables <= ages[2] + FEW || name == "unknown day";
        assert!(tables > 0 && is_few, "{name}: {tables} day tables");
        assert_eq!(found.newest_seq, Some(3), "{name}");
        assert_eq!(age(found.time.newest), Some(ages[2]), "{name}");
        assert_eq!(age(found.time.highest), Some(ages[2]), "{name}");
        assert_eq!(seqs_after(&pool, &sensor, found).await, [3], "{name}");
        let all = rows_after(&pool, sensor.id(), None, 1_000, &FieldSets::default()).await.unwrap().rows;
        assert_eq!(all.len(), 3, "{name}");
    }

    // The clock has gone back by months: the rows of the new era are older than the others.
    let back = store(&server, "back", &[(10, 1, 0), (1, 2, 0), (300, 3, 1), (299, 4, 1)]).await;
    let begins = "now() - interval '300 days' - interval '1 minute'";
    server
        .execute(&format!(
            "INSERT INTO clock_changes VALUES ({}, 1, 2, now() - interval '1 day', {begins})",
            back.id().0
        ))
        .await;
    let (found, tables) = facts_and_tables(&server, &back).await;
    assert!(tables <= 300 + FEW, "two eras: {tables} day tables");
    assert_eq!((found.newest_seq, found.time.era), (Some(4), 1));
    assert_eq!((age(found.time.newest), age(found.time.highest)), (Some(299), Some(1)));
    let first_era = Some((0, Timestamp(Utc::now().timestamp_micros() - 2 * DAY)));
    let rows = rows_after(&pool, back.id(), first_era, 1_000, &FieldSets::default()).await.unwrap().rows;
    assert_eq!(rows.iter().filter_map(|row| row.seq).collect::<Vec<_>>(), [2, 3, 4]);

    let new = SensorName::new("new").unwrap();
    let (found, _) = facts_and_tables(&server, &new).await;
    assert_eq!((found.newest_seq, found.time.highest), (None, None));
}
