//! The tables of PostgreSQL, as diesel sees them, and the migrations that make them.

mod migrations;
mod tables;

pub use migrations::{MigrationError, migrate, pending_migrations};
pub use tables::{
    anomalies, configs, dead_letters, deployment, field_sets, labels, partitions, readings, sensors,
};
