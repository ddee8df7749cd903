//! The encoding of one element of a partition's stream: a batch of readings and dead letters, or a
//! control.
//!
//! # Layout, version 1
//!
//! | part | bytes | what |
//! |---|---|---|
//! | version | 1 | `1` |
//! | kind | 1 | `1` = records |
//! | predecessor | varint, varint | generation and n of the entry before this one |
//! | field sets | varint count, then each: | |
//! | · names | varint count, then each varint length and UTF-8 | sorted |
//! | series | varint count, then each: | one per sensor and field set |
//! | · sensor | varint length and UTF-8 | the name |
//! | · field set | varint | its index |
//! | records | varint count, then each: | |
//! | · head | varint | bit 0 dead letter, 1 redelivered, 2 stamped; from 3 index of the series |
//! | · received | zigzag varint | µs, minus that of the record before |
//! | · of a reading: ts | zigzag varint | µs, minus that of the reading before |
//! | · of a reading: values | 8 per field | bits of the 64-bit float, little endian |
//! | · of a dead letter | four times varint length and bytes | reason, topic, detail, payload |
//! | · of a dead letter: payload length | varint | of the whole payload |
//!
//! A control entry holds one control instead of field sets, series and records:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | kind | 1 | `2` = control |
//! | received | zigzag varint | µs |
//! | control | twice varint length and UTF-8 | its name and its body |
//!
//! Every entry ends with a checksum:
//!
//! | part | bytes | what |
//! |---|---|---|
//! | checksum | 4 | low half of the 64-bit XXH3 of everything before, little endian |
//!
//! The first times are differences from 0. Differences wrap around 64 bits. A later build may write
//! other versions, kinds, controls and reasons. All of them begin with the version and end with
//! this checksum, so a reader tells them from a damaged entry
//! ([`needs_newer_build`](EntryError::needs_newer_build)), and does not skip them. Decoding never
//! panics, and allocates in proportion to the bytes that it gets.

mod control;
mod decode;
mod encode;
#[cfg(any(test, feature = "faults"))]
mod later_build;
mod layout;
mod types;

pub use control::{Control, SensorAction};
pub use types::{Entry, EntryError, Item, Record};

#[cfg(test)]
mod tests;
