//! The reasons of brokers in words, with what to do about them.

use std::error::Error;
use std::io;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, PubAckReason, SubscribeReasonCode,
};

use thicket_connect::all_causes;

use super::address::BrokerAddress;
use super::events::{Failure, FailureKind, Refusal};
use super::options::Qos;

pub(super) const VERSION: &str =
    "the broker does not know this version of MQTT; set mqtt.version to \"auto\" or to the other version";
pub(super) const CLIENT_ID: &str = "the broker does not allow the client id; set mqtt.client_id";
pub(super) const UNAVAILABLE: &str = "the broker accepts no clients at present";
pub(super) const CREDENTIALS: &str =
    "wrong user name or password; set mqtt.username and mqtt.password as the broker knows them";
pub(super) const NOT_AUTHORISED: &str = "the broker does not authorise the client; check mqtt.username, mqtt.password and the broker's access rules";
pub(super) const UNSPECIFIED: &str = "the broker gives no reason; see its log";
pub(super) const SUBSCRIPTION_REFUSED: &str =
    "the broker refuses it without a reason; check its access rules";
const MOVED: &str = "the broker has moved; set mqtt.url to its new address";

const CLOSED: &str = "the broker closed the connection";

/// Returns a failure with the text of its error, and what to do.
pub(super) fn explained(kind: FailureKind, error: &dyn Error, address: &BrokerAddress) -> Failure {
    let text = address.explain(error);
    // Without advice, the library's text says less.
    let words =
        if kind == FailureKind::Closed && text == all_causes(error) { CLOSED.to_owned() } else { text };
    Failure::new(kind, words)
}

/// Returns the kind of an I/O error of a connection.
pub(super) fn of_transport(error: &io::Error) -> FailureKind {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => FailureKind::Closed,
        _ => FailureKind::Other,
    }
}

/// Returns the kind of an I/O error while a connection is made.
pub(super) fn of_connect(error: &io::Error) -> FailureKind {
    match of_transport(error) {
        FailureKind::Other => FailureKind::Unreachable,
        kind => kind,
    }
}

/// Returns why a broker refuses a connection of MQTT 5.
pub(super) fn refusal(code: ConnectReturnCode) -> Failure {
    use ConnectReturnCode as Code;
    let words = match code {
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
            return Failure::new(FailureKind::Version, VERSION);
        }
        // A broker that does not know MQTT 5 may take its CONNECT for a damaged one.
        Code::MalformedPacket | Code::ProtocolError => {
            return Failure::new(
                FailureKind::Version,
                "the broker does not understand the request to connect",
            );
        }
        Code::BadClientId | Code::ClientIdentifierNotValid => CLIENT_ID,
        Code::ServiceUnavailable | Code::ServerUnavailable => UNAVAILABLE,
        Code::BadUserNamePassword => CREDENTIALS,
        Code::NotAuthorized => NOT_AUTHORISED,
        Code::ServerBusy => "the broker is busy",
        Code::Banned => "the broker has banned the client; ask its administrator",
        Code::BadAuthenticationMethod => {
            "the broker asks for another method of authentication than a password"
        }
        Code::QuotaExceeded => "a quota of the broker is exceeded, such as its number of clients",
        Code::ConnectionRateExceeded => "the client connects more often than the broker allows",
        Code::UseAnotherServer | Code::ServerMoved => MOVED,
        Code::ImplementationSpecificError => "the broker does not support the request to connect",
        Code::Success
        | Code::UnspecifiedError
        | Code::TopicNameInvalid
        | Code::PacketTooLarge
        | Code::PayloadFormatInvalid
        | Code::RetainNotSupported
        | Code::QoSNotSupported => UNSPECIFIED,
    };
    Failure::new(FailureKind::Refused, words)
}

