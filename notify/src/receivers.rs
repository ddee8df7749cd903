//! The receivers of messages: webhooks, brokers and mail servers.

mod email;
pub(crate) mod mqtt;
mod secrets;
mod webhook;

use std::time::Duration;

use crate::config::{ReceiverKind, RouteConfig, RouteProblem};
use crate::message::Message;

/// The receiver of a route.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// HTTP POST.
    Webhook(Box<webhook::Webhook>),
    /// Retained messages of a broker.
    Mqtt(Box<mqtt::MqttReceiver>),
    /// E-mail.
    Email(Box<email::Email>),
}

/// Why a receiver has not accepted a message. No text contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may accept the message later.
    #[error("{0}")]
    Unavailable(String),
    /// It may accept the message after this time.
    #[error("the receiver asks to wait {} s", .0.as_secs())]
    Later(Duration),
    /// It will hardly accept the message ever.
    #[error("{0}")]
    Refused(String),
}

/// Returns what to do about an error of a connection, to append to its text; empty if the text says
/// all.
fn remedy(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn std::error::Error + 'static));
        let tls = [Some(error), inner].into_iter().flatten().find_map(|error| error.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) = tls {
            return "; set ca to a file with the certificate of the CA that has signed the receiver's";
        }
        cause = error.source();
    }
    ""
}

impl Receiver {
    /// Checks the settings of a receiver. Reads its files.
    pub fn new(config: &RouteConfig) -> Result<Self, RouteProblem> {
        Ok(match config.receiver {
            ReceiverKind::Webhook => Self::Webhook(Box::new(webhook::Webhook::new(config)?)),
            ReceiverKind::Mqtt => Self::Mqtt(Box::new(mqtt::MqttReceiver::new(config)?)),
            ReceiverKind::Email => Self::Email(Box::new(email::Email::new(config)?)),
        })
    }

    /// Returns the maximum number of notifications of a message.
    pub const fn max_members(&self) -> u64 {
        match self {
            Self::Webhook(_) | Self::Email(_) => 1_000,
            Self::Mqtt(_) => mqtt::MAX_MEMBERS,
        }
    }

    /// Returns what is dangerous about the settings.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Webhook(_) | Self::Mqtt(_) => None,
            Self::Email(email) => email.warning(),
        }
    }

    /// Returns whether the receiver shows one state of each sensor, and not each message.
    fn shows_states(&self) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.shows_states(),
            Self::Mqtt(_) => true,
            Self::Email(_) => false,
        }
    }

    /// Sends a message. `limit` bounds one attempt.
    pub async fn send(&self, message: &Message, limit: Duration) -> Result<(), SendError> {
        let states = if self.shows_states() { message.without_late_labels() } else { None };
        if states.as_ref().is_some_and(|message| message.events.is_empty()) {
            return Ok(());
        }
        let message = states.as_ref().unwrap_or(message);
        let sending = async {
            match self {
                Self::Webhook(webhook) => webhook.send(message, limit).await,
                Self::Mqtt(mqtt) => mqtt.send(message).await,
                Self::Email(email) => email.send(message).await,
            }
        };
        let seconds = limit.as_secs_f64();
        let sent = tokio::time::timeout(limit, sending).await;
        sent.unwrap_or_else(|_| Err(SendError::Unavailable(format!("no answer within {seconds} s"))))
    }
}
