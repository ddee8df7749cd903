//! Payloads as devices write them: nested, with words, with missing values, and with times of their
//! own.

use chrono::{DateTime, TimeDelta, Utc};
use thicket_schema::Flag;
use thicket_testkit::{Config, TestEnv};
use toml::Value;

use crate::support::start;

fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|text| Value::from(*text)).collect())
}

fn config() -> Config {
    TestEnv::config()
        .small_detector()
        .set("mqtt.timestamp_keys", texts(&["Time", "last_seen", "received_at"]))
        // Its clocks never change.
        .set("mqtt.time_zone", "Asia/Tokyo")
        .set("mqtt.exclude", texts(&["update", "Wifi.*", "uplink_message.rx"]))
        .set("mqtt.words.running", 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_members_words_and_local_times_become_rows() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let now = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap();
    let local = (now + TimeDelta::hours(9)).format("%Y-%m-%dT%H:%M:%S");
    let plug = format!(
        r#"{{"Time":"{local}","SI7021":{{"Temperature":21.5,"Humidity":nan}},"ENERGY":{{"Power":[230,12]}},"Wifi":{{"RSSI":76}},"TempUnit":"C"}}"#
    );
    publisher.publish("sensors/plug", plug).await;
    let window = r#"{"last_seen":null,"contact":true,"state":"OFF","mode":"Running","update":{"version":7},"x":"unavailable"}"#;
    publisher.publish("sensors/window", window).await;
    let field = format!(
        r#"{{"received_at":"{}","id":"0200000000000007","uplink_message":{{"decoded_payload":{{"Hum":"41.2"}},"rx":{{"rssi":-97}}}}}}"#,
        now.format("%Y-%m-%d %H:%M:%S,25 +0000")
    );
    publisher.publish("sensors/field", field).await;
    env.until_accounted(3).await;

    let values = env.texts("SELECT sensor, field, value FROM reading_values ORDER BY sensor, field").await;
    assert_eq!(
        values,
        [
            "(field,uplink_message.decoded_payload.Hum,41.2)",
            "(plug,ENERGY.Power.0,230)",
            "(plug,ENERGY.Power.1,12)",
            "(plug,SI7021.Temperature,21.5)",
            "(window,contact,1)",
            "(window,mode,1)",
            "(window,state,0)",
        ]
    );
    let own_times = format!(
        "SELECT count(*) FROM scores WHERE (sensor = 'plug' AND ts = to_timestamp({0})) \
         OR (sensor = 'field' AND ts = to_timestamp({0}.25))",
        now.timestamp()
    );
    assert_eq!(env.number(&own_times).await, 2);
    let stamped = format!(
        "SELECT s.name FROM readings r JOIN sensors s ON s.id = r.sensor WHERE r.flags & {} <> 0",
        Flag::Stamped.bit()
    );
    assert_eq!(env.texts(&stamped).await, ["(window)"], "a time of null is the time of arrival");
    assert_eq!(env.number("SELECT count(*) FROM dead_letters").await, 0);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_field_says_why_and_the_clock_that_is_not_set_costs_nothing() {
    let env = start(config().set("mqtt.root", "data").set("mqtt.on_bad_time", "arrival")).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", r#"{"data":{"status":"ok","note":null}}"#).await;
    publisher.publish("sensors/a", r#"{"Time":"1970-01-01T00:03:15","data":{"t":1}}"#).await;
    publisher.publish("sensors/a", r#"{"Time":"half past nine","data":{"t":2}}"#).await;
    env.until_accounted(3).await;

    assert_eq!(env.texts("SELECT value FROM reading_values ORDER BY ts").await, ["(1)", "(2)"]);
    let letters =
        env.texts("SELECT reason FROM dead_letters WHERE detail LIKE '%data.status is the text%'").await;
    assert_eq!(letters, ["(no_numeric_field)"]);
    assert!(engine.terminate().await.success());
}
