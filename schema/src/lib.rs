//! Every format of Thicket that outlives a process or crosses between two.
//!
//! Pure data and arithmetic: no I/O, no clock, no async. Whatever bytes come from outside are decoded here, into types
//! that the other crates need not check again, or into errors that say what to do.
//!
//! # Layout
//!
//! In the order in which a reading meets them:
//!
//! - [`topic`]: from an MQTT topic to the sensor's name.
//! - [`payload`]: from an MQTT payload to measurements, within limits.
//! - [`timestamp`]: RFC 3339 and epoch numbers, read exactly.
//! - [`ids`]: sensors, partitions, positions; stable hashes decide who is where.
//! - [`field_set`]: the names that values belong to.
//! - [`reading`]: what a sensor measured at one time.
//! - [`dead_letter`]: what cannot be processed, and why.
//! - [`entry`]: readings and dead letters packed into one element of a partition's log.
//! - [`keys`]: the names of all keys in Redis.
//! - [`checkpoint`]: the envelope of a detector's state.
//! - `postgres`: tables and migrations (feature `postgres`, on by default).

pub mod checkpoint;
pub mod dead_letter;
pub mod entry;
pub mod field_set;
pub mod ids;
pub mod keys;
pub mod payload;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod reading;
pub mod timestamp;
pub mod topic;

mod text;
mod wire;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use dead_letter::{DeadLetter, Reason};
pub use entry::{Control, Entry, EntryError, Item, Record};
pub use field_set::{FieldSet, FieldSetError};
pub use ids::{PartitionId, Place, Position, PositionError, SensorId, SensorName, SensorNameError};
pub use keys::Keys;
pub use payload::{Measurement, PayloadDecoder, PayloadError, PayloadLimits};
pub use reading::{Reading, Timestamp, flags};
pub use timestamp::TimestampError;
pub use topic::{NoTopicError, TemplateError, TopicError, TopicTemplate, TopicTemplates};
