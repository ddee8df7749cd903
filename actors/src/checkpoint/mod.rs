//! A sensor's past: its checkpoint in Redis and its rows in PostgreSQL.

mod checkpointer;
mod history;
mod store;

pub use checkpointer::{Checkpointer, REBUILD_PER_POINT};
pub use history::{
    HistoryError, PostgresPool, end_anomalies, heard_labels, newest_of_others, page_of_rows, postgres_pool,
    rows_after, rows_up_to, stored_configs,
};
pub use store::{CheckpointStore, Stored};
