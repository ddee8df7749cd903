//! A small model of the exactly-once protocol: a broker, a log in Redis, two nodes, the tables, and
//! every fault that can happen to them.
//!
//! Where production decides by a pure function of `thicket_protocol`, the model decides by the same
//! function. The model adds the order of events. The explorer tries every order, breadth first, so
//! a violation is found by a shortest trace. docs/protocol.md says what is covered and what is not.
//!
//! [`setting`] bounds an exploration. [`world`] is the state. [`event`] lists the events, and
//! [`action`] says which are possible and applies one. [`ingress`], [`ownership`] and [`shard`]
//! contain their effects. [`properties`] must hold in every state. [`mod@explore`] tries all orders.

pub mod action;
pub mod event;
pub mod explore;
pub mod ingress;
pub mod ownership;
pub mod properties;
pub mod setting;
pub mod shard;
pub mod world;

pub use explore::{Counterexample, Report, explore};
pub use setting::{Faults, Rule, Setting};
