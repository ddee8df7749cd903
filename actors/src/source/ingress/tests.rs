use std::time::Duration;

use prometheus::core::Collector as _;
use thicket_codecs::{Format, PayloadLimits, PayloadRules, TopicTemplate, TopicTemplates};
use thicket_schema::{Item, Keys};
use thicket_store::redis::NodeName;
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::admission::AdmissionLimits;
use super::super::conflict::{End, IdConflict};
use super::super::decode::{MessageDecoder, SubscriptionOptions};
use super::*;
use crate::mqtt::{FailureKind, Message, Version, connect};
use crate::testing::{disconnected_postgres, disconnected_redis, metrics, mqtt_options, record};

mod published;
mod reconnect;

/// A generous end of each wait.
const END: Duration = Duration::from_mins(2);

type NewIngress = (MqttIngress, MessageDecoder, UnboundedReceiver<Append>);

/// An ingress without a broker, and the appends that it sends.
fn new_ingress(max_in_flight: u32) -> NewIngress {
    reordering_ingress(max_in_flight, Duration::ZERO)
}

fn reordering_ingress(max_in_flight: u32, reorder: Duration) -> NewIngress {
    let options = mqtt_options(max_in_flight);
    let (append, appended) = record(|_| ());
    let decode = decode_options();
    let decoder = MessageDecoder::new(decode.clone());
    let broker = Broker { redelivery: Redelivery::default(), options, decode, reorder };
    (MqttIngress::new(vec![broker], peers(append), &metrics()), decoder, appended)
}

fn decode_options() -> DecodeOptions {
    let subscription = SubscriptionOptions {
        topics: vec!["sensors/#".to_owned()],
        sensor: None,
        ignore: Vec::new(),
        templates: TopicTemplates(vec![TopicTemplate::parse("sensors/{sensor...}").unwrap()]),
        format: Format::Auto,
        limits: PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 },
        timestamp_keys: vec!["ts".to_owned()],
        rules: PayloadRules::default(),
        max_future: Duration::from_hours(1),
        max_age: Duration::from_hours(1),
        max_lead: Duration::from_secs(2),
    };
    DecodeOptions { partitions: 8, subscriptions: vec![subscription] }
}

/// Returns the peers of an ingress that has no stores.
fn peers(append: Recipient<Append>) -> IngressPeers {
    let (controls, _) = record(|_| true);
    let (fence, _) = record(|_| true);
    let keys = Keys::default();
    let node = NodeName::of_this_process("node");
    IngressPeers {
        writer: LogWriter { append, controls, fence },
        leases: Leases::new(disconnected_redis(), node, Duration::from_secs(3)),
        renewal: Renewal::default(),
        keys: SubscriptionKeys::new(&keys),
        redis: (disconnected_redis(), keys),
        pool: disconnected_postgres(),
        limits: IntakeLimits {
            admission: AdmissionLimits {
                max_sensors: 100,
                new_per_second: 100,
                new_at_once: 100,
                max_field_sets: 3,
                max_fields: 100,
                max_name_bytes: 1 << 20,
                new_days_per_hour: 2,
                new_days_at_once: 10,
            },
            dead_letters_per_second: 100,
        },
        detectors: "{}".into(),
        deployment: "test".to_owned(),
    }
}

fn message(topic: &str, payload: &str) -> Message {
    Message {
        topic: topic.to_owned(),
        payload: payload.to_owned().into(),
        packet: Some(7),
        ..Message::default()
    }
}

/// Receives a message on a connection that never connects.
async fn receive(ingress: &MqttIngress, decoder: &MessageDecoder, message: Message) {
    let session = &ingress.sessions[0];
    let (client, _) = connect(&session.options, Version::V5).unwrap();
    session.on_message(message, &client, decoder).await;
}

#[actix_rt::test]
async fn a_message_goes_to_the_writer_with_the_partition_of_each_record() {
    let (ingress, decoder, mut appended) = new_ingress(4);
    receive(&ingress, &decoder, message("sensors/a", "21.5")).await;
    let append = appended.recv().await.unwrap();
    let [(partition, record)] = &append.records[..] else { panic!("{append:?}") };
    let Item::Reading(reading) = &record.item else { panic!("{record:?}") };
    assert_eq!((*partition, reading.values[0]), (reading.sensor.partition(8), 21.5));
    assert!(append.delivery.is_some(), "the writer acknowledges it");
}

#[actix_rt::test]
async fn a_message_that_cannot_be_decoded_goes_to_the_writer_as_a_dead_letter() {
    let (ingress, decoder, mut appended) = new_ingress(4);
    receive(&ingress, &decoder, message("sensors/a", "{")).await;
    let append = appended.recv().await.unwrap();
    assert!(matches!(append.records[0].1.item, Item::DeadLetter(_)));
}

#[actix_rt::test]
async fn a_retained_message_is_counted_and_dropped() {
    let (ingress, decoder, mut appended) = new_ingress(4);
    let retained = Message { retained: true, ..message("sensors/a", "21.5") };
    receive(&ingress, &decoder, retained).await;
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
    assert_eq!(ingress.sessions[0].metrics.mqtt_messages.with_label_values(&["retained"]).get(), 1);
}

