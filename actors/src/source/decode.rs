//! Turns an MQTT message into records. Pure. A message that cannot be decoded becomes a dead letter
//! with a reason, and goes through the log like a reading.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use thicket_codecs::formats::sparkplug::{BirthChange, RebirthRequest};
use thicket_codecs::{
    BirthLimits, Format, FormatDecoder, Measurement, NameParts, NameText, OnBadTime, PayloadError,
    PayloadLimits, PayloadRules, SensorTemplate, SparkplugDecoder, SparkplugRules, SparkplugTopic,
    TopicTemplates,
};
use thicket_schema::{DeadLetter, Item, PartitionId, Reading, Reason, Record, SensorName, Timestamp};

use super::explanation::DecodeExplanation;
use super::filter::{filter_receives, plain_filter};
use super::ignore::{IgnoreReason, IgnoreRule, ignore_reason};
use super::stamp::Stamp;

/// How the messages of a broker become readings.
#[derive(Clone, Debug)]
pub struct DecodeOptions {
    /// Number of partitions of the deployment.
    pub partitions: u16,
    /// The subscriptions, at least one. A message belongs to the first one with a matching filter.
    pub subscriptions: Vec<SubscriptionOptions>,
}

/// How the messages of one subscription become readings.
#[derive(Clone, Debug)]
pub struct SubscriptionOptions {
    /// Topic filters to subscribe to.
    pub topics: Vec<String>,
    /// Topic templates that name the sensor, or capture parts for `sensor`.
    pub templates: TopicTemplates,
    /// How the sensor's name is made; `None` for the levels that the topic template captures.
    pub sensor: Option<SensorTemplate>,
    /// The messages that are no readings.
    pub ignore: Vec<IgnoreRule>,
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
    /// How far a timestamp may be after the arrival of its message without being set back.
    pub max_lead: Duration,
}

/// The decoder of one subscription.
#[derive(Debug)]
struct Subscription {
    options: SubscriptionOptions,
    payload: FormatDecoder,
    /// `None` if a format is configured: Sparkplug is then not read.
    sparkplug: Option<SparkplugRules>,
}

/// Decodes messages. A reading without a timestamp gets its arrival time.
#[derive(Debug)]
pub struct MessageDecoder {
    partitions: u16,
    subscriptions: Vec<Subscription>,
    stamp: Stamp,
    sparkplug: RefCell<SparkplugDecoder>,
}

/// What a message becomes.
#[derive(Debug)]
pub struct Decoded {
    /// The records in the order of the message, each with the partition of its sensor. Empty if the
    /// message holds no reading, as some of Sparkplug do not.
    pub records: Vec<(PartitionId, Record)>,
    /// What a Sparkplug birth taught, to store before the message is acknowledged.
    pub birth: Option<BirthChange>,
    /// The command that asks a Sparkplug node for its births, if one is due.
    pub request: Option<RebirthRequest>,
    /// Whether a Sparkplug birth was not learnt, because a limit is reached.
    pub births_are_full: bool,
}

/// A message to decode.
#[derive(Clone, Copy, Debug)]
pub struct DecodeMessage<'m> {
    /// The topic.
    pub topic: &'m str,
    /// The payload.
    pub payload: &'m Bytes,
    /// The MIME type of the payload, which MQTT 5 can have. It counts if the format is `auto`.
    pub content_type: Option<&'m str>,
    /// The DUP flag of MQTT.
    pub redelivered: bool,
    /// The arrival in µs since the Unix epoch.
    pub now_micros: i64,
}

impl<'m> DecodeMessage<'m> {
    /// Creates a message that is delivered for the first time, and whose type is not known.
    pub const fn new(topic: &'m str, payload: &'m Bytes, now_micros: i64) -> Self {
        Self { topic, payload, content_type: None, redelivered: false, now_micros }
    }

    fn dead_letter(&self, reason: Reason, detail: &str) -> Item {
        Item::DeadLetter(DeadLetter::new(self.topic, reason, detail, self.payload))
    }
}

impl MessageDecoder {
    /// Creates a decoder.
    pub fn new(options: DecodeOptions) -> Self {
        let subscriptions = options.subscriptions.into_iter().map(Subscription::new).collect();
        let sparkplug = RefCell::new(SparkplugDecoder::new(BirthLimits::default()));
        Self { partitions: options.partitions, subscriptions, stamp: Stamp::default(), sparkplug }
    }

