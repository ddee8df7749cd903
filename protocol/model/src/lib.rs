//! The exactly-once protocol in small: a broker, a log in Redis, two nodes, the tables, and every way in which they fail.
//!
//! Whatever production decides by a pure function of `thicket_protocol`, the model decides by the same function; what it adds is the
//! order of events. The explorer tries them all, breadth first, so that what it finds is the shortest way to go wrong. docs/protocol.md says what
//! is covered and what not.
//!
//! [`setting`] bounds an exploration, [`world`] is the state, [`action`] lists the events; [`ingress`], [`ownership`] and [`shard`] are what they
//! do, [`properties`] what must hold whatever happens, and [`explore`] tries them.

pub mod action;
pub mod explore;
pub mod ingress;
pub mod ownership;
pub mod properties;
pub mod setting;
pub mod shard;
pub mod world;

pub use explore::{Counterexample, Report, explore};
pub use setting::{Faults, Rule, Setting};
