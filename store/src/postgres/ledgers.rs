//! The ledgers in `partitions`: the outcomes of all records that were read from the log.

use diesel::{QueryDsl as _, QueryResult, SelectableHelper as _};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{Ledger, partitions};
use thicket_schema::{PartitionId, Position};

/// The committed state of one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionLedger {
    /// Number of the partition.
    pub partition: i32,
    /// The committed position.
    pub position: Position,
    /// The fencing epoch.
    pub epoch: i64,
    /// The ledger up to the position.
    pub ledger: Ledger,
}

impl PartitionLedger {
    /// The partition.
    pub const fn id(&self) -> PartitionId {
        PartitionId(self.partition as u16)
    }
}

/// Returns the ledger of every partition, ordered by the partitions' numbers.
pub async fn partition_ledgers(connection: &mut AsyncPgConnection) -> QueryResult<Vec<PartitionLedger>> {
    let rows: Vec<(i32, i64, i64, i64, Ledger)> = partitions::table
        .order(partitions::id)
        .select((
            partitions::id,
            partitions::generation,
            partitions::n,
            partitions::epoch,
            Ledger::as_select(),
        ))
        .load(connection)
        .await?;
    let ledgers = rows.into_iter().map(|(partition, generation, n, epoch, ledger)| {
        let position = Position::from_columns(generation, n);
        PartitionLedger { partition, position, epoch, ledger }
    });
    Ok(ledgers.collect())
}
