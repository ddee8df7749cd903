//! A file per table, or per few tables that belong together: its columns and the struct of its rows.

pub(super) mod anomalies;
pub(super) mod dead_letters;
pub(super) mod labels;
pub(super) mod partitions;
pub(super) mod quarantine;
pub(super) mod readings;
pub(super) mod sensors;
