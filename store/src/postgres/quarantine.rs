//! `quarantine`: readings that are skipped. A row is durable before any later reading is processed,
//! so that every replay of the log skips the same readings.

use std::collections::BTreeMap;

use diesel::dsl::count_star;
use diesel::sql_types::{Array, BigInt, Integer, Text, Timestamptz};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{QuarantineRow, quarantine as quarantine_table};
use thicket_schema::{PartitionId, RecordPosition, SensorName, Timestamp};

use super::connection::{PostgresPool, StoreError, quickly};
use crate::faults;

/// Why a reading is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineReason {
    /// Its detector panicked on it twice, or the process died on it repeatedly. It is stored
    /// without a score.
    Poison,
    /// PostgreSQL rejects its row. It becomes a dead letter.
    Unstorable,
}

impl QuarantineReason {
    const fn name(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Unstorable => "unstorable",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Poison, Self::Unstorable].into_iter().find(|reason| reason.name() == name)
    }
}

/// The quarantined readings of a partition by their position in the log, each with its reason and
/// an explanation.
pub type QuarantineList = BTreeMap<RecordPosition, (QuarantineReason, String)>;

/// A reading to quarantine.
#[derive(Clone, Debug)]
pub struct QuarantineEntry {
    /// The reading's partition.
    pub partition: PartitionId,
    /// The epoch of the partition's owner.
    pub epoch: i64,
    /// The reading's position in the log.
    pub position: RecordPosition,
    /// Why it is skipped.
    pub reason: QuarantineReason,
    /// Its sensor.
    pub sensor: SensorName,
    /// The timestamp of the reading.
    pub ts: Timestamp,
    /// The cause, for a person to read.
    pub detail: String,
}

/// Quarantines a reading like [`quarantine`], on a connection of a pool.
pub async fn quarantine_reading(pool: &PostgresPool, entry: &QuarantineEntry) -> Result<bool, StoreError> {
    quickly(async { Ok(quarantine(&mut *pool.get().await?, entry).await?) }).await
}

/// Quarantines a reading; the first entry of a reading wins. Returns false, and writes nothing, if
/// the partition has another owner.
pub(super) async fn quarantine(
    connection: &mut AsyncPgConnection,
    entry: &QuarantineEntry,
) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Owned {
        #[diesel(sql_type = BigInt)]
        owned: i64,
    }
    faults::pass("quarantine.before");
    let QuarantineEntry { partition, epoch, position, reason, sensor, ts, detail } = entry;
    let owned: Owned = sql_query(
        "WITH owned AS (SELECT id FROM partitions WHERE id = $1 AND epoch = $2 FOR SHARE),
              inserted AS (INSERT INTO quarantine (partition, generation, n, item, reason, sensor, ts, detail)
                           SELECT id, $3, $4, $5, $6, $7, $8, $9 FROM owned ON CONFLICT DO NOTHING)
         SELECT count(*) AS owned FROM owned",
    )
    .bind::<Integer, _>(i32::from(partition.0))
    .bind::<BigInt, _>(epoch)
    .bind::<BigInt, _>(position.position.generation.cast_signed())
    .bind::<BigInt, _>(position.position.n.cast_signed())
    .bind::<Integer, _>(position.item.cast_signed())
    .bind::<Text, _>(reason.name())
    .bind::<Text, _>(sensor.as_str())
    .bind::<Timestamptz, _>(ts)
    .bind::<Text, _>(detail)
    .get_result(connection)
    .await?;
    faults::pass("quarantine.after");
    Ok(owned.owned > 0)
}

/// Returns the number of quarantined readings of each reason.
pub async fn quarantined_by_reason(connection: &mut AsyncPgConnection) -> QueryResult<BTreeMap<String, i64>> {
    let counts: Vec<(String, i64)> = quarantine_table::table
        .group_by(quarantine_table::reason)
        .select((quarantine_table::reason, count_star()))
        .load(connection)
        .await?;
    Ok(counts.into_iter().collect())
}

/// Returns the newest entries, at most `limit`.
pub async fn newest_quarantined(
    connection: &mut AsyncPgConnection,
    limit: i64,
) -> QueryResult<Vec<QuarantineRow>> {
    use quarantine_table::{generation, item, n, partition, quarantined};
    quarantine_table::table
        .order((quarantined.desc(), partition, generation.desc(), n.desc(), item.desc()))
        .limit(limit)
        .load(connection)
        .await
}

/// Returns the quarantined readings after the committed position of each partition.
pub(super) async fn pending_quarantine(
    connection: &mut AsyncPgConnection,
    partitions: &[i32],
) -> QueryResult<BTreeMap<PartitionId, QuarantineList>> {
    let rows: Vec<QuarantineRow> = sql_query(
        "SELECT q.* FROM quarantine q JOIN partitions p ON p.id = q.partition
         WHERE p.id = ANY($1) AND (q.generation, q.n) > (p.generation, p.n)",
    )
    .bind::<Array<Integer>, _>(partitions)
    .load(connection)
    .await?;
    let mut lists: BTreeMap<PartitionId, QuarantineList> = BTreeMap::new();
    for row in rows {
        if let Some(reason) = QuarantineReason::from_name(&row.reason) {
            let list = lists.entry(PartitionId(row.partition as u16)).or_default();
            list.insert(row.position(), (reason, row.detail));
        }
    }
    Ok(lists)
}
