//! Compares `rrcf-rs` with `krcflib`, the Random Cut Forest of AWS in Rust.
//!
//! The binary prints one table per question ([`sections`]) and ends with one line of JSON
//! ([`results`]). Both forests see the same points ([`series`]) in turns, chunk by chunk. The CPU
//! time of the thread is measured ([`race`]), so that a busy machine disturbs both alike. [`peer`]
//! describes the configuration of krcflib, and [`contest`] the meaning of "warm".

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
