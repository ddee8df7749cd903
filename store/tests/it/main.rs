//! The store against real servers. One binary, so that it is linked once.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod append;
mod births;
mod checkpoint_memory;
mod clocks;
mod dead_letters;
mod drop_day;
mod expire;
mod failover;
mod fleet;
mod forget;
mod gone_sensors;
mod heartbeats;
mod history;
mod log_backlog;
mod many_days;
mod migrations;
mod notifications;
mod operators;
mod rejected_rows;
mod renames;
mod roles;
mod scripts;
mod session_marks;
mod slow_commits;
mod support;
