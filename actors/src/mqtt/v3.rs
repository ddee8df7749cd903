//! MQTT 3.1.1: from the library's types to those of this module.

use bytes::Bytes;
use rumqttc::{
    ConnAck, ConnectReturnCode, ConnectionError, Incoming, Outgoing, Publish, QoS, StateError,
    SubscribeFilter, SubscribeReasonCode,
};

use super::address::{BrokerAddress, BrokerAddressError};
use super::events::{Event, Failure, FailureKind, Message, Refusal};
use super::options::{LARGEST_PACKET, MqttOptions, Qos};
use super::reasons;

/// Returns the settings of a connection.
pub(super) fn options(options: &MqttOptions) -> Result<rumqttc::MqttOptions, BrokerAddressError> {
    let MqttOptions { address, .. } = options;
    let mut mqtt = rumqttc::MqttOptions::new(&options.client_id, address.server(), address.port());
    mqtt.set_transport(address.transport()?)
        .set_clean_session(options.session_expiry.is_none())
        .set_manual_acks(true)
        .set_keep_alive(options.keep_alive)
        .set_max_packet_size(LARGEST_PACKET as usize, LARGEST_PACKET as usize);
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password);
    }
    Ok(mqtt)
}

pub(super) const fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

/// Returns the quality of service that a broker grants. The client never asks for QoS 2.
const fn granted(qos: QoS) -> Qos {
    match qos {
        QoS::AtMostOnce => Qos::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Qos::AtLeastOnce,
    }
}

pub(super) fn filters(filters: &[String], qos: Qos) -> Vec<SubscribeFilter> {
    let qos = self::qos(qos);
    filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), qos)).collect()
}

/// Returns a message with nothing but a packet id, from which the library makes an acknowledgement.
pub(super) fn publish(packet: u16) -> Publish {
    let mut publish = Publish::from_bytes("", QoS::AtLeastOnce, Bytes::new());
    publish.pkid = packet;
    publish
}

pub(super) fn event(
    polled: Result<rumqttc::Event, ConnectionError>,
    address: &BrokerAddress,
) -> Result<Event, Failure> {
    Ok(match polled.map_err(|error| failure(&error, address))? {
        rumqttc::Event::Incoming(Incoming::ConnAck(ConnAck { session_present, .. })) => {
            Event::Connected { session_present, session_expiry: None }
        }
        rumqttc::Event::Incoming(Incoming::Publish(publish)) => Event::Message(message(publish)),
        rumqttc::Event::Incoming(Incoming::SubAck(answer)) => {
            let result = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(granted) => Ok(self::granted(*granted)),
                SubscribeReasonCode::Failure => Err(Refusal(reasons::SUBSCRIPTION_REFUSED)),
            };
            Event::Subscribed(answer.return_codes.iter().map(result).collect())
        }
        rumqttc::Event::Incoming(Incoming::PubAck(_)) => Event::Published(Ok(())),
        rumqttc::Event::Outgoing(Outgoing::Disconnect) => Event::Disconnected,
        _ => Event::Other,
    })
}

fn message(publish: Publish) -> Message {
    let Publish { dup, qos, retain, topic, pkid, payload } = publish;
    Message {
        topic,
        payload,
        packet: (qos != QoS::AtMostOnce).then_some(pkid),
        redelivered: dup,
        retained: retain,
        content_type: None,
    }
}

fn failure(error: &ConnectionError, address: &BrokerAddress) -> Failure {
    let kind = match error {
        ConnectionError::ConnectionRefused(code) => return refusal(*code),
        ConnectionError::MqttState(StateError::ConnectionAborted) => FailureKind::Closed,
        ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(error)),
        ) => reasons::of_transport(error),
        ConnectionError::Io(error) => reasons::of_connect(error),
        ConnectionError::Tls(_) | ConnectionError::Websocket(_) => FailureKind::Unreachable,
        _ => FailureKind::Other,
    };
    reasons::explained(kind, error, address)
}

fn refusal(code: ConnectReturnCode) -> Failure {
    let (kind, words) = match code {
        ConnectReturnCode::RefusedProtocolVersion => (FailureKind::Version, reasons::VERSION),
        ConnectReturnCode::BadClientId => (FailureKind::Refused, reasons::CLIENT_ID),
        ConnectReturnCode::ServiceUnavailable => (FailureKind::Refused, reasons::UNAVAILABLE),
        ConnectReturnCode::BadUserNamePassword => (FailureKind::Refused, reasons::CREDENTIALS),
        ConnectReturnCode::NotAuthorized => (FailureKind::Refused, reasons::NOT_AUTHORISED),
        ConnectReturnCode::Success => (FailureKind::Other, reasons::UNSPECIFIED),
    };
    Failure::new(kind, words)
}
