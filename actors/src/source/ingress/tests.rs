use std::time::Duration;

use rumqttc::{Publish, QoS};
use thicket_codecs::{Format, PayloadLimits, PayloadRules, TopicTemplate, TopicTemplates};
use thicket_connect::TlsSettings;
use thicket_schema::{Item, Keys};
use thicket_store::redis::NodeName;
use tokio::sync::mpsc::UnboundedReceiver;

use super::super::address::BrokerAddress;
use super::super::decode::{MessageDecoder, SubscriptionOptions};
use super::*;
use crate::testing::{disconnected_postgres, disconnected_redis, metrics, record};

/// An ingress without a broker, and the appends that it sends.
fn new_ingress(max_in_flight: u32) -> (MqttIngress, MessageDecoder, UnboundedReceiver<Append>) {
    let options = MqttOptions {
        name: "test".to_owned(),
        address: BrokerAddress::new("mqtt://127.0.0.1:1", TlsSettings::default()).unwrap(),
        client_id: "test".to_owned(),
        credentials: None,
        keep_alive: Duration::from_secs(30),
        max_in_flight,
    };
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
    };
    let decode = DecodeOptions { partitions: 8, subscriptions: vec![subscription] };
    let client = MqttClient::new(&options).unwrap();
    let (append, appended) = record(|_| ());
    let (controls, _) = record(|_| true);
    let (fence, _) = record(|_| true);
    let keys = Keys::default();
    let node = NodeName::of_this_process("node");
    let peers = IngressPeers {
        writer: LogWriter { append, controls, fence },
        leases: Leases::new(disconnected_redis(), node, Duration::from_secs(3)),
        keys: SubscriptionKeys::new(&keys),
        pool: disconnected_postgres(),
        detectors: "{}".into(),
    };
    let decoder = MessageDecoder::new(decode.clone());
    let broker = Broker { client, options, decode };
    (MqttIngress::new(vec![broker], peers, &metrics()), decoder, appended)
}

fn message(topic: &str, payload: &str) -> Publish {
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
    publish.pkid = 7;
    publish
}

#[actix_rt::test]
async fn a_message_goes_to_the_writer_with_the_partition_of_each_record() {
    let (ingress, mut decoder, mut appended) = new_ingress(4);
    ingress.sessions[0].on_publish(message("sensors/a", "21.5"), &mut decoder).await;
    let append = appended.recv().await.unwrap();
    let [(partition, record)] = &append.records[..] else { panic!("{append:?}") };
    let Item::Reading(reading) = &record.item else { panic!("{record:?}") };
    assert_eq!((*partition, reading.values[0]), (reading.sensor.partition(8), 21.5));
    assert!(append.delivery.is_some(), "the writer acknowledges it");
}

#[actix_rt::test]
async fn a_message_that_cannot_be_decoded_goes_to_the_writer_as_a_dead_letter() {
    let (ingress, mut decoder, mut appended) = new_ingress(4);
    ingress.sessions[0].on_publish(message("sensors/a", "{"), &mut decoder).await;
    let append = appended.recv().await.unwrap();
    assert!(matches!(append.records[0].1.item, Item::DeadLetter(_)));
}

#[actix_rt::test]
async fn a_retained_message_is_counted_and_dropped() {
    let (ingress, mut decoder, mut appended) = new_ingress(4);
    let retained = Publish { retain: true, ..message("sensors/a", "21.5") };
    ingress.sessions[0].on_publish(retained, &mut decoder).await;
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
    assert_eq!(ingress.sessions[0].metrics.mqtt_messages.with_label_values(&["retained"]).get(), 1);
}

#[actix_rt::test]
async fn an_empty_message_is_counted_and_dropped() {
    let (ingress, mut decoder, mut appended) = new_ingress(4);
    ingress.sessions[0].on_publish(message("sensors/a", ""), &mut decoder).await;
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
    assert_eq!(ingress.sessions[0].metrics.mqtt_messages.with_label_values(&["empty"]).get(), 1);
}

#[actix_rt::test]
async fn the_drop_counter_of_the_broker_sets_a_metric_and_is_no_reading() {
    let (ingress, mut decoder, mut appended) = new_ingress(4);
    let dropped = message("$SYS/broker/publish/messages/dropped", "12");
    ingress.sessions[0].on_publish(dropped, &mut decoder).await;
    assert_eq!(ingress.sessions[0].metrics.broker_dropped.with_label_values(&["test"]).get(), 12);
    tokio::task::yield_now().await;
    assert!(appended.try_recv().is_err());
}

#[actix_rt::test]
async fn no_more_messages_are_sent_than_there_are_credits() {
    let (ingress, mut decoder, mut appended) = new_ingress(1);
    ingress.sessions[0].on_publish(message("sensors/a", "1"), &mut decoder).await;
    let first = appended.recv().await.unwrap();
    let session = Rc::clone(&ingress.sessions[0]);
    let second = actix_rt::spawn(async move {
        session.on_publish(message("sensors/a", "2"), &mut decoder).await;
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished(), "the second message waits");
    drop(first);
    second.await.unwrap();
    assert!(appended.recv().await.is_some());
}
