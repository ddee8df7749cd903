//! What a session does with the messages of its broker: skips those that are no readings, decodes
//! the others, and sends their records to the log.

use chrono::Utc;
use thicket_codecs::formats::sparkplug::RebirthRequest;
use tokio::time::Instant;

use super::decode::{DecodeMessage, MessageDecoder};
use super::ignore::IgnoreReason;
use super::reorder::Part;
use super::session::{BROKER_DROPPED, Session, Waiting};
use crate::acknowledge::Delivery;
use crate::credit::{Credit, send_credited};
use crate::messages::Append;
use crate::mqtt::{Client, Message, Qos};

impl Session {
    pub(super) async fn on_message(&self, message: Message, client: &Client, decoder: &MessageDecoder) {
        let Message { topic, payload, packet, redelivered, retained, content_type } = message;
        let delivery = packet.map(|packet| Delivery::new(client.clone(), packet));
        if topic == BROKER_DROPPED {
            if let Some(dropped) = std::str::from_utf8(&payload).ok().and_then(|text| text.parse().ok()) {
                self.metrics.set_broker_dropped(&self.options.name, dropped);
            }
            // Otherwise it would count as in flight until the connection ends.
            if let Some(delivery) = delivery {
                delivery.acknowledge();
            }
            return;
        }
        let skipped = if retained {
            Some("retained")
        } else {
            decoder.ignore_reason(&topic, &payload).map(IgnoreReason::as_str)
        };
        if let Some(result) = skipped {
            self.metrics.mqtt_messages.with_label_values(&[result]).inc();
            if let Some(delivery) = delivery {
                delivery.acknowledge();
            }
            return;
        }
        let credit = self.credits.acquire(1).await;
        let message = DecodeMessage {
            topic: &topic,
            payload: &payload,
            content_type: content_type.as_deref(),
            redelivered,
            now_micros: Utc::now().timestamp_micros(),
        };
        let decoded = decoder.decode_with_births(message);
        self.metrics.readings_set_back.inc_by(self.stamp.take_set_back());
        if decoded.births_are_full {
            self.metrics.sparkplug_births_refused.inc();
        }
        if let Some(change) = decoded.birth {
            self.births.add(change);
        }
        // Later data need the birth after a restart, so no later message may be acknowledged first.
        if !self.births.save().await {
            self.redelivery.request();
            return;
        }
        if let Some(request) = decoded.request {
            self.request_rebirth(client, request);
        }
        let mut records = decoded.records;
        if records.is_empty() {
            self.metrics.mqtt_messages.with_label_values(&["no_reading"]).inc();
            if let Some(delivery) = delivery {
                delivery.acknowledge();
            }
            return;
        }
        self.registry.limit(&mut records);
        let waiting = Waiting { delivery, credit };
        if !self.reorder.borrow().is_on() {
            self.append(Part { records, ends: Some(waiting) });
            return;
        }
        let at_once = self.reorder.borrow_mut().push(records, waiting, Instant::now());
        let (surplus, early) = self.reorder.borrow_mut().surplus();
        self.metrics.reorder_early.inc_by(early as u64);
        self.append_parts(at_once.into_iter().chain(surplus));
        self.count_held();
    }

    /// Asks a Sparkplug node for its births. If the command is lost, a later message leads to
    /// another.
    fn request_rebirth(&self, client: &Client, RebirthRequest { topic, payload }: RebirthRequest) {
        match client.publish(topic.as_str(), payload, Qos::AtMostOnce) {
            Ok(()) => {
                tracing::info!(broker = self.options.name, topic, "asked a Sparkplug node for its births");
                self.metrics.sparkplug_rebirth_requests.inc();
            }
            Err(error) => tracing::warn!(%error, topic, "cannot ask a Sparkplug node for its births"),
        }
    }

    /// Sends the readings to the log whose time of `queue.reorder` is over.
    pub(super) fn release_due(&self) {
        let due = self.reorder.borrow_mut().due(Instant::now());
        self.append_parts(due);
        self.count_held();
    }

    /// Sends all readings to the log that are held back.
    pub(super) fn release_all(&self) {
        let all = self.reorder.borrow_mut().all();
        self.append_parts(all);
        self.count_held();
    }

    pub(super) fn count_held(&self) {
        let held = i64::try_from(self.reorder.borrow().messages()).unwrap_or(i64::MAX);
        self.metrics.reorder_held.with_label_values(&[&self.options.name]).set(held);
    }

    fn append_parts(&self, parts: impl IntoIterator<Item = Part<Waiting>>) {
        for part in parts {
            self.append(part);
        }
    }

    fn append(&self, Part { records, ends }: Part<Waiting>) {
        let ends_message = ends.is_some();
        // The credit of a message covers all its parts.
        let Waiting { delivery, credit } =
            ends.unwrap_or_else(|| Waiting { delivery: None, credit: Credit::unbounded() });
        send_credited(&self.writer, Append { records, ends_message, delivery, credit });
    }
}
