//! Checks `compose.yaml` and the files that it refers to, without a Docker engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alerts;
mod file;
mod image;
mod services;
mod settings;
mod standins;
mod users;
