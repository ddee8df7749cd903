//! What devices send: MQTT topics, payloads and timestamps, decoded into readings.
//!
//! Pure: no I/O and no clock. Bytes from outside become types that the other crates need not check
//! again, or errors that say what the sender can do about them.
//!
//! # Layout
//!
//! - [`topic`]: from an MQTT topic to the sensor's name.
//! - [`sensor`]: from a topic and a payload to the sensor's name.
//! - [`name`]: joins the parts of that name, and escapes what it cannot have.
//! - [`payload`]: from a JSON payload to measurements, within limits.
//! - [`formats`]: the other formats, and which format a payload has.
//! - [`timestamp`]: RFC 3339, its relatives, local times and epoch numbers, read exactly.

pub mod formats;
pub mod name;
pub mod payload;
pub mod sensor;
mod series;
pub mod timestamp;
pub mod topic;

pub use formats::sparkplug::{BirthLimits, SparkplugDecoder, SparkplugRules, SparkplugTopic};
pub use formats::{Explanation, Format, FormatDecoder, is_senml};
pub use name::NameText;
pub use payload::{
    CsvRules, LeftOut, LeftOutReason, Measurement, OnBadTime, PayloadDecoder, PayloadError, PayloadLimits,
    PayloadRules,
};
pub use sensor::{MissingPart, NameParts, SensorTemplate, SensorTemplateError};
pub use timestamp::{LocalZone, TimestampError};
pub use topic::{NoTopicError, TemplateError, TopicError, TopicTemplate, TopicTemplates};
