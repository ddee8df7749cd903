//! The reading in a dead letter that was made of one: the payload that gives it, and whether the
//! engine would read it again. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use thicket_actors::source::{DecodeMessage, MessageDecoder};
use thicket_codecs::timestamp::parse_rfc3339;
use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{DeadLetter, Item, Reading, SensorName, Timestamp};

use super::message::{Message, Refusal};

/// The reading of which a dead letter was made.
#[derive(Debug)]
pub(super) struct LetterReading<'l> {
    /// The sensor.
    pub(super) sensor: SensorName,
    /// Its time.
    pub(super) ts: Timestamp,
    /// The name of the member that holds the time.
    time_name: &'static str,
    members: BTreeMap<String, &'l RawValue>,
}

impl<'l> LetterReading<'l> {
    pub(super) fn of(letter: &'l DeadLetterRow) -> Result<Self, Refusal> {
        // Its topic is the name of the sensor.
        let sensor = SensorName::new(&letter.topic)?;
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_slice(&letter.payload).map_err(|_| Refusal::NoTime)?;
        let time = |name: &'static str| {
            let text: String = serde_json::from_str(members.get(name)?.get()).ok()?;
            Some((name, parse_rfc3339(&text).ok()?))
        };
        let (time_name, ts) = DeadLetter::TIME_NAMES.into_iter().find_map(time).ok_or(Refusal::NoTime)?;
        Ok(Self { sensor, ts, time_name, members })
    }

    /// Returns its payload, with its time under a name that the engine knows.
    pub(super) fn payload(&self, timestamp_keys: &[String]) -> Result<Vec<u8>, Refusal> {
        let key = if timestamp_keys.iter().any(|key| key == self.time_name) {
            self.time_name
        } else {
            let mut free = timestamp_keys.iter().filter(|key| !self.members.contains_key(*key));
            free.next().ok_or(Refusal::NoTimestampKey)?
        };
        let renamed: Vec<String> = self
            .members
            .iter()
            .map(|(member, value)| {
                let member = if member == self.time_name { key } else { member };
                format!("{}:{}", serde_json::Value::from(member), value.get())
            })
            .collect();
        Ok(format!("{{{}}}", renamed.join(",")).into_bytes())
    }

    /// Refuses a message from which the engine would not read this reading, at the time `ts`.
    pub(super) fn check(
        &self,
        message: &Message,
        ts: Timestamp,
        decoder: &MessageDecoder,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let Message { topic, payload } = message;
        let found = if decoder.ignore_reason(topic, payload).is_some() {
            Some("ignored".to_owned())
        } else {
            let payload = payload.clone().into();
            let records = decoder.decode(DecodeMessage::new(topic, &payload, now.0));
            match &records[..] {
                [(_, record)] => self.difference(&record.item, ts),
                records => Some(format!("{} readings", records.len())),
            }
        };
        let (sensor, topic) = (self.sensor.as_str().to_owned(), topic.clone());
        found.map_or(Ok(()), |found| Err(Refusal::NotThisReading { sensor, topic, found }))
    }

    /// Returns what an item is instead of this reading at the time `ts`; `None` if it is this one.
    fn difference(&self, item: &Item, ts: Timestamp) -> Option<String> {
        let reading = match item {
            Item::Reading(reading) => reading,
            Item::DeadLetter(letter) => {
                return Some(format!("a dead letter again ({}: {})", letter.reason, letter.detail));
            }
            Item::Control(_) => return Some("no reading".to_owned()),
        };
        if reading.sensor != self.sensor {
            return Some(format!("a reading of {}", reading.sensor));
        }
        if reading.ts != ts {
            return Some(format!("a reading with another time, {}", reading.ts));
        }
        let fields = || reading.fields.names().join(", ");
        (!self.has_values_of(reading)).then(|| format!("a reading with other values, of {}", fields()))
    }

    fn has_values_of(&self, reading: &Reading) -> bool {
        let values = self.members.iter().filter(|(member, _)| *member != self.time_name);
        let values =
            values.map(|(member, value)| Some((member.as_str(), serde_json::from_str(value.get()).ok()?)));
        let found = reading.fields.names().iter().map(String::as_str).zip(reading.values.iter().copied());
        values.collect::<Option<BTreeMap<&str, f64>>>() == Some(found.collect())
    }
}
