//! Kills Thicket's engine and its servers at every point, and compares what stands in PostgreSQL with an undisturbed run.
//!
//! `make crash` runs all of it, `engine/tests/crash.rs` a part. The engine under test is a process of its own, built with the feature
//! `faults`, which listens to `THICKET_FAULTS`, `THICKET_BREAK` and `THICKET_FIRED`.
//!
//! # Layout
//!
//! In the order in which a run goes through it:
//!
//! - [`cli`]: the program `thicket-crash`.
//! - [`matrix`]: every case there is, and the mutations; [`schedule`]: random cases.
//! - [`case`]: what a case consists of; [`settings`]: how its engines are configured; [`traffic`]: what is published.
//! - [`runner`]: runs cases side by side; [`stage`]: the private servers of one worker.
//! - `play`: plays one case; `engine`, `publisher`, `queue` and `tables` are the hands and eyes for it.
//! - `verdict`: what a run came to, and how it differs from the undisturbed one.
//!
//! A harness has no caller that could act on the kind of an error: errors are `anyhow`'s, with what was being done.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not an identifier")]

pub mod case;
pub mod cli;
mod engine;
pub mod matrix;
mod play;
mod publisher;
mod queue;
pub mod runner;
pub mod schedule;
pub mod settings;
pub mod stage;
mod tables;
pub mod traffic;
mod verdict;
