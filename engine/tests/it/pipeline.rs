//! From an MQTT message to a scored row, and what becomes of messages that hold no reading.

use thicket_schema::{Flag, PartitionId};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv};

use crate::support::{json, start};

fn config() -> Config {
    TestEnv::config().small_detector()
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_every_form_become_scored_rows() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let now = now_seconds();
    publisher
        .publish("sensors/site-1/a", format!("{{\"ts\":{now},\"x\":0.1,\"y\":-2.5e-7,\"unit\":\"dB\"}}"))
        .await;
    publisher
        .publish(
            "sensors/site-1/a",
            format!("[{{\"ts\":{},\"x\":0.2,\"y\":3}},{{\"ts\":{},\"x\":0.3,\"y\":4}}]", now + 1, now + 2),
        )
        .await;
    publisher.publish("sensors/b", "21.5").await;
    publisher.publish("sensors/b", "22").await;
    env.until_accounted(5).await;

    let values =
        env.texts("SELECT sensor, field, value FROM reading_values ORDER BY sensor, ts, field").await;
    assert_eq!(
        values,
        [
            "(b,value,21.5)",
            "(b,value,22)",
            "(site-1/a,x,0.1)",
            "(site-1/a,y,-2.5e-07)",
            "(site-1/a,x,0.2)",
            "(site-1/a,y,3)",
            "(site-1/a,x,0.3)",
            "(site-1/a,y,4)"
        ]
    );
    let seqs = env
        .texts("SELECT sensor, seq, score IS NOT NULL AS scored, warming_up FROM scores ORDER BY sensor, seq")
        .await;
    assert_eq!(seqs, ["(b,1,t,t)", "(b,2,t,t)", "(site-1/a,1,t,t)", "(site-1/a,2,t,t)", "(site-1/a,3,t,t)"]);
    let stamped = format!("SELECT count(*) FROM readings WHERE flags & {} <> 0", Flag::Stamped.bit());
    assert_eq!(env.number(&stamped).await, 2, "readings without a time got the time of their arrival");
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_processed_is_a_dead_letter_and_the_next_one_is_unharmed() {
    let env = start(config().for_sensors("strict", [("fields", vec!["level"])])).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let now = now_seconds();
    publisher.publish("sensors/a", "{\"level\": 1").await;
    publisher.publish("sensors/a", "{\"level\": NaN}").await;
    publisher.publish("sensors/a", "{\"unit\": \"dB\"}").await;
    publisher.publish("sensors/a", "{\"level\": 1e999}").await;
    publisher.publish("sensors/a", "{\"ts\":\"2099-01-01T00:00:00Z\",\"level\":1}").await;
    publisher.publish("sensors/a", vec![b'7'; 10 << 20]).await;
    publisher.publish("sensors/a//b", "1").await;
    publisher.publish("sensors/strict", format!("{{\"ts\":{now},\"pitch\":1}}")).await;
    publisher.publish("sensors/a", format!("{{\"ts\":{now},\"level\":7}}")).await;
    env.until_accounted(9).await;

    let summary = "SELECT reason, dead_letters FROM dead_letter_summary ORDER BY reason";
    assert_eq!(
        env.texts(summary).await,
        [
            "(bad_sensor_name,1)",
            "(malformed_json,2)",
            "(no_numeric_field,1)",
            "(not_finite,1)",
            "(payload_too_large,1)",
            "(timestamp_in_future,1)"
        ]
    );
    let large = env
        .texts("SELECT payload_bytes, length(payload) FROM dead_letters WHERE reason = 'payload_too_large'")
        .await;
    assert_eq!(large, [format!("({},4096)", 10 << 20)]);
    assert_eq!(env.texts("SELECT value FROM reading_values ORDER BY sensor").await, ["(7)", "(1)"]);
    engine.until_metric("thicket_dead_letters_total", 7.0).await;
    assert!(engine.metric("thicket_dead_letters_total").await < 7.5);
    let unscored = format!("SELECT seq, score IS NULL FROM readings WHERE flags = {}", Flag::Unscored.bit());
    assert_eq!(env.texts(&unscored).await, ["(1,t)"], "a reading without a listed field is a row");
    assert_eq!(env.number("SELECT sum(unscored) FROM ledger").await, 1);
    assert!(
        (engine.metric("thicket_mqtt_connects_total").await - 1.0).abs() < 0.5,
        "no message cost the connection"
    );

    let list = env.thicket(&["deadletter", "list", "--reason", "timestamp_in_future", "--json"]);
    assert_eq!(json(&list)[0]["topic"], "sensors/a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_entry_is_a_dead_letter() {
    let env = start(config()).await;
    env.redis().await.append_entry(PartitionId(1), "5-1", b"from another age").await.unwrap();
    let _engine = env.engine().await;
    env.until("SELECT count(*) FROM dead_letters WHERE reason = 'bad_entry' AND partition = 1", 1).await;
    let publisher = env.publisher();
    for sensor in 0..8 {
        publisher.publish(&format!("sensors/{sensor}"), "1").await;
    }
    env.until_accounted(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_duplicate_and_contradicting_readings_never_touch_a_forest() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let now = now_seconds() - 100;
    let reading = |seconds: i64, level: f64| format!("{{\"ts\":{}.5,\"level\":{level}}}", now + seconds);
    for (seconds, level) in [(0, 1.0), (10, 2.0), (5, 3.0), (10, 2.0), (5, 3.0), (10, 9.0), (11, 4.0)] {
        publisher.publish("sensors/a", reading(seconds, level)).await;
    }
    env.until_accounted(7).await;
    let ledger =
        env.texts("SELECT sum(scored), sum(late), sum(duplicates), sum(dead_letters) FROM ledger").await;
    assert_eq!(ledger, ["(3,1,2,1)"]);
    let late = Flag::Late.bit();
    let rows = format!("SELECT seq, score IS NULL, \"values\"[1], flags & {late} FROM readings ORDER BY ts");
    assert_eq!(env.texts(&rows).await, ["(1,f,1,0)", "(,t,3,4)", "(2,f,2,0)", "(3,f,4,0)"]);
    let payload = "convert_from(payload, 'UTF8')::json";
    let seconds = format!("extract(epoch FROM ({payload}->>'ts')::timestamptz) - {now}.5");
    let conflict =
        env.texts(&format!("SELECT reason, {payload}->>'level', {seconds} FROM dead_letters")).await;
    assert_eq!(conflict, ["(timestamp_conflict,9.0,10.000000)"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn consecutive_flagged_readings_are_one_event_that_ends() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let samples = Samples::new("mic-", 1, now_seconds() - 1_000);
    samples.publish(&publisher, 0..700).await;
    env.until_accounted(700).await;
    let events = env
        .texts(
            "SELECT extract(epoch FROM started)::int8, ended IS NOT NULL, main_field
             FROM anomaly_events ORDER BY started",
        )
        .await;
    let spike = |i: i64| format!("({},t,level)", samples.start() + i);
    assert!(events.contains(&spike(310)) && events.contains(&spike(621)), "{events:?}");
    assert!(events.len() <= 4, "{events:?}");
    let flagged = env.number("SELECT count(*) FROM scores WHERE anomaly").await;
    assert_eq!(
        env.number("SELECT sum(readings) FROM anomaly_events").await,
        flagged,
        "every flagged reading is in an event"
    );
}
