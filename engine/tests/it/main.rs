//! The engine's integration tests: an engine process on private servers, from an MQTT message to a
//! row, with the failures that may happen on the way. One binary, so that the dependencies are
//! linked once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod anomalies;
mod backtest;
mod broker_rights;
mod budgets;
mod check;
mod clocks;
mod command_line;
mod commands;
mod configuration;
#[cfg(feature = "faults")]
mod crash;
mod dead_letters;
mod deployment;
mod explain;
mod fields;
mod generations;
mod http;
mod lamps;
mod late_labels;
mod memory;
mod mistakes;
mod mqtt;
mod newer_build;
mod notifications;
mod notify_receivers;
mod notify_retained;
mod notify_support;
mod orphans;
mod other_deployment;
mod outages;
mod passwords;
mod payloads;
mod pipeline;
#[cfg(feature = "faults")]
mod poison;
mod reconcile;
mod redis_rights;
mod renames;
mod restart;
mod retention;
mod sensors;
mod service_manager;
mod shares;
mod slow_stores;
mod sparkplug;
mod status;
mod stores;
mod subscriptions;
mod support;
#[cfg(feature = "faults")]
mod suspects;
mod terminal;
mod tls;
mod transfer;
mod up;
mod upgrade;
