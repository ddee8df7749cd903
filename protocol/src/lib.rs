//! The decisions of the exactly-once protocol, apart from the stores and the actors that act on them. Pure: facts that were already read come in,
//! a verdict goes out.
//!
//! Production decides with these functions, and so does the model in `model/`, which tries them in every order of events; docs/protocol.md is the
//! page about both. Four decisions are made inside Redis, by a script: there the function says what the script must answer, and
//! `tests/scripts.rs` compares the two.
//!
//! In the order that data flows: [`log`] is written, a [`lease`] lets somebody read it, [`progress`] is made, a [`commit`] makes it durable, a
//! [`checkpoint`] shortens the way back. What a death teaches is in `shard/caution.rs`.

pub mod checkpoint;
pub mod commit;
pub mod lease;
pub mod log;
pub mod progress;
