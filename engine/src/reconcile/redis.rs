//! The state of Redis after the snapshot of PostgreSQL. A running engine may have continued
//! meanwhile: a log only grows at its end, and a checkpoint is written after the rows up to its seq
//! are committed.

use std::collections::BTreeMap;

use thicket_schema::{Keys, PartitionId, Position, SensorName};
use thicket_store::postgres::{PartitionLedger, PostgresConnection, QueryError, newest_seqs};
use thicket_store::redis::{Client, InFlight, LogReader, checkpoint_seqs, in_flight};

use super::snapshot::Snapshot;

/// Maximum number of entries that are decoded to count their records.
const DECODE_UP_TO: u64 = 100_000;

/// The state of Redis that the checks compare with the snapshot.
#[derive(Debug, Default)]
pub(super) struct RedisState {
    /// The position of the newest entry of each partition's log; `None` if there is no log.
    pub(super) ends: BTreeMap<i32, Option<Position>>,
    /// The backlog of each partition.
    pub(super) in_flight: BTreeMap<i32, InFlight>,
    /// Number of compared checkpoints.
    pub(super) checkpoints: usize,
    /// Checkpoints with a larger seq than the rows.
    pub(super) ahead: Vec<Ahead>,
}

/// A checkpoint that includes readings without rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) sensor: String,
    /// Seq of the checkpoint.
    pub(super) checkpoint: i64,
    /// Seq of the newest row; `None` if there is no row.
    pub(super) rows: Option<i64>,
}

impl RedisState {
    /// Reads the end of every log, and the checkpoint of every sensor with scored rows in the
    /// snapshot.
    pub(super) async fn read(
        redis: &Client,
        keys: &Keys,
        postgres: &mut PostgresConnection,
        snapshot: &Snapshot,
    ) -> anyhow::Result<Self> {
        let reader = LogReader::new(redis.clone(), redis.clone(), keys.clone());
        let mut state = Self::default();
        let partitions: Vec<PartitionId> = snapshot.ledgers.iter().map(PartitionLedger::id).collect();
        let ends = reader.newest_of(&partitions).await?;
        state.ends = snapshot.ledgers.iter().map(|row| row.partition).zip(ends).collect();
        let committed: Vec<_> = snapshot.ledgers.iter().map(|row| (row.id(), row.position)).collect();
        let backlogs = in_flight(&reader, &committed, DECODE_UP_TO).await?;
        state.in_flight = snapshot.ledgers.iter().map(|row| row.partition).zip(backlogs).collect();
        let mut sensors = Vec::new();
        let mut newest_rows = Vec::new();
        for counts in snapshot.sensors.values() {
            // A sensor with an invalid name has no checkpoint.
            let name = counts.name.as_deref().and_then(|name| SensorName::new(name).ok());
            if let (Some(last), Some(partition), Some(name)) = (counts.last, counts.partition, name) {
                sensors.push((PartitionId(partition as u16), name));
                newest_rows.push((counts.sensor, last));
            }
        }
        let saved = checkpoint_seqs(redis, keys, &sensors).await?;
        state.checkpoints = saved.iter().flatten().count();
        let mut suspects = BTreeMap::new();
        for (((_, name), (id, last)), saved) in sensors.into_iter().zip(newest_rows).zip(saved) {
            if let Some(saved) = saved.filter(|saved| *saved > last) {
                suspects.insert(id, (name, saved));
            }
        }
        state.ahead = still_ahead(postgres, suspects).await?;
        Ok(state)
    }
}

/// Returns the checkpoints that are ahead of the rows that are stored now, after the checkpoints
/// were read.
async fn still_ahead(
    postgres: &mut PostgresConnection,
    suspects: BTreeMap<i64, (SensorName, i64)>,
) -> Result<Vec<Ahead>, QueryError> {
    let ids: Vec<i64> = suspects.keys().copied().collect();
    let newest = newest_seqs(postgres, &ids).await?;
    let ahead = suspects.into_iter().filter_map(|(id, (name, checkpoint))| {
        let rows = newest.get(&id).copied().flatten();
        let is_ahead = rows.is_none_or(|seq| checkpoint > seq);
        is_ahead.then(|| Ahead { sensor: name.to_string(), checkpoint, rows })
    });
    Ok(ahead.collect())
}
