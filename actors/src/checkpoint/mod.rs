//! A sensor's past: its checkpoint in Redis and its rows in PostgreSQL.

mod checkpointer;

pub use checkpointer::{Checkpointer, REBUILD_PER_POINT};
