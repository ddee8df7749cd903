//! What devices send: MQTT topics, payloads and timestamps, decoded into readings.
//!
//! Pure: no I/O and no clock. Bytes from outside become types that the other crates need not check
//! again, or errors that say what the sender can do about them.
//!
//! # Layout
//!
//! - [`topic`]: from an MQTT topic to the sensor's name.
//! - [`payload`]: from a JSON payload to measurements, within limits.
//! - [`formats`]: the other formats, and which format a payload has.
//! - [`timestamp`]: RFC 3339 and epoch numbers, read exactly.

pub mod formats;
pub mod payload;
pub mod timestamp;
pub mod topic;

pub use formats::{Format, FormatDecoder};
pub use payload::{Measurement, PayloadDecoder, PayloadError, PayloadLimits};
pub use timestamp::TimestampError;
pub use topic::{NoTopicError, TemplateError, TopicError, TopicTemplate, TopicTemplates};
