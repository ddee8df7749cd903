//! MQTT 5: from the library's types to those of this module.

use std::time::Duration;

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, ConnectProperties, Filter, Packet, Publish, RetainForwardRule};
use rumqttc::v5::{ConnectionError, StateError};

use super::address::{BrokerAddress, BrokerAddressError};
use super::events::{Event, Failure, FailureKind, Message, Refusal};
use super::options::{MqttOptions, Qos};
use super::reasons;

/// The shortest interval of pings that the library allows.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Maximum number of messages that this client has published and the broker has not acknowledged.
/// The library reserves memory for each.
const MAX_PUBLISHED: u16 = 100;

/// Returns the settings of a connection. The broker may not use topic aliases: the library does not
/// resolve them.
pub(super) fn options(options: &MqttOptions) -> Result<rumqttc::v5::MqttOptions, BrokerAddressError> {
    let MqttOptions { address, .. } = options;
    let mut properties = ConnectProperties::new();
    properties.session_expiry_interval = Some(options.session_expiry.map_or(0, seconds));
    properties.receive_maximum = Some(u16::try_from(options.max_in_flight.max(1)).unwrap_or(u16::MAX));
    properties.max_packet_size = Some(options.max_packet);
    properties.topic_alias_max = Some(0);
    let mut mqtt = rumqttc::v5::MqttOptions::new(&options.client_id, address.server(), address.port());
    mqtt.set_transport(address.transport()?)
        .set_clean_start(options.session_expiry.is_none())
        .set_manual_acks(true)
        .set_keep_alive(options.keep_alive.max(SHORTEST_KEEP_ALIVE))
        .set_connect_properties(properties)
        .set_outgoing_inflight_upper_limit(MAX_PUBLISHED);
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password);
    }
    Ok(mqtt)
}

/// Returns an interval in seconds. The largest number means: without end.
fn seconds(interval: Duration) -> u32 {
    u32::try_from(interval.as_secs()).unwrap_or(u32::MAX)
}

pub(super) const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

pub(super) fn filters(filters: &[String], qos: Qos) -> Vec<Filter> {
    let qos = self::qos(qos);
    // A subscription that the session has already brings no retained messages again.
    let filter = |filter: &String| Filter {
        retain_forward_rule: RetainForwardRule::OnNewSubscribe,
        ..Filter::new(filter.clone(), qos)
    };
    filters.iter().map(filter).collect()
}

/// Returns a message with nothing but a packet id, from which the library makes an acknowledgement.
pub(super) fn publish(packet: u16) -> Publish {
    Publish { qos: QoS::AtLeastOnce, pkid: packet, ..Publish::default() }
}

pub(super) fn event(
    polled: Result<rumqttc::v5::Event, ConnectionError>,
    address: &BrokerAddress,
) -> Result<Event, Failure> {
    use rumqttc::v5::Event::{Incoming, Outgoing as Sent};
    Ok(match polled.map_err(|error| failure(&error, address))? {
        Incoming(Packet::ConnAck(ConnAck { session_present, properties, .. })) => {
            let expiry = properties.and_then(|properties| properties.session_expiry_interval);
            let session_expiry = expiry.map(|seconds| Duration::from_secs(seconds.into()));
            Event::Connected { session_present, session_expiry }
        }
        Incoming(Packet::Publish(publish)) => Event::Message(message(publish)),
        Incoming(Packet::SubAck(answer)) => {
            Event::Subscribed(answer.return_codes.into_iter().map(reasons::subscription).collect())
        }
        Incoming(Packet::PubAck(answer)) => {
            Event::Published(reasons::publication(answer.reason).map_or(Ok(()), |words| Err(Refusal(words))))
        }
        Sent(Outgoing::Disconnect) => Event::Disconnected,
        _ => Event::Other,
    })
}

fn message(publish: Publish) -> Message {
    let Publish { dup, qos, retain, topic, pkid, payload, properties } = publish;
    Message {
        // MQTT allows no other encoding. A broker that does not check topics must not stop the
        // engine.
        topic: String::from_utf8_lossy(&topic).into_owned(),
        payload,
        packet: (qos != QoS::AtMostOnce).then_some(pkid),
        redelivered: dup,
        retained: retain,
        content_type: properties.and_then(|properties| properties.content_type),
    }
}

fn failure(error: &ConnectionError, address: &BrokerAddress) -> Failure {
    use rumqttc::v5::mqttbytes::Error::Io;
    let kind = match error {
        ConnectionError::ConnectionRefused(code) => return reasons::refusal(*code),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            return reasons::disconnection(*reason_code, reason_string.as_deref());
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => FailureKind::Closed,
        ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(Io(error))) => {
            reasons::of_transport(error)
        }
        ConnectionError::Io(error) => reasons::of_connect(error),
        ConnectionError::Tls(_) | ConnectionError::Websocket(_) => FailureKind::Unreachable,
        _ => FailureKind::Other,
    };
    reasons::explained(kind, error, address)
}
