//! One MQTT message in, records out. Pure. A message that cannot be decoded becomes a dead letter with its reason and goes
//! through the log as readings do.

use std::time::Duration;

use bytes::Bytes;
use thicket_codecs::{Measurement, PayloadDecoder, PayloadLimits, TopicTemplates};
use thicket_schema::{DeadLetter, Item, PartitionId, Reading, Reason, Record, SensorName};

use super::stamp::Stamp;

/// The settings of decoding.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Number of partitions of the deployment.
    pub partitions: u16,
    /// How a topic names its sensor.
    pub templates: TopicTemplates,
    /// What a payload may hold.
    pub limits: PayloadLimits,
    /// Members of a payload that are its time, the first name before the others.
    pub timestamp_keys: Vec<String>,
    /// How far a timestamp may lie after its arrival.
    pub max_future: Duration,
    /// How far a timestamp may lie before its arrival.
    pub max_age: Duration,
}

/// Decodes messages. Stamps readings without a time with their arrival.
#[derive(Debug)]
pub struct MessageDecoder {
    options: DecodeOptions,
    payload: PayloadDecoder,
    stamp: Stamp,
}

impl MessageDecoder {
    /// Creates a decoder.
    pub fn new(options: DecodeOptions) -> Self {
        let payload = PayloadDecoder::new(options.limits.clone(), options.timestamp_keys.clone());
        Self { options, payload, stamp: Stamp::default() }
    }

    /// Decodes one message into records, in the order of the message, each with the partition of its sensor.
    ///
    /// `now_micros` is the arrival time in µs since the Unix epoch. `redelivered` is MQTT's DUP flag.
    pub fn decode(
        &mut self,
        topic: &str,
        payload: &Bytes,
        redelivered: bool,
        now_micros: i64,
    ) -> Vec<(PartitionId, Record)> {
        let letter =
            |reason: Reason, detail: &str| Item::DeadLetter(DeadLetter::new(topic, reason, detail, payload));
        let partitions = self.options.partitions;
        // The partition of the message's dead letters: that of the sensor in its topic, if there is one.
        let (of_message, items) = match self.options.templates.sensor(topic) {
            Err(error) => {
                (self.partition_of_topic(topic), vec![letter(Reason::from(&error), &error.to_string())])
            }
            Ok(sensor) => {
                let items = match self.payload.decode(payload) {
                    Err(error) => vec![letter(Reason::from(&error), &error.to_string())],
                    Ok(elements) => elements
                        .into_iter()
                        .map(|element| match element {
                            Ok(measurement) => self.item(&sensor, measurement, now_micros, &letter),
                            Err(error) => letter(Reason::from(&error), &error.to_string()),
                        })
                        .collect(),
                };
                (sensor.partition(partitions), items)
            }
        };
        let record = |item: Item| {
            let partition = match &item {
                Item::Reading(reading) => reading.sensor.partition(partitions),
                Item::DeadLetter(_) | Item::Control(_) => of_message,
            };
            (partition, Record { received: now_micros, redelivered, item })
        };
        items.into_iter().map(record).collect()
    }

    fn item(
        &mut self,
        sensor: &SensorName,
        measurement: Measurement,
        now_micros: i64,
        letter: &impl Fn(Reason, &str) -> Item,
    ) -> Item {
        let stamped = measurement.ts.is_none();
        let ts = measurement.ts.unwrap_or_else(|| self.stamp.next(now_micros));
        if ts.0 > now_micros.saturating_add(micros(self.options.max_future)) {
            return letter(
                Reason::TimestampInFuture,
                &format!("{ts} lies too far after its arrival; see mqtt.max_future"),
            );
        }
        if ts.0 < now_micros.saturating_sub(micros(self.options.max_age)) {
            return letter(
                Reason::TimestampTooOld,
                &format!("{ts} lies too far before its arrival; see mqtt.max_age"),
            );
        }
        Item::Reading(Reading {
            sensor: sensor.clone(),
            ts,
            stamped,
            fields: measurement.fields,
            values: measurement.values,
        })
    }

    /// The partition of a message without a sensor.
    fn partition_of_topic(&self, topic: &str) -> PartitionId {
        let hash = xxhash_rust::xxh3::xxh3_64(topic.as_bytes());
        PartitionId((hash % u64::from(self.options.partitions)) as u16)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
