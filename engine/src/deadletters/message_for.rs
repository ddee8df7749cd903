//! The message that is published for a dead letter. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use thicket_actors::source::{MessageDecoder, filter_receives};
use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{DeadLetter, Reason, Timestamp};

use super::at_arrival::without_time;
use super::letter_reading::LetterReading;
use super::message::{Message, Refusal};
use super::rules::{BrokerRules, Rules};

/// When a dead letter is replayed, and with which time.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplayTime {
    /// Whether readings get the time at which they first arrived instead of their own.
    pub(super) at_arrival: bool,
    /// Now.
    pub(super) now: Timestamp,
}

/// Returns the broker and the message to publish for a dead letter, whether or not it was replayed
/// before. Refuses it if several brokers receive it: it is not known from which one it came.
pub(super) fn message_for<'b>(
    letter: &DeadLetterRow,
    brokers: &'b [BrokerRules],
    time: ReplayTime,
) -> Result<(&'b BrokerRules, Message), Refusal> {
    if letter.reason == Reason::BadEntry.as_str() {
        return Err(Refusal::NoMessage);
    }
    if letter.is_cut() {
        return Err(Refusal::Cut { kept: letter.payload.len(), bytes: letter.payload_bytes });
    }
    // A topic is cut between two characters, so a cut topic may be up to three bytes below the
    // limit.
    if letter.topic.len() > DeadLetter::MAX_TOPIC_BYTES - 4 {
        return Err(Refusal::TopicCut(letter.topic.len()));
    }
    let (mut refusals, mut receiving, mut messages) = (Refusals::default(), Vec::new(), Vec::new());
    for broker in brokers {
        match message_at(letter, broker, time) {
            Ok(message) => messages.push((broker, message)),
            Err(refusal) => {
                let is_received = !matches!(refusal, Refusal::NotSubscribed(_));
                refusals.add(refusal);
                // Where a reading cannot be read, its message is none of the broker.
                if !is_received || letter.of_reading {
                    continue;
                }
            }
        }
        receiving.push(broker.name.as_str());
    }
    if receiving.len() > 1 {
        let topic = messages.first().map_or(&letter.topic, |(_, message)| &message.topic).clone();
        return Err(Refusal::SeveralBrokers { topic, brokers: receiving.join(", ") });
    }
    messages.pop().ok_or_else(|| refusals.most_telling(letter))
}

/// Why no subscription can receive a message.
#[derive(Default)]
struct Refusals {
    last: Option<Refusal>,
}

impl Refusals {
    /// Adds a refusal. That a topic is not subscribed to says the least.
    fn add(&mut self, refusal: Refusal) {
        if self.last.is_none() || !matches!(refusal, Refusal::NotSubscribed(_)) {
            self.last = Some(refusal);
        }
    }

    fn most_telling(self, letter: &DeadLetterRow) -> Refusal {
        self.last.unwrap_or_else(|| Refusal::NotSubscribed(letter.topic.clone()))
    }
}

/// Returns the message for a broker. The first subscription that can receive it counts.
fn message_at(letter: &DeadLetterRow, broker: &BrokerRules, time: ReplayTime) -> Result<Message, Refusal> {
    let mut refusals = Refusals::default();
    for rules in &broker.subscriptions {
        match message_by(letter, rules, &broker.decoder, time) {
            Ok(message) => return Ok(message),
            // Another subscription may still receive it.
            Err(refusal) => refusals.add(refusal),
        }
    }
    Err(refusals.most_telling(letter))
}

fn message_by(
    letter: &DeadLetterRow,
    rules: &Rules,
    decoder: &MessageDecoder,
    ReplayTime { at_arrival, now }: ReplayTime,
) -> Result<Message, Refusal> {
    let is_subscribed = |topic: &str| rules.subscribed.iter().any(|filter| filter_receives(filter, topic));
    if letter.of_reading {
        let reading = LetterReading::of(letter)?;
        let topic = rules.templates.topic(&reading.sensor)?;
        if !is_subscribed(&topic) {
            return Err(Refusal::NotSubscribed(topic));
        }
        let payload = reading.payload(&rules.timestamp_keys)?;
        let (payload, ts) = if at_arrival {
            (at_time(&payload, letter.received, rules)?, letter.received)
        } else {
            (payload, reading.ts)
        };
        let message = Message { topic, payload };
        reading.check(&message, ts, decoder, now)?;
        return Ok(message);
    }
    if !is_subscribed(&letter.topic) {
        return Err(Refusal::NotSubscribed(letter.topic.clone()));
    }
    let payload = if at_arrival {
        at_time(&letter.payload, letter.received, rules)?
    } else {
        with_time(&letter.payload, letter.received, rules)?
    };
    Ok(Message { topic: letter.topic.clone(), payload })
}