/// Returns why a broker ended a connection of MQTT 5. `said` is the broker's own text.
pub(super) fn disconnection(code: DisconnectReasonCode, said: Option<&str>) -> Failure {
    use DisconnectReasonCode as Code;
    let kind = if code == Code::SessionTakenOver { FailureKind::TakenOver } else { FailureKind::Refused };
    let words = match code {
        Code::SessionTakenOver => "another client connected with the same client id",
        Code::NotAuthorized => NOT_AUTHORISED,
        Code::ServerBusy => "the broker is busy",
        Code::ServerShuttingDown => "the broker shuts down",
        Code::KeepAliveTimeout => "the broker received no packet within mqtt.keep_alive",
        Code::ReceiveMaximumExceeded => "the client sent more messages than the broker takes at once",
        Code::PacketTooLarge => "the client sent a packet that is larger than the broker allows",
        Code::MessageRateTooHigh => "the client sends more often than the broker allows",
        Code::QuotaExceeded => "a quota of the broker is exceeded",
        Code::AdministrativeAction => "an administrator of the broker ended the connection",
        Code::UseAnotherServer | Code::ServerMoved => MOVED,
        Code::SharedSubscriptionNotSupported => "the broker has no shared subscriptions ($share/...)",
        Code::WildcardSubscriptionsNotSupported => "the broker allows no wildcards in topic filters",
        Code::ConnectionRateExceeded => "the client connects more often than the broker allows",
        Code::MaximumConnectTime => "the broker allows no longer connection",
        Code::MalformedPacket
        | Code::ProtocolError
        | Code::ImplementationSpecificError
        | Code::TopicFilterInvalid
        | Code::TopicNameInvalid
        | Code::TopicAliasInvalid
        | Code::PayloadFormatInvalid
        | Code::RetainNotSupported
        | Code::QoSNotSupported
        | Code::SubscriptionIdentifiersNotSupported => "the broker does not accept a packet of the client",
        Code::NormalDisconnection | Code::DisconnectWithWillMessage | Code::UnspecifiedError => {
            return Failure::new(FailureKind::Closed, with(CLOSED.to_owned(), said));
        }
    };
    Failure::new(kind, with(words.to_owned(), said))
}

fn with(words: String, said: Option<&str>) -> String {
    match said {
        Some(said) => format!("{words} ({said})"),
        None => words,
    }
}

/// Returns the quality of service that a broker grants a subscription of MQTT 5, or why it refuses
/// it. The client never asks for QoS 2.
pub(super) const fn subscription(code: SubscribeReasonCode) -> Result<Qos, Refusal> {
    use SubscribeReasonCode as Code;
    Err(Refusal(match code {
        Code::Success(QoS::AtMostOnce) => return Ok(Qos::AtMostOnce),
        Code::Success(QoS::AtLeastOnce | QoS::ExactlyOnce) => return Ok(Qos::AtLeastOnce),
        Code::Failure | Code::Unspecified => SUBSCRIPTION_REFUSED,
        Code::ImplementationSpecific => "the broker does not support it",
        Code::NotAuthorized => "the broker's access rules do not allow it",
        Code::TopicFilterInvalid => "the broker does not allow this topic filter",
        Code::PkidInUse => "the broker takes the request for one that it is still answering",
        Code::QuotaExceeded => "a quota of the broker is exceeded, such as its number of subscriptions",
        Code::SharedSubscriptionsNotSupported => "the broker has no shared subscriptions ($share/...)",
        Code::SubscriptionIdNotSupported => "the broker has no subscription identifiers",
        Code::WildcardSubscriptionsNotSupported => "the broker allows no wildcards in topic filters",
    }))
}

/// Returns why a broker refuses a message of MQTT 5; `None` if it takes it.
pub(super) const fn publication(reason: PubAckReason) -> Option<&'static str> {
    Some(match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => return None,
        PubAckReason::NotAuthorized => "the broker's access rules do not allow the topic",
        PubAckReason::TopicNameInvalid => "the broker does not allow the topic",
        PubAckReason::QuotaExceeded => "a quota of the broker is exceeded",
        PubAckReason::PayloadFormatInvalid => "the broker does not allow the payload",
        PubAckReason::UnspecifiedError
        | PubAckReason::ImplementationSpecificError
        | PubAckReason::PacketIdentifierInUse => {
            "the broker refuses the message without a reason; see its log"
        }
    })
}
