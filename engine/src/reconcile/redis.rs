//! What Redis holds after the snapshot. An engine that runs may have gone on meanwhile: logs only grow at their ends, and
//! a checkpoint is written after the rows up to its seq are committed.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Nullable};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use fred::clients::Client;
use thicket_actors::queue::LogReader;
use thicket_schema::{Keys, PartitionId, Position, SensorName};

use super::snapshot::Snapshot;
use crate::checkpoints;
use crate::in_flight::{InFlight, in_flight};

/// Everything that is compared with the snapshot.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// Where each partition's log ends; nothing where there is no log.
    pub(super) ends: BTreeMap<i32, Option<Position>>,
    /// What waits behind each partition's position.
    pub(super) in_flight: BTreeMap<i32, InFlight>,
    /// How many checkpoints were compared.
    pub(super) checkpoints: usize,
    /// Checkpoints that know more than the rows.
    pub(super) ahead: Vec<Ahead>,
}

/// A checkpoint of readings that have no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ahead {
    pub(super) sensor: String,
    pub(super) checkpoint: i64,
    pub(super) rows: Option<i64>,
}

/// Looks at every log, and at the checkpoints of the sensors that the snapshot has scored rows of.
pub(super) async fn look(
    redis: &Client,
    keys: &Keys,
    postgres: &mut AsyncPgConnection,
    snapshot: &Snapshot,
) -> anyhow::Result<Later> {
    let reader = LogReader::new(redis.clone(), redis.clone(), keys.clone());
    let mut later = Later::default();
    for ledger in &snapshot.ledgers {
        let partition = PartitionId(ledger.partition as u16);
        later.ends.insert(ledger.partition, reader.newest(partition).await?);
        later.in_flight.insert(ledger.partition, in_flight(&reader, partition, ledger.position()).await?);
    }
    let mut sensors = Vec::new();
    let mut known = Vec::new();
    for rows in snapshot.sensors.values() {
        // A name that cannot be one has no checkpoint either.
        let name = rows.name.as_deref().and_then(|name| SensorName::new(name).ok());
        if let (Some(last), Some(partition), Some(name)) = (rows.last, rows.partition, name) {
            sensors.push((PartitionId(partition as u16), name));
            known.push((rows.sensor, last));
        }
    }
    let saved = checkpoints::seqs(redis, keys, &sensors).await?;
    later.checkpoints = saved.iter().flatten().count();
    let mut suspects = BTreeMap::new();
    for (((_, name), (id, last)), saved) in sensors.into_iter().zip(known).zip(saved) {
        if let Some(saved) = saved.filter(|saved| *saved > last) {
            suspects.insert(id, (name, saved));
        }
    }
    later.ahead = ahead(postgres, suspects).await?;
    Ok(later)
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
}

/// Those of the checkpoints that are ahead even of the rows that there are now, after the checkpoints were read.
async fn ahead(
    postgres: &mut AsyncPgConnection,
    suspects: BTreeMap<i64, (SensorName, i64)>,
) -> QueryResult<Vec<Ahead>> {
    let ids: Vec<i64> = suspects.keys().copied().collect();
    let now: Vec<Now> = sql_query(
        "SELECT k.id, (SELECT r.seq FROM readings r WHERE r.sensor = k.id AND r.seq IS NOT NULL ORDER BY r.ts DESC LIMIT 1) AS seq
         FROM unnest($1::int8[]) AS k (id)",
    )
    .bind::<Array<BigInt>, _>(ids)
    .load(postgres)
    .await?;
    let ahead = now.into_iter().filter_map(|Now { id, seq }| {
        let (name, checkpoint) = suspects.get(&id)?;
        let is_ahead = seq.is_none_or(|seq| *checkpoint > seq);
        is_ahead.then(|| Ahead { sensor: name.to_string(), checkpoint: *checkpoint, rows: seq })
    });
    Ok(ahead.collect())
}
