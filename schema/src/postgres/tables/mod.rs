//! One file per table, or per group of related tables: the columns, and the struct of the rows.

pub(super) mod anomalies;
pub(super) mod dead_letters;
pub(super) mod labels;
pub(super) mod partitions;
pub(super) mod quarantine;
pub(super) mod readings;
pub(super) mod sensors;
