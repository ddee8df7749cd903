//! The first and the last member of an archive.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use thicket_store::digest::Digest;
use thicket_store::postgres::{Sequence, Table};

use crate::format::count;

/// Returns a number of rows as a text.
pub(super) fn rows_of(number: u64) -> String {
    count(number, "row")
}

/// The version of the archive's format.
const FORMAT: u32 = 1;

/// What an import must know before it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the archive's format.
    format: u32,
    /// The version of the program that wrote it.
    version: String,
    /// The number of partitions.
    pub(super) partitions: u16,
    /// The first part of every key.
    pub(super) prefix: String,
    pub(super) tables: Vec<Table>,
    /// The UTC days with a table of readings.
    pub(super) days: Vec<String>,
    pub(super) sequences: Vec<Sequence>,
}

impl Manifest {
    /// Returns the manifest of an archive that this program writes.
    pub(super) fn new(
        (partitions, prefix): (u16, String),
        (tables, days, sequences): (Vec<Table>, Vec<String>, Vec<Sequence>),
    ) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, version, partitions, prefix, tables, days, sequences }
    }

    /// Checks that this program can read the archive, and that it fits the configuration.
    pub(super) fn check(&self, partitions: u16) -> anyhow::Result<()> {
        ensure!(
            self.format == FORMAT,
            "the archive has format {}, and this program reads format {FORMAT}; use version {} of thicket",
            self.format,
            self.version
        );
        ensure!(
            self.partitions == partitions,
            "the archive has {} partitions, and queue.partitions is {partitions}; set it to {0}",
            self.partitions
        );
        Ok(())
    }
}

/// What an archive must have held, to prove that it is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// The digest of the rows.
    pub(super) digest: Digest,
    /// The number of rows of each table.
    pub(super) rows: BTreeMap<String, u64>,
    /// The number of keys of Redis. A key may be counted twice.
    pub(super) keys: u64,
}
