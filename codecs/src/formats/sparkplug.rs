//! Sparkplug B 3.0: Protobuf messages of industrial gateways, on topics such as
//! `spBv1.0/<group>/DDATA/<node>/<device>`.
//!
//! A birth certificate (`NBIRTH`, `DBIRTH`) tells the names, aliases and datatypes of all metrics of
//! an edge node or device, and their current values. Data (`NDATA`, `DDATA`) hold the metrics that
//! have changed, mostly by alias. So this decoder has a state, unlike the others: the births. The
//! caller stores each [`BirthChange`] before it acknowledges the message, and restores them at its
//! start.
//!
//! # Which metrics are fields
//!
//! - A field has the whole name of its metric, with its slashes.
//! - Numbers and booleans are fields. Metrics of other types, `bdSeq`, and metrics below
//!   `Node Control/`, `Device Control/` and `Properties/` are left out.
//! - Data: the metrics of one time are one reading. A metric without a time has that of its message.
//! - A birth is one reading at the time of the message: a birth repeats values that have not changed,
//!   with the time of their last change. It is one microsecond earlier, so that data of the same
//!   millisecond follow it.
//! - Historical metrics always have their own time.
//! - If no metric of a message can be a field, the message is an error that names them (`finish`).

use std::fmt;

use prost::Message as _;
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::compression;
use super::rows::{Rows, Time};
use crate::payload::{
    Compiled, LeftOut, LeftOutReason, Measurement, PayloadError, PayloadLimits, PayloadRules, is_storable,
};
use crate::timestamp::parse_epoch;
use births::{Births, Declared, Learnt, Metrics};
use messages::Envelope;
use rebirths::Rebirths;

mod births;
mod messages;
mod rebirths;
mod topic;
mod value;

pub use births::{BirthChange, BirthLimits, StoredBirthError};
pub use messages::{Metric, MetricValue, Payload};
pub use topic::{MessageKind, SparkplugTopic};
pub use value::DataType;

/// The metric by which an edge node is asked for its births.
const REBIRTH: &str = "Node Control/Rebirth";
const FORMAT: &str = SparkplugTopic::FORMAT;

/// The limits of messages, and the rules that choose their metrics. Subscriptions at one broker may
/// have different ones.
pub struct SparkplugRules {
    limits: PayloadLimits,
    metrics: Compiled,
}

impl SparkplugRules {
    /// Creates rules. Of the rules of a payload, the patterns of fields and the floor of times count.
    pub fn new(limits: PayloadLimits, rules: PayloadRules) -> Self {
        Self { limits, metrics: Compiled::new(rules) }
    }

    /// Reads a time in milliseconds. Other units are told by the magnitude, as everywhere.
    fn time(&self, millis: Option<u64>) -> Option<Timestamp> {
        let time = parse_epoch(&millis?.to_string()).ok()?;
        (time >= self.metrics.rules.time_floor).then_some(time)
    }
}

/// Decodes the messages of a broker, and remembers births.
#[derive(Debug)]
pub struct SparkplugDecoder {
    births: Births,
    rebirths: Rebirths,
}

/// What became of a message.
#[derive(Debug)]
pub struct Decoded {
    /// The outcome of each reading, or the error of the whole message. Some messages hold no reading,
    /// and no error: deaths, births whose metrics have no value yet, data with texts, dates or identifiers alone.
    pub elements: Result<Vec<Result<Measurement, PayloadError>>, PayloadError>,
    /// What to store before the message is acknowledged.
    pub birth: Option<BirthChange>,
    /// The command that asks the edge node for its births, if one is due.
    pub request: Option<RebirthRequest>,
    /// Whether a birth was not learnt, because a limit is reached.
    pub births_are_full: bool,
}

/// A command that asks an edge node for its births, to publish at QoS 0, not retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebirthRequest {
    /// Where to publish it.
    pub topic: String,
    /// What to publish.
    pub payload: Vec<u8>,
}

/// A message while it is decoded.
struct Reading<'a> {
    rules: &'a SparkplugRules,
    source: String,
    sent: Option<Timestamp>,
    /// The metrics that are no fields, as long as no metric is one.
    refused: Vec<LeftOut>,
    left_out: Option<&'a mut Vec<LeftOut>>,
}

