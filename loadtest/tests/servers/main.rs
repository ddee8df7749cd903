//! `replay`, `verify` and `digest` against real servers, private to each test.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test that fails says where")]

mod digest;
mod replay;
mod support;
mod verify;
