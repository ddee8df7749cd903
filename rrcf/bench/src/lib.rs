//! `rrcf-rs` side by side with `krcflib`, the Random Cut Forest of AWS in Rust.
//!
//! The binary prints one table per question ([`sections`]) and ends with one line of JSON ([`results`]). Both
//! forests see the same points ([`series`]) in turns, chunk by chunk, and are charged the CPU time of the
//! thread ([`race`]), so that a busy machine disturbs both alike. [`peer`] says how the other side is
//! configured, [`contest`] what "warm" means.

pub mod cli;
pub mod contest;
pub mod machine;
pub mod ours;
pub mod peer;
pub mod race;
pub mod results;
pub mod sections;
pub mod series;
pub mod table;
