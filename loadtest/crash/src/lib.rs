//! Kills Thicket's engine and its servers at every point, and compares the rows in PostgreSQL with
//! those of an undisturbed run.
//!
//! `make crash` runs all of it, `engine/tests/it/crash.rs` a part. The engine under test is a
//! process of its own, built with the feature `faults`, which reads `THICKET_FAULTS`,
//! `THICKET_BREAK` and `THICKET_FIRED`.
//!
//! # Layout
//!
//! In the order in which a run uses the parts:
//!
//! - [`cli`]: the program `thicket-crash`.
//! - [`matrix`]: every case, and the mutations; [`schedule`]: random cases; [`dice`]: draws for
//!   both.
//! - [`case`]: the actions of a case; [`settings`]: how its engines are configured; [`traffic`]:
//!   the messages that are published.
//! - `obstacles`: why a case cannot run on this machine. `hogs`: keeps the machine busy.
//! - [`runner`]: runs cases side by side; `worker`: runs one after the other; `job`: what they
//!   exchange.
//! - [`environment`]: the private servers of one worker, and the workspace of one case.
//! - `run`: runs one case; `feeder`: publishes its messages at a pace.
//! - `outcome`: what a run has stored, and how it differs from the undisturbed one.
//!
//! A harness has no caller that could act on the kind of an error: errors are [`anyhow::Error`],
//! with what was being done.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]

pub mod case;
pub mod cli;
pub mod dice;
pub mod environment;
mod feeder;
mod hogs;
mod job;
pub mod matrix;
mod obstacles;
mod outcome;
mod run;
pub mod runner;
pub mod schedule;
pub mod settings;
pub mod traffic;
mod worker;
