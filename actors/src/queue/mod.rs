//! The writer of the log. The log is one Redis stream per partition.
//!
//! - `writer`: the actor.
//! - `flush`: appends, retries, acknowledges.
//! - `options`: the settings.

#[cfg(feature = "faults")]
mod broken;
mod flush;
mod options;
mod writer;

pub use options::QueueWriterOptions;
pub use writer::QueueWriter;