impl SparkplugDecoder {
    /// Creates a decoder that knows no birth.
    pub fn new(limits: BirthLimits) -> Self {
        Self { births: Births::new(limits), rebirths: Rebirths::new(limits.max_sources) }
    }

    /// Restores a birth that was stored. The order does not matter.
    pub fn restore(&mut self, name: &str, birth: &[u8]) -> Result<(), StoredBirthError> {
        self.births.restore(name, birth)
    }

    /// Forgets all births and counts, before the births that another node stored are restored.
    pub fn clear(&mut self) {
        let limits = self.births.limits();
        self.births = Births::new(limits);
        self.rebirths = Rebirths::new(limits.max_sources);
    }

    /// Returns the number of edge nodes and devices whose births are known.
    pub fn sources(&self) -> usize {
        self.births.sources()
    }

    /// Decodes a message that arrived at `now`. `redelivered` is the DUP flag of MQTT. A message of
    /// another kind than births and data holds no reading.
    pub fn decode(
        &mut self,
        rules: &SparkplugRules,
        topic: &SparkplugTopic<'_>,
        payload: &[u8],
        redelivered: bool,
        now: Timestamp,
    ) -> Decoded {
        self.decode_reporting(rules, topic, payload, redelivered, now, None)
    }

    /// Decodes a message as [`decode`](Self::decode) does, and returns the metrics that are no
    /// fields, with the reasons.
    pub fn decode_explained(
        &mut self,
        rules: &SparkplugRules,
        topic: &SparkplugTopic<'_>,
        payload: &[u8],
        redelivered: bool,
        now: Timestamp,
    ) -> (Decoded, Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let decoded = self.decode_reporting(rules, topic, payload, redelivered, now, Some(&mut left_out));
        (decoded, left_out)
    }

    fn decode_reporting(
        &mut self,
        rules: &SparkplugRules,
        topic: &SparkplugTopic<'_>,
        payload: &[u8],
        redelivered: bool,
        now: Timestamp,
        left_out: Option<&mut Vec<LeftOut>>,
    ) -> Decoded {
        let mut decoded =
            Decoded { elements: Ok(Vec::new()), birth: None, request: None, births_are_full: false };
        if topic.kind == MessageKind::Other {
            return decoded;
        }
        let envelope = match open(rules, payload) {
            Ok(envelope) => envelope,
            Err(error) => return Decoded { elements: Err(error), ..decoded },
        };
        let node = topic.node();
        let begins = topic.begins_the_count();
        let mut is_due = self.rebirths.misses_messages(&node, envelope.seq, begins, redelivered);
        let sent = rules.time(envelope.timestamp);
        let reading = Reading { rules, source: topic.source(), sent, refused: Vec::new(), left_out };
        decoded.elements = match topic.kind {
            MessageKind::Birth => self.birth(reading, &envelope, redelivered, now, &mut decoded),
            MessageKind::Data => self.data(reading, &envelope),
            MessageKind::DeviceDeath | MessageKind::Other => Ok(Vec::new()),
        };
        is_due |= decoded.elements.as_ref().is_ok_and(|elements| {
            elements.iter().any(|element| matches!(element, Err(PayloadError::NoBirth { .. })))
        });
        if is_due && self.rebirths.may_request(&node, now) {
            decoded.request = Some(rebirth_request(topic, now));
        }
        decoded
    }

