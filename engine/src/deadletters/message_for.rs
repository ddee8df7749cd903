//! The message that is published for a dead letter. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use thicket_actors::source::filter_receives;
use thicket_codecs::timestamp::parse_rfc3339;
use thicket_codecs::{Format, NoTopicError, PayloadDecoder, TopicTemplates};
use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{DeadLetter, Reason, SensorName, SensorNameError, Timestamp};

use super::at_arrival::without_time;

/// A message as a device would publish it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// The part of a subscription that decides what is published.
#[derive(Debug)]
pub(super) struct Rules {
    /// The index of the broker.
    pub(super) broker: usize,
    /// Templates that give a sensor its topic.
    pub(super) templates: TopicTemplates,
    /// Topic filters that the engine subscribes to.
    pub(super) subscribed: Vec<String>,
    /// Names of the members of a payload that hold its time.
    pub(super) timestamp_keys: Vec<String>,
    /// Format of the payloads.
    pub(super) format: Format,
    /// Decodes payloads as the engine does.
    pub(super) payloads: PayloadDecoder,
}

/// Why a dead letter cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it was replayed before, at {0}; pass --again to replay it again")]
    Replayed(String),
    #[error("its payload was cut: {kept} of {bytes} bytes were kept; let the device send it again")]
    Cut { kept: usize, bytes: i64 },
    #[error("its topic was cut to {0} bytes; let the device send it again")]
    TopicCut(usize),
    #[error("it is a log entry that cannot be decoded, not a message")]
    NoMessage,
    #[error("it was made of a reading and does not hold the time of the reading")]
    NoTime,
    #[error("its time cannot be replaced: --at-arrival replaces the time of JSON alone")]
    TimeStays,
    #[error("mqtt.timestamp_keys has no name that is free for its time")]
    NoTimestampKey,
    #[error("it was made of a reading, and {0}")]
    NoTopic(#[from] NoTopicError),
    #[error("it was made of a reading, and {0}")]
    NoSensor(#[from] SensorNameError),
    #[error("nothing in mqtt.topics receives {0}, so the broker would drop it")]
    NotSubscribed(String),
}

/// Returns the message to publish for a dead letter, whether or not it was replayed before, and the
/// index of the broker. The first subscription that can receive the message counts. If `at_arrival`
/// is set, its readings get the time at which it first arrived instead of their own.
pub(super) fn message_for(
    letter: &DeadLetterRow,
    rules: &[Rules],
    at_arrival: bool,
) -> Result<(usize, Message), Refusal> {
    let mut refusal = Refusal::NotSubscribed(letter.topic.clone());
    for rules in rules {
        match message_by(letter, rules, at_arrival) {
            Ok(message) => return Ok((rules.broker, message)),
            // Another subscription may still receive it.
            Err(Refusal::NotSubscribed(_)) => {}
            Err(other) => refusal = other,
        }
    }
    Err(refusal)
}

fn message_by(letter: &DeadLetterRow, rules: &Rules, at_arrival: bool) -> Result<Message, Refusal> {
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
    let message = if letter.of_reading {
        // Its topic is the name of the sensor.
        let topic = rules.templates.topic(&SensorName::new(&letter.topic)?)?;
        let mut payload = payload_of_reading(&letter.payload, rules)?;
        if at_arrival {
            payload = at_time(&payload, letter.received, rules)?;
        }
        Message { topic, payload }
    } else {
        let payload = if at_arrival {
            at_time(&letter.payload, letter.received, rules)?
        } else {
            with_time(&letter.payload, letter.received, rules)?
        };
        Message { topic: letter.topic.clone(), payload }
    };
    if !rules.subscribed.iter().any(|filter| filter_receives(filter, &message.topic)) {
        return Err(Refusal::NotSubscribed(message.topic));
    }
    Ok(message)
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

/// Returns the payload of a decoded reading, with its time under a name that the engine knows.
fn payload_of_reading(payload: &[u8], rules: &Rules) -> Result<Vec<u8>, Refusal> {
    let members: Members<'_> = serde_json::from_slice(payload).map_err(|_| Refusal::NoTime)?;
    let is_time = |name: &&str| {
        let text = members.get(*name).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
        text.is_some_and(|text| parse_rfc3339(&text).is_ok())
    };
    let name = DeadLetter::TIME_NAMES.into_iter().find(is_time).ok_or(Refusal::NoTime)?;
    if rules.timestamp_keys.iter().any(|key| key == name) {
        return Ok(payload.to_vec());
    }
    let mut free = rules.timestamp_keys.iter().filter(|key| !members.contains_key(*key));
    let key = free.next().ok_or(Refusal::NoTimestampKey)?;
    let renamed: Vec<String> = members
        .iter()
        .map(|(member, value)| {
            let member = if member == name { key } else { member };
            format!("{}:{}", serde_json::Value::from(member.as_str()), value.get())
        })
        .collect();
    Ok(format!("{{{}}}", renamed.join(",")).into_bytes())
}

/// Returns the payload of a message; each reading without a time gets the time of its arrival.
/// Numbers keep all their digits. A payload that is not a reading stays as it is.
fn with_time(payload: &[u8], received: Timestamp, rules: &Rules) -> Result<Vec<u8>, Refusal> {
    if let Some(timed) = rules.format.with_arrival_time(payload, received) {
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
