//! Which sensors are gone, on a real PostgreSQL.

use std::time::Duration;

use chrono::Utc;
use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::{day_of, ensure_days, gone_sensors, request_forgetting};

use crate::support::PostgresServer;

#[tokio::test(flavor = "multi_thread")]
async fn sensors_are_gone_that_were_forgotten_or_silent_for_long() {
    let server = PostgresServer::start().await;
    for (name, last_day) in [
        ("fresh", "(now() AT TIME ZONE 'UTC')::date"),
        ("silent", "(now() AT TIME ZONE 'UTC')::date - 31"),
        ("unknown day", "NULL"),
    ] {
        let id = SensorName::new(name).unwrap().id().0;
        let insert = format!(
            "INSERT INTO sensors (id, name, partition, fields, first_seen, last_day)
             VALUES ({id}, '{name}', 0, '{{x}}', now(), {last_day})"
        );
        server.execute(&insert).await;
    }
    let mut connection = server.connect().await;
    let names = ["fresh", "silent", "forgotten", "unknown day"];
    let mut gone = gone_sensors(&mut connection, &names, Some(30)).await.unwrap();
    gone.sort();
    assert_eq!(gone, ["forgotten", "silent"]);
    assert_eq!(gone_sensors(&mut connection, &names, None).await.unwrap(), ["forgotten"]);
    assert_eq!(gone_sensors(&mut connection, &[], None).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_before_all_day_tables_are_to_be_forgotten_without_a_look_at_the_readings() {
    let server = PostgresServer::start().await;
    let today = day_of(Timestamp(Utc::now().timestamp_micros()));
    let mut connection = server.connect().await;
    ensure_days(&mut connection, &[today - 20, today - 5, today]).await.unwrap();
    server
        .execute(
            "INSERT INTO sensors (id, name, partition, fields, first_seen, last_day)
             SELECT age, age::text, 0, '{x}', now(), (now() AT TIME ZONE 'UTC')::date - age
             FROM unnest('{0, 5, 10, 20, 21, 30}'::int[]) age;
             INSERT INTO sensor_requests (sensor, action, last_day)
             SELECT id, 'forget', last_day FROM sensors WHERE id IN (20, 30);
             UPDATE sensors SET last_day = last_day + 1 WHERE id = 30",
        )
        .await;
    // A query that reads the tables of days would wait for the lock.
    let mut other = server.connect().await;
    other.batch_execute("BEGIN; LOCK TABLE readings IN ACCESS EXCLUSIVE MODE").await.unwrap();
    connection.batch_execute("SET lock_timeout = '2s'").await.unwrap();
    let mut asked = async || request_forgetting(&mut connection, Duration::from_hours(24)).await.unwrap();
    assert_eq!(asked().await, 2);
    assert_eq!(asked().await, 0);
    let requests = "SELECT sensor::text FROM sensor_requests WHERE action = 'forget' ORDER BY sensor";
    assert_eq!(server.texts(requests).await, ["21", "30"]);
}
