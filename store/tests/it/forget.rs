//! Forgetting a sensor reads the rows of that sensor, not those of all sensors of its days.

use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::{begin_forgetting, check_deployment, day_of, ensure_days, finish_forgetting};

use crate::support::PostgresServer;

const DAYS: i32 = 60;
const SENSORS: i64 = 200;
const READINGS_A_DAY: i64 = 20;
/// 2026-01-01, in microseconds since 1970.
const START: i64 = 1_767_225_600_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_of_a_sensor_are_deleted_without_a_scan_of_the_days() {
    let server = PostgresServer::start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    let first = day_of(Timestamp(START));
    let days: Vec<i32> = (first..first + DAYS).collect();
    ensure_days(&mut server.connect().await, &days).await.unwrap();
    let sensor = SensorName::new("forgotten").unwrap().id();
    server
        .execute(&format!(
            "CREATE TABLE marker ();
             INSERT INTO partitions (id) VALUES (0) ON CONFLICT DO NOTHING;
             INSERT INTO field_sets VALUES (1, '{{value}}');
             INSERT INTO sensors VALUES ({id}, 'forgotten', 0, '{{value}}', now(), 0, NULL);
             INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, flags, era, config)
             SELECT CASE n WHEN 0 THEN {id} ELSE n END, '2026-01-01Z'::timestamptz + day * interval '1 day' + i * interval '1 hour',
                    day * {READINGS_A_DAY} + i + 1, 1, '{{1}}', 0, 0, 0, 7
             FROM generate_series(0, {DAYS} - 1) day, generate_series(0, {SENSORS} - 1) n,
                  generate_series(0, {READINGS_A_DAY} - 1) i;
             ANALYZE readings;
             SELECT pg_stat_reset()",
            id = sensor.0
        ))
        .await;
    let mut session = server.connect().await;
    let request = begin_forgetting(&mut session, sensor).await.unwrap();
    let deleted = finish_forgetting(&mut session, sensor, request).await.unwrap();
    // A session reports its statistics at its end, all at once: those of the marker are the last.
    session.batch_execute("SELECT FROM marker").await.unwrap();
    drop(session);
    let ended = Instant::now();
    while server.number("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'marker'").await == 0 {
        assert!(ended.elapsed() < Duration::from_mins(1), "the session reports no statistics");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let scans = "SELECT sum(seq_scan)::int8 FROM pg_stat_user_tables WHERE relname LIKE 'readings\\_y%'";
    assert_eq!(server.number(scans).await, 0);

    let of_sensor = i64::from(DAYS) * READINGS_A_DAY;
    assert_eq!(deleted, of_sensor);
    assert_eq!(server.number("SELECT expired FROM partitions").await, of_sensor);
    assert_eq!(server.number("SELECT count(*) FROM readings").await, (SENSORS - 1) * of_sensor);
}
