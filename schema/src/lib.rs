//! What Thicket stores: every format that outlives a process or is shared by two processes.
//!
//! Pure data and arithmetic: no I/O, no clock, no async. The exception is `postgres::migrate`,
//! behind a feature. `thicket-store` writes and reads these formats. `thicket-codecs` decodes what
//! devices send.
//!
//! # Layout
//!
//! In the order of the data flow:
//!
//! - [`ids`]: sensors, partitions and positions. A stable hash assigns sensors to partitions.
//! - [`field_set`]: the names of the values of a reading.
//! - [`reading`]: the values that a sensor measured at one time.
//! - [`flag`]: properties of a stored reading besides its score.
//! - [`dead_letter`]: messages and readings that cannot be processed, and why.
//! - [`entry`]: readings and dead letters packed into one element of a partition's log.
//! - [`keys`]: the names of all keys in Redis.
//! - [`checkpoint`]: the envelope of the state of a detector.
//! - [`text`]: shortens foreign text before it is stored or shown.
//! - `postgres`: tables, their rows, and migrations (feature `postgres`).

pub mod checkpoint;
pub mod dead_letter;
pub mod entry;
pub mod field_set;
pub mod flag;
pub mod ids;
pub mod keys;
mod name_hash;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod reading;
pub mod text;
mod wire;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use dead_letter::{DeadLetter, Reason};
pub use entry::{Control, Entry, EntryError, Item, Record, SensorAction};
pub use field_set::{FieldSet, FieldSetError};
pub use flag::Flag;
pub use ids::{PartitionId, Position, PositionError, RecordPosition, SensorId, SensorName, SensorNameError};
pub use keys::{EpochKey, Keys, LeaseKey, NodesKey};
pub use reading::{Reading, Timestamp};
