//! Turns an MQTT message into records. Pure. A message that cannot be decoded becomes a dead letter
//! with a reason, and goes through the log like a reading.

use std::time::Duration;

use bytes::Bytes;
use thicket_codecs::{
    Format, FormatDecoder, Measurement, OnBadTime, PayloadLimits, PayloadRules, TopicTemplates,
};
use thicket_schema::{DeadLetter, Item, PartitionId, Reading, Reason, Record, SensorName, Timestamp};

use super::stamp::Stamp;

/// The settings of decoding.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Number of partitions of the deployment.
    pub partitions: u16,
    /// The templates that find the name of the sensor in a topic.
    pub templates: TopicTemplates,
    /// The format of the payloads.
    pub format: Format,
    /// The limits of a payload.
    pub limits: PayloadLimits,
    /// Names of the payload members that hold the timestamp. The first name that occurs is used.
    pub timestamp_keys: Vec<String>,
    /// The rules for the members of a payload.
    pub rules: PayloadRules,
    /// How far a timestamp may be after the arrival of its message.
    pub max_future: Duration,
    /// How far a timestamp may be before the arrival of its message.
    pub max_age: Duration,
}

/// Decodes messages. A reading without a timestamp gets its arrival time.
#[derive(Debug)]
pub struct MessageDecoder {
    options: DecodeOptions,
    payload: FormatDecoder,
    stamp: Stamp,
}

impl MessageDecoder {
    /// Creates a decoder.
    pub fn new(options: DecodeOptions) -> Self {
        let payload =
            FormatDecoder::new(options.format, options.limits.clone(), options.timestamp_keys.clone())
                .with_rules(&options.rules);
        Self { options, payload, stamp: Stamp::default() }
    }

    /// Decodes one message into records, in the order of the message, each with the partition of
    /// its sensor. A message may hold readings of several devices, which are sensors of their own.
    ///
    /// `now_micros` is the arrival time in µs since the Unix epoch. `redelivered` is the DUP flag
    /// of MQTT.
    pub fn decode(
        &mut self,
        topic: &str,
        payload: &Bytes,
        redelivered: bool,
        now_micros: i64,
    ) -> Vec<(PartitionId, Record)> {
        let dead_letter =
            |reason: Reason, detail: &str| Item::DeadLetter(DeadLetter::new(topic, reason, detail, payload));
        let partitions = self.options.partitions;
        // The dead letters of a message belong to the partition of the sensor in its topic, or else
        // to a partition by the hash of the topic.
        let (of_message, items) = match self.options.templates.sensor(topic) {
            Err(error) => {
                (self.partition_of_topic(topic), vec![dead_letter(Reason::from(&error), &error.to_string())])
            }
            Ok(sensor) => {
                let items = match self.payload.decode(topic, payload) {
                    Err(error) => vec![dead_letter(Reason::from(&error), &error.to_string())],
                    Ok(elements) => elements
                        .into_iter()
                        .map(|element| match element {
                            Ok(measurement) => self.item(&sensor, measurement, now_micros, &dead_letter),
                            Err(error) => dead_letter(Reason::from(&error), &error.to_string()),
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
        dead_letter: &impl Fn(Reason, &str) -> Item,
    ) -> Item {
        let sensor = match &measurement.device {
            None => sensor.clone(),
            Some(device) => match SensorName::new(&format!("{sensor}/{device}")) {
                Ok(sensor) => sensor,
                Err(error) => return dead_letter(Reason::BadSensorName, &error.to_string()),
            },
        };
        let is_near = |ts: &Timestamp| {
            ts.0 <= now_micros.saturating_add(micros(self.options.max_future))
                && ts.0 >= now_micros.saturating_sub(micros(self.options.max_age))
        };
        let refuses = self.options.rules.on_bad_time == OnBadTime::Refuse;
        let written = measurement.ts.filter(|ts| refuses || is_near(ts));
        let stamped = written.is_none();
        let ts = written.unwrap_or_else(|| match measurement.offset_micros {
            0 => self.stamp.next(now_micros),
            offset => Timestamp(now_micros.saturating_add(offset)),
        });
        if ts.0 > now_micros.saturating_add(micros(self.options.max_future)) {
            return dead_letter(
                Reason::TimestampInFuture,
                &format!("{ts} is too far after its arrival; see mqtt.max_future"),
            );
        }
        if ts.0 < now_micros.saturating_sub(micros(self.options.max_age)) {
            return dead_letter(
                Reason::TimestampTooOld,
                &format!("{ts} is too far before its arrival; see mqtt.max_age"),
            );
        }
        Item::Reading(Reading { sensor, ts, stamped, fields: measurement.fields, values: measurement.values })
    }

    /// Returns the partition of a message whose topic names no sensor.
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
