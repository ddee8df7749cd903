//! A sensor's past: its checkpoint in Redis and its rows in PostgreSQL.

mod checkpointer;
mod history;
mod store;

pub use checkpointer::Checkpointer;
pub use history::{HistoryError, PostgresPool, postgres_pool, rows_after};
pub use store::CheckpointStore;
