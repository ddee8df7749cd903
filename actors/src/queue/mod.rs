//! The log: one Redis stream per partition. This node's writer appends to it.

mod writer;

pub use writer::{QueueWriter, QueueWriterOptions};