    /// Shares the timestamps for readings without one with other decoders.
    #[must_use]
    pub fn with_stamp(self, stamp: Stamp) -> Self {
        Self { stamp, ..self }
    }

    /// Returns why a message is no reading and no dead letter; `None` if it must be decoded.
    pub fn ignore_reason(&self, topic: &str, payload: &[u8]) -> Option<IgnoreReason> {
        let subscription = self.subscription(topic);
        // Without a subscription, there are no rules; an empty payload is ignored all the same.
        let Some(Subscription { options, payload: decoder, .. }) = subscription else {
            return payload.is_empty().then_some(IgnoreReason::Empty);
        };
        ignore_reason(&options.ignore, decoder, topic, payload)
    }

    /// Whether a subscription can receive messages of Sparkplug.
    pub fn reads_sparkplug(&self) -> bool {
        self.subscriptions.iter().any(|subscription| {
            let first_levels = subscription.options.topics.iter();
            let mut first_levels = first_levels.filter_map(|filter| plain_filter(filter).split('/').next());
            subscription.sparkplug.is_some()
                && first_levels.any(|level| matches!(level, "#" | "+" | SparkplugTopic::NAMESPACE))
        })
    }

    /// Replaces the known births of Sparkplug by stored ones, each with its name.
    pub fn restore_births(&self, stored: &[(String, Bytes)]) {
        let mut sparkplug = self.sparkplug.borrow_mut();
        sparkplug.clear();
        for (name, birth) in stored {
            if let Err(error) = sparkplug.restore(name, birth) {
                tracing::warn!(%error, "a stored Sparkplug birth is not used");
            }
        }
    }

    /// Decodes one message into records, in the order of the message, each with the partition of
    /// its sensor. A message may hold readings of several devices, which are sensors of their own.
    pub fn decode(&self, message: DecodeMessage<'_>) -> Vec<(PartitionId, Record)> {
        self.decode_with_births(message).records
    }

    /// Decodes one message as [`decode`](Self::decode) does, and returns what its Sparkplug births
    /// change.
    pub fn decode_with_births(&self, message: DecodeMessage<'_>) -> Decoded {
        let DecodeMessage { topic, payload, redelivered, now_micros, .. } = message;
        let mut decoded = Decoded { records: Vec::new(), birth: None, request: None, births_are_full: false };
        let (sensor, items) = if let Some(subscription) = self.subscription(topic) {
            match (&subscription.sparkplug, SparkplugTopic::parse(topic)) {
                (Some(rules), Some(parsed)) => {
                    let now = Timestamp(now_micros);
                    let mut sparkplug = self.sparkplug.borrow_mut();
                    let of_sparkplug = sparkplug.decode(rules, &parsed, payload, redelivered, now);
                    decoded.birth = of_sparkplug.birth;
                    decoded.request = of_sparkplug.request;
                    decoded.births_are_full = of_sparkplug.births_are_full;
                    subscription.sparkplug_items(message, &parsed, of_sparkplug.elements, &self.stamp)
                }
                _ => subscription.items(message, &self.stamp),
            }
        } else {
            let detail = format!("no subscription has a filter that matches the topic {topic}");
            (None, vec![message.dead_letter(Reason::NoTopicTemplate, &detail)])
        };
        // The dead letters of a message belong to the partition of the sensor in its topic, or else
        // to a partition by the hash of the topic.
        let of_message =
            sensor.map_or_else(|| self.partition_of_topic(topic), |sensor| sensor.partition(self.partitions));
        let record = |item: Item| {
            let partition = match &item {
                Item::Reading(reading) => reading.sensor.partition(self.partitions),
                Item::DeadLetter(_) | Item::Control(_) => of_message,
            };
            (partition, Record { received: now_micros, redelivered, item })
        };
        decoded.records = items.into_iter().map(record).collect();
        decoded
    }

