//! The commit point: rows, events, dead letters, ledger and position of a partition commit in one
//! PostgreSQL transaction.

mod dead_letter_log;
mod pace;
mod postgres;

pub use dead_letter_log::DeadLetterLog;
pub use postgres::{PostgresWriter, PostgresWriterOptions};
