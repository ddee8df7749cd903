//! The commit point: rows, events, dead letters, ledger and position of a partition commit in one
//! PostgreSQL transaction.

mod pace;
mod postgres;

pub use postgres::{PostgresWriter, PostgresWriterOptions};
