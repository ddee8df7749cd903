//! The decisions that exactly-once rests on, apart from the stores and the actors that act on them. Pure: facts
//! that were read in, a decision out.
//!
//! Production decides with these functions, and so does the explorer in `model/`, which tries them in every order of
//! events; docs/protocol.md is the page about both. Scripts inside Redis make four of the decisions. For those, the
//! function says what the script must reply, and `store/tests/scripts.rs` compares the two.
//!
//! In the order that data flows: [`log`] is written, a [`lease`] lets a node read it, [`progress`] is made, a [`commit`]
//! makes it durable, a [`checkpoint`] shortens the replay. What a crash teaches is in the shard's `poison_search`.

pub mod checkpoint;
pub mod commit;
pub mod lease;
pub mod log;
pub mod progress;