#[actix_rt::test]
async fn an_empty_message_is_counted_and_dropped() {
    let (ingress, decoder, mut appended) = new_ingress(4);
    receive(&ingress, &decoder, message("sensors/a", "")).await;
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
    assert_eq!(ingress.sessions[0].metrics.mqtt_messages.with_label_values(&["empty"]).get(), 1);
}

#[actix_rt::test]
async fn the_drop_counter_of_the_broker_sets_a_metric_and_is_no_reading() {
    let (ingress, decoder, mut appended) = new_ingress(4);
    let dropped = message("$SYS/broker/publish/messages/dropped", "12");
    receive(&ingress, &decoder, dropped).await;
    assert_eq!(ingress.sessions[0].metrics.broker_dropped.with_label_values(&["test"]).get(), 12);
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
}

#[actix_rt::test]
async fn a_node_without_the_lease_reports_no_conflict_and_no_drops() {
    let (ingress, ..) = new_ingress(4);
    let session = &ingress.sessions[0];
    let in_conflict = session.metrics.mqtt_client_id_conflict.with_label_values(&["test", "test"]);
    let mut conflict = IdConflict::default();
    let lasted = Some(Duration::from_hours(1));
    let taken_over = End { lasted, subscribed: true, failure: Some(FailureKind::TakenOver) };
    conflict.on_end(taken_over);
    assert!(conflict.begins(true));
    in_conflict.set(1);
    session.metrics.set_broker_dropped("test", 12);
    session.on_waiting_for_lease(&mut conflict);
    assert!(in_conflict.get() == 0 && !conflict.is_lasting());
    let samples = session.metrics.broker_dropped.collect();
    assert!(
        samples.iter().all(|family| family.get_metric().is_empty()),
        "the holder reports them: {samples:?}"
    );
}

#[actix_rt::test]
async fn no_more_messages_are_sent_than_there_are_credits() {
    let (ingress, decoder, mut appended) = new_ingress(1);
    receive(&ingress, &decoder, message("sensors/a", "1")).await;
    let first = appended.recv().await.unwrap();
    let session = Rc::clone(&ingress.sessions[0]);
    let second = actix_rt::spawn(async move {
        let (client, _) = connect(&session.options, Version::V5).unwrap();
        session.on_message(message("sensors/a", "2"), &client, &decoder).await;
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished(), "the second message waits");
    drop(first);
    second.await.unwrap();
    assert!(appended.recv().await.is_some());
}

/// Otherwise the held message would keep the only credit, for which the next message waits.
#[actix_rt::test]
async fn a_message_that_has_the_only_credit_is_not_held_back() {
    let (ingress, decoder, mut appended) = reordering_ingress(1, Duration::from_hours(1));
    for value in [1.0, 2.0] {
        let payload = value.to_string();
        tokio::time::timeout(END, receive(&ingress, &decoder, message("sensors/a", &payload))).await.unwrap();
        let append = tokio::time::timeout(END, appended.recv()).await.unwrap().unwrap();
        let Item::Reading(reading) = &append.records[0].1.item else { panic!("{append:?}") };
        assert_eq!(reading.values, [value]);
    }
}

#[actix_rt::test]
async fn readings_are_held_back_and_sent_in_the_order_of_their_times() {
    let (ingress, decoder, mut appended) = reordering_ingress(8, Duration::from_millis(50));
    let now = chrono::Utc::now().timestamp_millis();
    for age in [1, 3, 2] {
        let payload = format!("{{\"ts\":{},\"v\":{age}}}", now - age * 1_000);
        receive(&ingress, &decoder, message("sensors/a", &payload)).await;
    }
    assert!(appended.try_recv().is_err(), "they wait");
    assert_eq!(ingress.sessions[0].metrics.reorder_held.with_label_values(&["test"]).get(), 3);
    tokio::time::sleep(Duration::from_millis(60)).await;
    ingress.sessions[0].release_due();
    for expected in [3.0, 2.0, 1.0] {
        let append = appended.recv().await.unwrap();
        let Item::Reading(reading) = &append.records[0].1.item else { panic!("{append:?}") };
        assert!((reading.values[0] - expected).abs() < f64::EPSILON);
        assert!(append.ends_message && append.delivery.is_some());
    }
    assert_eq!(ingress.sessions[0].metrics.reorder_held.with_label_values(&["test"]).get(), 0);
}

#[actix_rt::test]
async fn held_readings_leave_room_for_messages_on_their_way_to_the_log() {
    let (ingress, decoder, mut appended) = reordering_ingress(4, Duration::from_hours(1));
    for value in ["1", "2", "3", "4"] {
        receive(&ingress, &decoder, message("sensors/a", value)).await;
    }
    assert_eq!(ingress.sessions[0].metrics.reorder_early.get(), 2);
    for _ in 0..2 {
        assert!(appended.recv().await.is_some());
    }
    ingress.sessions[0].release_all();
    for _ in 0..2 {
        assert!(appended.recv().await.is_some());
    }
}
