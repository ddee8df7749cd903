//! Notices that a broker has lost the session of the engine, with the messages in it, or keeps it for
//! a shorter time than `mqtt.session_expiry`.

use std::time::Duration;

use thicket_store::complaints;
use thicket_store::redis::{RedisError, SessionMark};

use crate::metrics::Metrics;
use crate::mqtt::MqttOptions;

/// The session at one broker.
pub(super) struct KeptSession {
    mark: SessionMark,
}

impl KeptSession {
    pub(super) const fn new(mark: SessionMark) -> Self {
        Self { mark }
    }

    /// Takes note of a new connection. `granted` is how long the broker keeps the session, if it says
    /// so.
    pub(super) async fn on_connected(
        &self,
        options: &MqttOptions,
        metrics: &Metrics,
        session_present: bool,
        granted: Option<Duration>,
    ) {
        let MqttOptions { name, client_id, session_expiry, .. } = options;
        let Some(asked) = *session_expiry else { return };
        if let Some(granted) = granted
            && granted < asked
        {
            let (granted, asked) = (granted.as_secs(), asked.as_secs());
            tracing::warn!(
                broker = name,
                granted,
                asked,
                "the broker keeps the session for a shorter time than mqtt.session_expiry (seconds); messages are lost if no engine connects within this time"
            );
        }
        if session_present || !answer(self.mark.is_set().await).unwrap_or(false) {
            return;
        }
        metrics.mqtt_sessions_lost.with_label_values(&[name]).inc();
        tracing::error!(
            broker = name,
            client_id,
            "the broker has lost the session of the engine; messages since the last connection are lost"
        );
    }

    /// Remembers the session, which has its subscriptions now.
    pub(super) async fn on_subscribed(&self, options: &MqttOptions) {
        if options.session_expiry.is_some() {
            let _logged = answer(self.mark.set().await);
        }
    }
}

/// Returns the answer of Redis. A session without a mark is not noticed when it is lost, which is no
/// reason to take no messages.
fn answer<T>(answer: Result<T, RedisError>) -> Option<T> {
    let log = |error: &RedisError| {
        if let Some(repeated) = complaints::due("remember the session", error) {
            tracing::warn!(%error, repeated, "cannot read or write in redis whether the broker has the session");
        }
    };
    answer.inspect_err(log).ok()
}
