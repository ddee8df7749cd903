//! The way out: rows, events, dead letters, ledger and position of a partition commit in one PostgreSQL transaction.

mod advance;
mod batch;
mod bisect;
mod connection;
mod letters;
mod offered;
mod postgres;
mod rows;
mod transaction;

pub use batch::{
    CommitBatch, EventRow, HeardLabel, LetterRow, Loss, OfferedReading, ReadingColumns, ScoredReading,
    SeenSensor,
};
pub use connection::connect_postgres;
pub use postgres::{PostgresWriter, PostgresWriterOptions};

/// µs between the Unix epoch and PostgreSQL's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A timestamp as PostgreSQL counts it. Exact.
pub(crate) const fn timestamptz(ts: thicket_schema::Timestamp) -> diesel::pg::data_types::PgTimestamp {
    diesel::pg::data_types::PgTimestamp(ts.0 - POSTGRES_EPOCH_MICROS)
}
