//! MQTT 3.1.1: from the library's types to those of this module.

use bytes::Bytes;
use rumqttc::{
    ConnAck, ConnectReturnCode, ConnectionError, Incoming, Outgoing, Publish, QoS, StateError,
    SubscribeFilter, SubscribeReasonCode,
};

use super::client::LARGEST_PACKET;
use super::events::{Event, Failure, FailureKind, Message, Refusal};
use super::options::MqttOptions;
use super::reasons;

/// Returns the settings of a connection.
pub(super) fn options(options: &MqttOptions) -> rumqttc::MqttOptions {
    let mut mqtt = rumqttc::MqttOptions::new(&options.client_id, &options.host, options.port);
    mqtt.set_clean_session(options.session_expiry.is_none())
        .set_manual_acks(true)
        .set_keep_alive(options.keep_alive)
        .set_max_packet_size(LARGEST_PACKET as usize, LARGEST_PACKET as usize);
    if let Some((user, password)) = &options.credentials {
        mqtt.set_credentials(user, password);
    }
    mqtt
}

pub(super) fn filters(filters: &[String]) -> Vec<SubscribeFilter> {
    filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce)).collect()
}

/// Returns a message with nothing but a packet id, from which the library makes an acknowledgement.
pub(super) fn publish(packet: u16) -> Publish {
    let mut publish = Publish::from_bytes("", QoS::AtLeastOnce, Bytes::new());
    publish.pkid = packet;
    publish
}

pub(super) fn event(polled: Result<rumqttc::Event, ConnectionError>) -> Result<Event, Failure> {
    Ok(match polled.map_err(failure)? {
        rumqttc::Event::Incoming(Incoming::ConnAck(ConnAck { session_present, .. })) => {
            Event::Connected { session_present }
        }
        rumqttc::Event::Incoming(Incoming::Publish(publish)) => Event::Message(message(publish)),
        rumqttc::Event::Incoming(Incoming::SubAck(answer)) => {
            let result = |code: &SubscribeReasonCode| match code {
                SubscribeReasonCode::Success(_) => Ok(()),
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

fn failure(error: ConnectionError) -> Failure {
    match error {
        ConnectionError::ConnectionRefused(code) => refusal(code),
        ConnectionError::MqttState(StateError::ConnectionAborted) => reasons::closed(),
        ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(error)),
        ) => reasons::of_transport(&error),
        ConnectionError::Io(error) => reasons::of_connect(&error),
        ConnectionError::NetworkTimeout => reasons::silent(),
        error => Failure::new(FailureKind::Other, error.to_string()),
    }
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
