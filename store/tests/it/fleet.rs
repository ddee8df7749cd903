//! How much the present fleet sends, on a real PostgreSQL.

use chrono::Utc;
use thicket_schema::Timestamp;
use thicket_store::postgres::{day_of, ensure_days, present_fleet};

use crate::support::PostgresServer;

/// Stores a sensor that was first seen at a time, with a reading at each of the times of a query,
/// and returns its readings in a second.
async fn per_second(server: &PostgresServer, first_seen: &str, times: &str) -> f64 {
    server
        .execute(&format!(
            "TRUNCATE sensors, readings;
             INSERT INTO sensors (id, name, partition, fields, first_seen, last_day)
             VALUES (1, 'a', 0, '{{x}}', {first_seen}, (now() AT TIME ZONE 'UTC')::date);
             INSERT INTO readings (sensor, ts, seq, field_set, \"values\", flags)
             SELECT 1, ts, 7 + row_number() OVER (ORDER BY ts), 1, '{{1}}', 0 FROM ({times}) AS times (ts)"
        ))
        .await;
    present_fleet(&mut server.connect().await).await.unwrap().per_second
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_counts_readings_from_the_first_seen_of_two_days_until_now() {
    let server = PostgresServer::start().await;
    let today = day_of(Timestamp(Utc::now().timestamp_micros()));
    let days: Vec<i32> = (today - 2..=today + 1).collect();
    ensure_days(&mut server.connect().await, &days).await.unwrap();
    server.execute("INSERT INTO field_sets VALUES (1, '{x}')").await;

    let (month, hour) = ("now() - interval '30 days'", "now() - interval '1 hour'");
    // Yesterday and today are one to two days.
    let at_once = "SELECT now() - n * interval '1 microsecond' FROM generate_series(1, 60) n";
    let burst = per_second(&server, month, at_once).await;
    assert!((60.0 / 172_800.0..=60.0 / 86_400.0).contains(&burst), "{burst}");
    // The time since the first reading is that of a new sensor.
    let each_second = "SELECT now() - n * interval '1 second' FROM generate_series(1, 3600) n";
    let young = per_second(&server, hour, each_second).await;
    assert!((0.9..=1.01).contains(&young), "{young}");
    let first = per_second(&server, "now()", at_once).await;
    assert!(first <= 0.1, "{first}");
    // A clock that is ahead changes the times alone.
    let ahead = "SELECT now() + n * interval '1 second' FROM generate_series(1, 3600) n";
    let ahead = per_second(&server, hour, ahead).await;
    assert!((0.9..=1.01).contains(&ahead), "{ahead}");
    let late = "SELECT NULL::timestamptz WHERE false";
    assert!((per_second(&server, month, late).await - 1.0 / 86_400.0).abs() < 1e-9);
}
