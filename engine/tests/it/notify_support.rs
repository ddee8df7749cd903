//! Shared by the tests of notifications: routes, anomalies with their notifications, and what
//! receivers were told.

use std::collections::BTreeMap;

use thicket_schema::SensorName;
use thicket_testkit::receivers::{Posted, Said};
use thicket_testkit::{Config, TestEnv, receivers};
use toml::{Table, Value};

/// The number of notifications that are not settled.
pub(crate) const PENDING: &str = "SELECT (SELECT count(*) FROM notifications WHERE NOT is_routed)
    + (SELECT count(*) FROM notification_deliveries WHERE state IN ('held', 'waiting', 'sending'))";

/// A route without waits.
pub(crate) fn route(name: &str, url: &str) -> Table {
    let keys: [(&str, Value); 6] = [
        ("name", name.into()),
        ("url", url.into()),
        ("group_wait", "0s".into()),
        ("group_interval", "0s".into()),
        ("max_per_minute", 1_000.into()),
        ("group_levels", 0.into()),
    ];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn with(mut route: Table, keys: &[(&str, Value)]) -> Table {
    route.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    route
}

pub(crate) fn config(routes: Vec<Table>) -> Config {
    let routes: Vec<Value> = routes.into_iter().map(Value::Table).collect();
    TestEnv::config().small_detector().set("notify.routes", routes)
}

/// Stores an anomaly and its notification, as the commit does.
pub(crate) async fn open_anomaly(env: &TestEnv, sensor: &str, started: i64, grade: f64) {
    let id = SensorName::new(sensor).unwrap().id();
    env.execute(&format!(
        "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES ({id}, '{sensor}', 1, '{{a}}', now()) ON CONFLICT DO NOTHING;
         INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
         VALUES ({id}, to_timestamp({started}), to_timestamp({started}), 9, {grade}, 3, '{{a}}', '{{1}}', '{{71}}', '{{44}}', '{{40}}', '{{48}}', '{{false}}');
         INSERT INTO notifications (sensor, started, kind) VALUES ({id}, to_timestamp({started}), 'opened')"
    ))
    .await;
}

/// Ends an anomaly.
pub(crate) async fn end_anomaly(env: &TestEnv, sensor: &str, started: i64) {
    let id = SensorName::new(sensor).unwrap().id();
    env.execute(&format!(
        "UPDATE anomalies SET ended = to_timestamp({started} + 60) WHERE sensor = {id} AND started = to_timestamp({started});
         INSERT INTO notifications (sensor, started, kind) VALUES ({id}, to_timestamp({started}), 'ended')"
    ))
    .await;
}

/// Checks that everything in the outbox was said, in the order of each sensor, that only equal
/// messages have equal keys, and that a repeat has the key of the first message.
pub(crate) async fn assert_all_said(env: &TestEnv, posted: &[Posted]) {
    let mut of_keys: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut keys: BTreeMap<Said, &str> = BTreeMap::new();
    let mut of_sensors: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for post in posted {
        let said = post.said();
        assert_eq!(of_keys.entry(&post.key).or_insert_with(|| said.clone()), &said, "{}", post.key);
        for part in said.iter().filter(|(_, _, kind)| kind != "reminder") {
            let first = *keys.entry(part.clone()).or_insert(&post.key);
            assert_eq!(first, post.key, "{part:?} is repeated with another key");
        }
        for (sensor, started, kind) in said {
            let told = of_sensors.entry(sensor).or_default();
            if !told.contains(&(started.clone(), kind.clone())) {
                told.push((started, kind));
            }
        }
    }
    let mut count = 0;
    for (sensor, told) in &of_sensors {
        let mut sorted = told.clone();
        sorted.sort_by_key(|(started, kind)| (started.clone(), kind == "ended"));
        assert_eq!(told, &sorted, "{sensor}");
        count += told.len();
    }
    assert_eq!(env.number("SELECT count(*) FROM notifications").await, count as i64);
}

/// Returns the retained messages of a filter.
pub(crate) async fn retained(env: &TestEnv, filter: &str) -> BTreeMap<String, serde_json::Value> {
    let found = receivers::retained(env.servers.mosquitto.port(), filter).await.unwrap();
    found.into_iter().map(|(topic, payload)| (topic, serde_json::from_slice(&payload).unwrap())).collect()
}
