//! The decisions that exactly-once rests on, as pure functions: facts in, a decision out. The
//! stores and the actors act on them.
//!
//! Production decides with these functions. So does the explorer in `model/`, which tries every
//! order of events. docs/protocol.md describes both. Scripts inside Redis make four of the
//! decisions. For those, the function says what the script must reply, and `store/tests/it/scripts.rs`
//! compares the two.
//!
//! In the order of the data flow: [`log`] is about writing a log, [`lease`] about who may read it,
//! [`share`] about who should, [`progress`] about how far it is read, [`commit`] about making
//! outcomes durable, and [`checkpoint`] about shortening the replay. The search after a crash is in
//! `poison_search` of the shard.

pub mod checkpoint;
pub mod commit;
pub mod lease;
pub mod log;
pub mod progress;
pub mod share;
