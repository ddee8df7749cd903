//! What Thicket stores: every format that outlives a process or crosses between two processes.
//!
//! Pure data and arithmetic: no I/O, no clock, no async. `thicket-store` knows how these formats are
//! written and read; `thicket-codecs` decodes what devices send.
//!
//! # Layout
//!
//! In the order in which a reading meets them:
//!
//! - [`ids`]: sensors, partitions, positions; stable hashes decide who is where.
//! - [`field_set`]: the names that values belong to.
//! - [`reading`]: what a sensor measured at one time.
//! - [`flag`]: what is known of a stored reading beside its score.
//! - [`dead_letter`]: what cannot be processed, and why.
//! - [`entry`]: readings and dead letters packed into one element of a partition's log.
//! - [`keys`]: the names of all keys in Redis.
//! - [`checkpoint`]: the envelope of a detector's state.
//! - [`text`]: shortens foreign text before it is stored or shown.
//! - `postgres`: tables, their rows, and migrations (feature `postgres`).

pub mod checkpoint;
pub mod dead_letter;
pub mod entry;
pub mod field_set;
pub mod flag;
pub mod ids;
pub mod keys;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod reading;

pub mod text;
mod wire;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use dead_letter::{DeadLetter, Reason};
pub use entry::{Control, Entry, EntryError, Item, Record};
pub use field_set::{FieldSet, FieldSetError};
pub use flag::Flag;
pub use ids::{PartitionId, Position, PositionError, RecordPosition, SensorId, SensorName, SensorNameError};
pub use keys::{EpochKey, Keys, LeaseKey};
pub use reading::{Reading, Timestamp};
