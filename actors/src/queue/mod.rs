//! The log: one Redis stream per partition. This node's writer appends to it.
//!
//! - `writer`: the actor.
//! - `flush`: appends, acknowledges, retries.

#[cfg(feature = "faults")]
mod broken;
mod flush;
mod options;
mod writer;

pub use options::QueueWriterOptions;
pub use writer::QueueWriter;
