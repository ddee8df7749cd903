//! The manifest of a replay: every message that the broker confirmed, with the exact bits of its
//! values. `verify` compares it with the rows in PostgreSQL.
//!
//! - `format`: the records and their bytes
//! - [`writer`]: appends records; the file on disk always starts with whole records
//! - [`reader`]: reads the records back, up to the point where a killed writer stopped
//! - [`events`]: the injected events, as JSON lines in a file beside the manifest
//! - [`error`]: why a manifest cannot be written or read
//!
//! One replay writes one manifest and never overwrites another. `verify` takes several.

pub mod error;
pub mod events;
mod format;
pub mod reader;
pub mod writer;

pub use error::ManifestError;
pub use events::InjectedEvent;
pub use format::{Disposition, PublishedReading, Record, SensorRecord};
pub use reader::ManifestReader;
pub use writer::ManifestWriter;

#[cfg(test)]
mod tests;
