//! `replay`, `verify` and `digest` against real servers, private to each test.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed test shows the line; equal floats must have equal bits"
)]

mod digest;
mod replay;
mod support;
mod verify;