    fn birth(
        &mut self,
        mut reading: Reading<'_>,
        envelope: &Envelope,
        redelivered: bool,
        now: Timestamp,
        decoded: &mut Decoded,
    ) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        // Data of the same millisecond follow the birth.
        let before_data = reading.sent.map(|sent| Timestamp(sent.0 - 1));
        let mut rows = Rows::new(&reading.rules.limits);
        let mut declared = Vec::new();
        for metric in &envelope.metrics {
            let mut metric = match Metric::decode(metric.as_slice()) {
                Ok(metric) => metric,
                Err(error) => {
                    rows.fail(malformed(&error));
                    continue;
                }
            };
            let Some(name) = metric.name.take().filter(|name| !name.is_empty()) else {
                rows.fail(no_name());
                continue;
            };
            let datatype = own_datatype(&metric).unwrap_or_default();
            let is_historical = metric.is_historical == Some(true);
            let time = is_historical.then_some(metric.timestamp).flatten();
            let time = reading.rules.time(time).or(before_data).map_or(Time::Offset(0), Time::At);
            reading.add(&mut rows, &name, datatype, &metric, time);
            declared.push(Declared { name, alias: metric.alias, datatype });
        }
        let since = reading.sent.unwrap_or(now);
        match self.births.learn(&reading.source, since, Metrics::new(declared), redelivered) {
            Learnt::Known => {}
            Learnt::New(change) => decoded.birth = Some(change),
            Learnt::Full(change) => {
                decoded.birth = change;
                decoded.births_are_full = true;
            }
        }
        finish(rows, &reading.refused, |_| true)
    }

    fn data(
        &self,
        mut reading: Reading<'_>,
        envelope: &Envelope,
    ) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        let metrics = || envelope.metrics.iter().map(|metric| Metric::decode(metric.as_slice()));
        let readable = || metrics().filter_map(Result::ok);
        let at = reading
            .sent
            .or_else(|| readable().filter_map(|metric| reading.rules.time(metric.timestamp)).max());
        // A node may send what it stored before its birth with the time at which it stored it.
        let stored_before = || {
            let are_historical = readable().all(|metric| metric.is_historical == Some(true));
            are_historical.then(|| self.births.oldest(&reading.source)).flatten()
        };
        let birth = self.births.find(&reading.source, at).or_else(stored_before);
        let mut rows = Rows::new(&reading.rules.limits);
        let mut unknown = None;
        for metric in metrics() {
            let metric = match metric {
                Ok(metric) => metric,
                Err(error) => {
                    rows.fail(malformed(&error));
                    continue;
                }
            };
            let time =
                reading.rules.time(metric.timestamp).or(reading.sent).map_or(Time::Offset(0), Time::At);
            let is_known = match resolve(&metric, birth) {
                None => metric.is_null == Some(true),
                Some((name, datatype)) => {
                    reading.add(&mut rows, name, datatype, &metric, time) || states_datatype(&metric)
                }
            };
            if !is_known {
                unknown.get_or_insert_with(|| detail(&metric, &reading.source, birth.is_some()));
            }
        }
        if let Some(detail) = unknown {
            rows.fail(PayloadError::NoBirth { detail });
        }
        finish(rows, &reading.refused, |reason| !value::comes_alone(reason))
    }
}

impl Reading<'_> {
    /// Adds a metric to the readings, or leaves it out. Returns false if it has a value that its
    /// datatype does not have: the datatype is that of another birth.
    fn add(&mut self, rows: &mut Rows<'_>, name: &str, datatype: u32, metric: &Metric, time: Time) -> bool {
        let reason = if is_of_sparkplug(name) {
            LeftOutReason::OfSparkplug
        } else if self.rules.metrics.excludes(name) {
            LeftOutReason::Excluded
        } else if !self.rules.metrics.includes(name) {
            LeftOutReason::NotIncluded
        } else if metric.is_null == Some(true) {
            LeftOutReason::Missing
        } else {
            match value::read(datatype, metric.value) {
                Ok(_) if !is_storable(name) => LeftOutReason::BadName,
                Ok(value) => {
                    rows.add(None, time, name.to_owned(), value);
                    return true;
                }
                Err(reason) => reason,
            }
        };
        let is_readable = reason != LeftOutReason::WrongType;
        if rows.is_empty() {
            self.refused.push(LeftOut { path: excerpt(name), reason: reason.clone() });
        }
        if let Some(left_out) = self.left_out.as_deref_mut() {
            left_out.push(LeftOut { path: excerpt(name), reason });
        }
        is_readable
    }
}

impl fmt::Debug for SparkplugRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SparkplugRules").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn open(rules: &SparkplugRules, payload: &[u8]) -> Result<Envelope, PayloadError> {
    let limit = rules.limits.max_bytes;
    if payload.len() > limit {
        return Err(PayloadError::TooLarge { bytes: payload.len(), limit });
    }
    let payload = compression::unwrap(payload, limit)?;
    let envelope = Envelope::decode(&*payload).map_err(|error| malformed(&error))?;
    match envelope.uuid.as_deref() {
        Some(b"SPBV1.0_COMPRESSED") => {
            let looks_like = "a payload that Sparkplug compresses by itself".to_owned();
            Err(PayloadError::UnknownFormat { looks_like })
        }
        _ => Ok(envelope),
    }
}

