//! What Thicket stores in PostgreSQL. A file per table with all statements on it.
//!
//! - [`connect_postgres`], [`postgres_pool`]: connections.
//! - `write_session`, `batch`, `commit`, `pending_writes`, `bisect`: the commit point. One
//!   transaction writes batches.
//! - `partitions`: positions, epochs and ledgers.
//! - `readings`, `late`, `day_tables`: rows of readings.
//! - `sensors`, `field_sets`, `configs`: what readings refer to.
//! - `anomalies`, `labels`: events, and what people say about them.
//! - `dead_letters`, `quarantine`, `log_losses`: what could not be processed.
//! - `history`: the questions that a restore asks about a sensor.

mod anomalies;
mod batch;
mod bisect;
mod commit;
mod configs;
mod connection;
mod day_tables;
mod dead_letters;
mod field_sets;
mod history;
mod labels;
mod late;
mod log_losses;
mod partitions;
mod pending_writes;
mod positions;
mod quarantine;
mod readings;
mod sensors;
mod write_session;

pub use anomalies::anomaly_row;
pub use batch::{CommitBatch, LateReading, LoggedDeadLetter, LoggedRow, SeenSensor};
pub use configs::stored_configs;
pub use connection::{PostgresPool, StoreError, connect_postgres, postgres_pool};
pub use day_tables::{day_of, ensure_days};
pub use field_sets::FieldSets;
pub use history::{CheckpointFacts, StoredReading, newest_of_others, page_of_rows, rows_after, rows_up_to};
pub use labels::{AppliedLabel, UnloggedLabel, applied_labels, mark_logged, unlogged_labels};
pub use log_losses::LogLoss;
pub use partitions::{
    ClaimedPartition, DeploymentError, all_partitions, check_deployment, claim, mark_clean_shutdown,
    newest_generation, partitions_configured_otherwise,
};
pub use pending_writes::CommitReport;
pub use quarantine::{QuarantineEntry, QuarantineList, QuarantineReason, quarantine};
pub use readings::scored_row;
pub use write_session::{WriteError, WriteSession};