    /// Decodes a message as [`decode`](Self::decode) does, and explains each step. Slower; for
    /// people who set up a device.
    pub fn explain(&self, topic: &str, payload: &Bytes, now_micros: i64) -> DecodeExplanation {
        let receives = |one: &Subscription| one.receives(topic);
        let Some(subscription) = self.subscriptions.iter().position(receives) else {
            return DecodeExplanation::default();
        };
        let Subscription { options, payload: decoder, sparkplug } = &self.subscriptions[subscription];
        let filter = options.topics.iter().find(|filter| filter_receives(filter, topic)).cloned();
        let ignored = ignore_reason(&options.ignore, decoder, topic, payload);
        let captured = options.templates.captures(topic).map(|captured| {
            captured.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
        });
        let steps = DecodeExplanation {
            subscription: Some(subscription),
            filter,
            ignored,
            captured,
            ..DecodeExplanation::default()
        };
        if ignored.is_some() {
            return steps;
        }
        let records = self.decode(DecodeMessage::new(topic, payload, now_micros));
        let items = records.into_iter().map(|(_, record)| record.item).collect();
        if let (Some(rules), Some(topic)) = (sparkplug, SparkplugTopic::parse(topic)) {
            let now = Timestamp(now_micros);
            let mut decoder = self.sparkplug.borrow_mut();
            let (_, left_out) = decoder.decode_explained(rules, &topic, payload, true, now);
            let format = Some(SparkplugTopic::FORMAT.to_owned());
            return DecodeExplanation { format, is_sparkplug: true, left_out, items, ..steps };
        }
        let payload_steps = decoder.explain(topic, payload);
        DecodeExplanation {
            format: payload_steps.format.map(|format| format.to_string()),
            compression: payload_steps.compression,
            left_out: payload_steps.left_out,
            apart: payload_steps.apart,
            items,
            ..steps
        }
    }

    /// Returns the subscription that a message belongs to. A single subscription gets every message:
    /// the session of the broker may hold messages of earlier filters.
    fn subscription(&self, topic: &str) -> Option<&Subscription> {
        match &self.subscriptions[..] {
            [only] => Some(only),
            all => all.iter().find(|subscription| subscription.receives(topic)),
        }
    }

    /// Returns the partition of a message whose topic names no sensor.
    fn partition_of_topic(&self, topic: &str) -> PartitionId {
        let hash = xxhash_rust::xxh3::xxh3_64(topic.as_bytes());
        PartitionId((hash % u64::from(self.partitions)) as u16)
    }
}

impl Subscription {
    fn new(options: SubscriptionOptions) -> Self {
        let mut rules = options.rules.clone();
        if let Some(sensor) = &options.sensor {
            rules.labels = sensor.members().to_vec();
        }
        let payload =
            FormatDecoder::new(options.format, options.limits.clone(), options.timestamp_keys.clone())
                .with_rules(&rules);
        let sparkplug =
            (options.format == Format::Auto).then(|| SparkplugRules::new(options.limits.clone(), rules));
        Self { options, payload, sparkplug }
    }

    fn receives(&self, topic: &str) -> bool {
        self.options.topics.iter().any(|filter| filter_receives(filter, topic))
    }

    /// Returns the readings and dead letters of a message, and the sensor that its topic names, if
    /// the topic alone names one.
    fn items(&self, message: DecodeMessage<'_>, stamp: &Stamp) -> (Option<SensorName>, Vec<Item>) {
        let DecodeMessage { topic, payload, content_type, .. } = message;
        let of_topic = match &self.options.sensor {
            None => match self.options.templates.sensor(topic) {
                Ok(sensor) => Some(sensor),
                Err(error) => {
                    return (None, vec![message.dead_letter(Reason::from(&error), &error.to_string())]);
                }
            },
            Some(_) => None,
        };
        let elements = match self.payload.decode_as(content_type, topic, payload) {
            Ok(elements) => elements,
            Err(error) => {
                return (of_topic, vec![message.dead_letter(Reason::from(&error), &error.to_string())]);
            }
        };
        let items = elements.into_iter().map(|element| match element {
            Ok(measurement) => self.sensor(message, of_topic.as_ref(), &measurement).map_or_else(
                |dead_letter| dead_letter,
                |sensor| self.item(message, sensor, measurement, stamp),
            ),
            Err(error) => message.dead_letter(Reason::from(&error), &error.to_string()),
        });
        let items = items.collect();
        (of_topic, items)
    }

