//! The tables of PostgreSQL for diesel, the structs of their rows, and the migrations.
//!
//! `schema/migrations` creates the tables and documents their columns. Each file in `tables` has
//! the columns of a table and the struct that every crate uses for its rows.

mod lock_holders;
mod migrations;
mod tables;
mod timestamp;

pub use migrations::{
    MigrationError, MigrationWait, create_engine_login, grant_roles, migrate, migrate_and_report_wait,
    pending_migrations,
};
pub use tables::anomalies::{AnomalyRow, anomalies};
pub use tables::dead_letters::{DeadLetterRow, dead_letters};
pub use tables::labels::{applied_labels, labels};
pub use tables::partitions::{Ledger, deployment, log_losses, partitions};
pub use tables::quarantine::{QuarantineRow, quarantine};
pub use tables::readings::{ReadingRow, configs, field_sets, readings};
pub use tables::sensors::{SensorFieldRow, SensorRow, sensor_fields, sensors};
