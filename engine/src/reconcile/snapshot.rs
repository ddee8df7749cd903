//! The state of PostgreSQL at one moment.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use thicket_schema::Timestamp;
use thicket_store::postgres::{
    PartitionLedger, PostgresConnection, SensorRows, begin_snapshot, count_rows_of_day, day_tables,
    dead_letters_by_partition, end_snapshot, misnamed, partition_ledgers, stored_losses,
};

use super::progress::Progress;
use crate::losses::Loss;
use crate::stores::TABLES_MISSING;

/// The state of PostgreSQL that the checks compare.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The time of the snapshot.
    pub(super) at: Timestamp,
    /// The time of the oldest rows that are counted; `None` if all rows are counted.
    pub(super) since: Option<Timestamp>,
    /// The ledger of each partition.
    pub(super) ledgers: Vec<PartitionLedger>,
    /// The number of stored dead letters of each partition that has some.
    pub(super) dead_letters: BTreeMap<i32, i64>,
    /// The counts of each sensor's rows, by the sensor's id.
    pub(super) sensors: BTreeMap<i64, SensorRows>,
    /// The known losses.
    pub(super) losses: Vec<Loss>,
    /// Sensors and field sets whose id is not that of their names.
    pub(super) misnamed: Vec<String>,
}

impl Snapshot {
    /// Reads the state. This may take long: every row of the days is read.
    pub(super) async fn read(
        postgres: &mut PostgresConnection,
        since: Option<Timestamp>,
    ) -> anyhow::Result<Self> {
        let at = begin_snapshot(postgres).await.context(TABLES_MISSING)?;
        let ledgers = partition_ledgers(postgres).await.context(TABLES_MISSING)?;
        let dead_letters = dead_letters_by_partition(postgres).await?;
        let losses = stored_losses(postgres, since).await?.into_iter().map(Loss::from).collect();
        let misnamed = misnamed(postgres).await?;
        let days = day_tables(postgres, since).await?;
        let mut progress = Progress::new(&days);
        let mut eras: BTreeMap<(i64, i32), SensorRows> = BTreeMap::new();
        for day in &days {
            progress.begin(day);
            for counts in count_rows_of_day(postgres, day, since).await? {
                let era = (counts.sensor, counts.era);
                eras.entry(era).and_modify(|before| before.append(&counts)).or_insert(counts);
            }
        }
        progress.finish();
        let mut sensors: BTreeMap<i64, SensorRows> = BTreeMap::new();
        let complete = complete_partitions(since, &ledgers);
        for counts in eras.into_values() {
            let is_complete = counts.partition.is_some_and(|partition| complete.contains(&partition));
            let append = |before: &mut SensorRows| before.append_era(&counts, is_complete);
            sensors.entry(counts.sensor).and_modify(append).or_insert(counts);
        }
        end_snapshot(postgres).await?;
        Ok(Self { at, since, ledgers, dead_letters, sensors, losses, misnamed })
    }
}

/// Returns the partitions of which all rows are counted that there have ever been.
pub(super) fn complete_partitions(since: Option<Timestamp>, ledgers: &[PartitionLedger]) -> BTreeSet<i32> {
    let complete = |row: &&PartitionLedger| since.is_none() && row.ledger.expired == 0;
    ledgers.iter().filter(complete).map(|row| row.partition).collect()
}