/// Returns a JSON payload whose readings have the time of their arrival instead of their own.
fn at_time(payload: &[u8], received: Timestamp, rules: &Rules) -> Result<Vec<u8>, Refusal> {
    let text = std::str::from_utf8(payload).map_err(|_| Refusal::TimeStays)?;
    let timed = with_time(without_time(text, &rules.timestamp_keys).as_bytes(), received, rules)?;
    // The readings of an array are a microsecond apart.
    let is_at_arrival = |ts: Timestamp| (received.0..received.0 + 1_000_000).contains(&ts.0);
    let decoded = rules.payloads.decode(&timed).map_err(|_| Refusal::TimeStays)?;
    let mut times = decoded.iter().filter_map(|reading| reading.as_ref().ok().map(|reading| reading.ts));
    if times.all(|ts| ts.is_some_and(is_at_arrival)) { Ok(timed) } else { Err(Refusal::TimeStays) }
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Returns the payload of a message; each reading without a time gets the time of its arrival.
/// Numbers keep all their digits. A payload that is not a reading stays as it is.
fn with_time(payload: &[u8], received: Timestamp, rules: &Rules) -> Result<Vec<u8>, Refusal> {
    if let Some(timed) = rules.format.with_arrival_time(payload, received, rules.payloads.time_floor()) {
        return Ok(timed);
    }
    let Ok(text) = std::str::from_utf8(payload).map(str::trim_ascii) else { return Ok(payload.to_vec()) };
    let timed = match text.as_bytes().first() {
        Some(b'{') if lacks_time(text, rules) => object_with_time(text, received, rules)?,
        Some(b'[') => return array_with_times(payload, text, received, rules),
        Some(b'{') | None => return Ok(payload.to_vec()),
        Some(_) if rules.payloads.decode(text.as_bytes()).is_ok() => {
            object_with_time(&format!("{{\"value\":{text}}}"), received, rules)?
        }
        Some(_) => return Ok(payload.to_vec()),
    };
    Ok(timed.into_bytes())
}

/// Adds times to the readings of an array. The engine stamps readings of one message in their
/// order, a microsecond apart, so this does the same.
fn array_with_times(
    payload: &[u8],
    text: &str,
    received: Timestamp,
    rules: &Rules,
) -> Result<Vec<u8>, Refusal> {
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else { return Ok(payload.to_vec()) };
    let mut stamp = received;
    let mut timed = Vec::with_capacity(elements.len());
    for element in elements.into_iter().map(RawValue::get) {
        if lacks_time(element, rules) && rules.payloads.decode(element.as_bytes()).is_ok() {
            timed.push(object_with_time(element, stamp, rules)?);
            stamp.0 += 1;
        } else {
            timed.push(element.to_owned());
        }
    }
    Ok(format!("[{}]", timed.join(",")).into_bytes())
}

/// Whether a text is a JSON object without a member that holds its time. A member such as
/// `"ts":null` holds none; the decoder ignores it beside one that does.
fn lacks_time(text: &str, rules: &Rules) -> bool {
    if !text.trim_ascii_start().starts_with('{') {
        return false;
    }
    if let Ok([Ok(measurement)]) = rules.payloads.decode(text.as_bytes()).as_deref() {
        return measurement.ts.is_none();
    }
    let members: Result<Members<'_>, _> = serde_json::from_str(text);
    members.is_ok_and(|members| !rules.timestamp_keys.iter().any(|key| members.contains_key(key)))
}

/// Adds the time to a JSON object, as its last member.
fn object_with_time(object: &str, time: Timestamp, rules: &Rules) -> Result<String, Refusal> {
    let key = rules.timestamp_keys.first().ok_or(Refusal::NoTimestampKey)?;
    let object = object.trim_ascii();
    let body = object.strip_suffix('}').unwrap_or(object).trim_ascii_end();
    let comma = if body == "{" { "" } else { "," };
    Ok(format!("{body}{comma}{}:\"{time}\"}}", serde_json::Value::from(key.as_str())))
}

#[cfg(test)]
mod tests;