    /// Returns the readings and dead letters of a Sparkplug message, and its sensor.
    ///
    /// The sensor is the edge node or device, unless the template of the sensor's name gives another
    /// name. A topic template alone does not count: it would take the type of the message into the
    /// name.
    fn sparkplug_items(
        &self,
        message: DecodeMessage<'_>,
        topic: &SparkplugTopic<'_>,
        elements: Result<Vec<Result<Measurement, PayloadError>>, PayloadError>,
        stamp: &Stamp,
    ) -> (Option<SensorName>, Vec<Item>) {
        let name = self.options.sensor.as_ref().and_then(|template| {
            let captured = self.options.templates.captures(message.topic);
            let parts = NameParts { topic: message.topic, captured: captured.as_deref(), members: &[] };
            Some(template.name(parts).ok()?.finish())
        });
        let sensor = match SensorName::new(&name.unwrap_or_else(|| topic.source())) {
            Ok(sensor) => sensor,
            Err(error) => {
                return (None, vec![message.dead_letter(Reason::BadSensorName, &error.to_string())]);
            }
        };
        let dead_letter = |error: &PayloadError| message.dead_letter(Reason::from(error), &error.to_string());
        let items = match elements {
            Err(error) => vec![dead_letter(&error)],
            Ok(elements) => elements
                .into_iter()
                .map(|element| match element {
                    Ok(measurement) => self.item(message, sensor.clone(), measurement, stamp),
                    Err(error) => dead_letter(&error),
                })
                .collect(),
        };
        (Some(sensor), items)
    }

    /// Returns the sensor of a measurement, or the dead letter of a message that names none.
    fn sensor(
        &self,
        message: DecodeMessage<'_>,
        of_topic: Option<&SensorName>,
        measurement: &Measurement,
    ) -> Result<SensorName, Item> {
        let mut name = match (&self.options.sensor, of_topic) {
            (Some(template), _) => {
                let captured = self.options.templates.captures(message.topic);
                let parts = NameParts {
                    topic: message.topic,
                    captured: captured.as_deref(),
                    members: &measurement.labels,
                };
                let name = template.name(parts);
                name.map_err(|missing| message.dead_letter(Reason::NoSensor, &missing.to_string()))?
            }
            (None, Some(sensor)) if measurement.device.is_none() => return Ok(sensor.clone()),
            (None, sensor) => {
                let mut name = NameText::default();
                name.push(sensor.map(SensorName::as_str).unwrap_or_default());
                name
            }
        };
        if let Some(device) = &measurement.device {
            name.push("/");
            // Without a name it is no device: the slash stays, and the name is refused.
            if !device.is_empty() {
                name.push_of_payload(device);
            }
        }
        SensorName::new(&name.finish())
            .map_err(|error| message.dead_letter(Reason::BadSensorName, &error.to_string()))
    }

    fn item(
        &self,
        message: DecodeMessage<'_>,
        sensor: SensorName,
        measurement: Measurement,
        stamp: &Stamp,
    ) -> Item {
        let now_micros = message.now_micros;
        let is_near = |ts: &Timestamp| {
            ts.0 <= now_micros.saturating_add(micros(self.options.max_future))
                && ts.0 >= now_micros.saturating_sub(micros(self.options.max_age))
        };
        let refuses = self.options.rules.on_bad_time == OnBadTime::Refuse;
        let written = measurement.ts.filter(|ts| refuses || is_near(ts));
        // A relative time is the device's statement, although it counts from the arrival.
        let mut stamped = written.is_none() && measurement.offset_micros == 0;
        let mut ts = written.unwrap_or(Timestamp(now_micros.saturating_add(measurement.offset_micros)));
        if ts.0 > now_micros.saturating_add(micros(self.options.max_future)) {
            return message.dead_letter(
                Reason::TimestampInFuture,
                &format!("{ts} is too far after its arrival; see mqtt.max_future"),
            );
        }
        if ts.0 < now_micros.saturating_sub(micros(self.options.max_age)) {
            return message.dead_letter(
                Reason::TimestampTooOld,
                &format!("{ts} is too far before its arrival; see mqtt.max_age"),
            );
        }
        // A time that is ahead makes all later readings of the sensor late until it is over. The
        // limit increases with the arrivals, so it keeps the order of readings that are ahead.
        let limit = now_micros.saturating_add(micros(self.options.max_lead));
        if stamped {
            ts = stamp.next(now_micros);
        } else if ts.0 > limit {
            (ts, stamped) = (stamp.set_back(limit), true);
        }
        Item::Reading(Reading { sensor, ts, stamped, fields: measurement.fields, values: measurement.values })
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
