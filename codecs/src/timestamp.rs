//! From what devices write to a [`Timestamp`]: RFC 3339 text and its relatives, or the time since
//! the epoch as a number.
//!
//! None is read through a floating-point number. All are truncated to whole microseconds;
//! within the accepted years that means towards the past.

mod error;
mod exact;
mod lenient;

pub use error::TimestampError;
pub use exact::{parse_epoch, parse_rfc3339};
pub use lenient::{LocalZone, UnknownZone, parse_lenient};
