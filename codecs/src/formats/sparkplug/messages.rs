//! The messages of Sparkplug B, as far as they are read. The numbers of the fields are those of
//! `sparkplug_b.proto`; other fields are skipped.

/// A payload.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    /// When the message was sent, in ms since the Unix epoch.
    #[prost(uint64, optional, tag = "1")]
    pub timestamp: Option<u64>,
    /// The metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// The sequence number, 0 to 255, counted over all messages of an edge node.
    #[prost(uint64, optional, tag = "3")]
    pub seq: Option<u64>,
}

impl Payload {
    /// Returns the bytes to publish.
    pub fn to_bytes(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }
}

/// A payload whose metrics are not decoded yet. A damaged metric does not affect the others, and
/// only one decoded metric at a time takes memory.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(uint64, optional, tag = "1")]
    pub(super) timestamp: Option<u64>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) metrics: Vec<Vec<u8>>,
    #[prost(uint64, optional, tag = "3")]
    pub(super) seq: Option<u64>,
    /// Names the form of the body, if the payload is within it.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) uuid: Option<Vec<u8>>,
}

/// A metric.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Its name. Data may leave it out if the birth certificate gives the alias.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A number that stands for the name.
    #[prost(uint64, optional, tag = "2")]
    pub alias: Option<u64>,
    /// When the value was measured, in ms since the Unix epoch.
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
    /// The [type](super::DataType) of the value.
    #[prost(uint32, optional, tag = "4")]
    pub datatype: Option<u32>,
    /// Whether the value is not the current one.
    #[prost(bool, optional, tag = "5")]
    pub is_historical: Option<bool>,
    /// Whether there is no value.
    #[prost(bool, optional, tag = "7")]
    pub is_null: Option<bool>,
    /// The value; `None` also for the kinds that are no numbers.
    #[prost(oneof = "MetricValue", tags = "10, 11, 12, 13, 14")]
    pub value: Option<MetricValue>,
}

/// The value of a metric. Signed integers are transported as unsigned ones.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum MetricValue {
    /// An integer of up to 32 bits.
    #[prost(uint32, tag = "10")]
    Int(u32),
    /// An integer of up to 64 bits.
    #[prost(uint64, tag = "11")]
    Long(u64),
    /// A float of 32 bits.
    #[prost(float, tag = "12")]
    Float(f32),
    /// A float of 64 bits.
    #[prost(double, tag = "13")]
    Double(f64),
    /// A boolean.
    #[prost(bool, tag = "14")]
    Boolean(bool),
}