/// Returns the name and the datatype of a metric; `None` if only a birth can tell them.
fn resolve<'m>(metric: &'m Metric, birth: Option<&'m Metrics>) -> Option<(&'m str, u32)> {
    let name = metric.name.as_deref().filter(|name| !name.is_empty());
    let declared = match (name, metric.alias) {
        (Some(name), _) => birth.and_then(|birth| birth.by_name(name)),
        (None, Some(alias)) => Some(birth?.by_alias(alias)?),
        (None, None) => None,
    };
    let name = name.or(declared.map(|declared| declared.name.as_str()))?;
    let declared = || declared.map(|declared| declared.datatype);
    let datatype =
        if states_datatype(metric) { metric.datatype } else { declared().or(own_datatype(metric)) };
    Some((name, datatype?))
}

fn states_datatype(metric: &Metric) -> bool {
    metric.datatype.is_some_and(|datatype| datatype != 0)
}

/// Returns the datatype that a metric states, or that its value alone tells.
fn own_datatype(metric: &Metric) -> Option<u32> {
    let of_value = || metric.value.and_then(DataType::of_value).map(|datatype| datatype as u32);
    if states_datatype(metric) { metric.datatype } else { of_value() }
}

/// Whether a metric controls or describes a device instead of measuring.
fn is_of_sparkplug(name: &str) -> bool {
    const GROUPS: [&str; 3] = ["Node Control/", "Device Control/", "Properties/"];
    name == "bdSeq" || GROUPS.iter().any(|group| name.starts_with(group))
}

/// Says which metric is unknown.
fn detail(metric: &Metric, source: &str, has_birth: bool) -> String {
    let which = match (&metric.name, metric.alias) {
        (Some(name), _) => format!("the metric {}", excerpt(name)),
        (None, Some(alias)) => format!("the metric with alias {alias}"),
        (None, None) => return "a metric has neither name nor alias".to_owned(),
    };
    let source = excerpt(source);
    if has_birth {
        format!("{which} is not in the birth certificate of {source}, or has another datatype")
    } else {
        format!("{which} is unknown: no birth certificate of {source} came before the message")
    }
}

/// Returns the command that asks the sender on a topic for its births.
fn rebirth_request(topic: &SparkplugTopic<'_>, now: Timestamp) -> RebirthRequest {
    let timestamp = u64::try_from(now.0 / 1_000).ok();
    let metric = Metric {
        name: Some(REBIRTH.to_owned()),
        timestamp,
        datatype: Some(DataType::Boolean as u32),
        value: Some(MetricValue::Boolean(true)),
        ..Metric::default()
    };
    let payload = Payload { timestamp, metrics: vec![metric], seq: None };
    RebirthRequest { topic: topic.command(), payload: payload.to_bytes() }
}

/// Returns the readings. A message without any is an error if it has metrics that cannot be fields, and
/// no others: `matters` says which reasons count. Not so are metrics of Sparkplug itself and those that
/// the patterns leave out, and one without a value now may have one later.
fn finish(
    rows: Rows<'_>,
    refused: &[LeftOut],
    matters: impl Fn(&LeftOutReason) -> bool,
) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
    use LeftOutReason::{Excluded, Missing, NotIncluded, OfSparkplug};
    if !rows.is_empty() {
        return rows.finish();
    }
    let is_of_device = |metric: &&LeftOut| !matches!(metric.reason, OfSparkplug | Excluded | NotIncluded);
    let of_device: Vec<LeftOut> = refused.iter().filter(is_of_device).cloned().collect();
    let has_value_later = of_device.iter().any(|metric| metric.reason == Missing);
    if has_value_later || !of_device.iter().any(|metric| matters(&metric.reason)) {
        return Ok(Vec::new());
    }
    Err(PayloadError::no_field(&of_device))
}

fn malformed(error: &prost::DecodeError) -> PayloadError {
    PayloadError::Malformed { format: FORMAT, detail: error.to_string() }
}

fn no_name() -> PayloadError {
    PayloadError::Malformed {
        format: FORMAT,
        detail: "a metric of a birth certificate has no name".to_owned(),
    }
}

#[cfg(test)]
mod tests;
