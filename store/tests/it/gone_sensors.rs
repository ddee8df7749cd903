//! Which sensors are gone, on a real PostgreSQL.

use thicket_schema::SensorName;
use thicket_store::postgres::gone_sensors;

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
