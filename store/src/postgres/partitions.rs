//! `partitions`: the ownership of partitions. Every takeover increments the fencing epoch of the
//! partition, and a commit must name the current epoch. `deployment`: the number of partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::OptionalExtension as _;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel::{
    ExpressionMethods as _, PgExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, sql_query,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::ALGORITHM;
use thicket_schema::postgres::{deployment, partitions};
use thicket_schema::{PartitionId, Position, SensorId};

use super::connection::{PostgresPool, StoreError, quickly};
use super::quarantine::{QuarantineList, pending_quarantine};
use super::sensors::sensors_of_partitions;
use crate::deployment::OtherDeployment;
use crate::faults;

/// Why a node must not start on this database.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The configured number of partitions is not that of the deployment. The number never changes.
    #[error(
        "queue.partitions is {configured}, but this deployment was made with {stored}; set it back, or start with an empty database and an empty redis"
    )]
    PartitionsDiffer {
        /// The number in the configuration.
        configured: u16,
        /// The number in the database.
        stored: i32,
    },
    /// Redis belongs to another deployment.
    #[error(transparent)]
    Other(#[from] OtherDeployment),
    /// The connection failed.
    #[error("postgresql: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// A query failed, or a table is missing.
    #[error("postgresql: {0}")]
    Query(#[from] diesel::result::Error),
}

/// Stores the number of partitions at the first start, and checks it at every later start. Returns
/// the name of the deployment, which is random and never changes.
pub async fn check_deployment(
    connection: &mut AsyncPgConnection,
    configured: u16,
) -> Result<String, DeploymentError> {
    diesel::insert_into(deployment::table)
        .values((deployment::id.eq(1), deployment::partitions.eq(i32::from(configured))))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    let (stored, name): (i32, String) =
        deployment::table.select((deployment::partitions, deployment::name)).first(connection).await?;
    if stored != i32::from(configured) {
        return Err(DeploymentError::PartitionsDiffer { configured, stored });
    }
    let ids: Vec<i32> = (0..i32::from(configured)).collect();
    let rows: Vec<_> = ids.into_iter().map(|id| partitions::id.eq(id)).collect();
    diesel::insert_into(partitions::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    Ok(name)
}

/// Returns the name of the deployment; `None` before its first start.
pub async fn deployment_name(
    connection: &mut AsyncPgConnection,
) -> Result<Option<String>, diesel::result::Error> {
    deployment::table.select(deployment::name).first(connection).await.optional()
}

/// Returns the partitions that may not have the configuration `detectors`, as JSON: the committed one
/// differs, or the log has entries after the committed position, which may hold another one. `newest`
/// has the newest position of each log by partition, and must have been read before.
pub async fn partitions_configured_otherwise(
    pool: &PostgresPool,
    detectors: &str,
    newest: &[Option<Position>],
) -> Result<Vec<PartitionId>, StoreError> {
    let rows: Vec<(i32, i64, i64, bool)> = quickly(async {
        let differs = partitions::detectors.is_distinct_from(detectors);
        let query = partitions::table.order(partitions::id);
        let query = query.select((partitions::id, partitions::generation, partitions::n, differs));
        Ok(query.load(&mut *pool.get().await?).await?)
    })
    .await?;
    let may_differ = |&(id, generation, n, differs): &(i32, i64, i64, bool)| {
        let committed = Position { generation: generation.cast_unsigned(), n: n.cast_unsigned() };
        let newest = newest.get(id as usize).copied().flatten();
        differs || newest.is_some_and(|newest| newest > committed)
    };
    Ok(rows.iter().filter(|row| may_differ(row)).map(|&(id, ..)| PartitionId(id as u16)).collect())
}

/// A partition that this node owns from now on.
#[derive(Clone, Debug)]
pub struct ClaimedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The fencing epoch that every commit must name.
    pub epoch: i64,
    /// The committed position. The log is read from the next entry on.
    pub position: Position,
    /// The configuration of its sensors at that position, as JSON; `None` if the log had no
    /// configuration until then.
    pub detectors: Option<Arc<str>>,
    /// The quarantined readings after that position.
    pub quarantine: QuarantineList,
    /// Whether the last owner committed all entries that it had read before it stopped. If not, one
    /// of the next readings may have killed its process.
    pub clean_shutdown: bool,
    /// The names of the sensors with rows, by id. Only the owner of the partition adds sensors.
    pub sensors: BTreeMap<SensorId, Arc<str>>,
}

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = Integer)]
    id: i32,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = BigInt)]
    generation: i64,
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = Nullable<Text>)]
    detectors: Option<String>,
    #[diesel(sql_type = Bool)]
    clean_shutdown: bool,
}

/// Claims partitions under a new epoch: their former owners cannot commit any more.
///
/// A partition that a later version of the detection algorithm has scored is neither claimed nor
/// returned. After an earlier version, the version of this program takes over at the committed
/// position.
///
/// A claim without an answer may have succeeded. Claim again: only the newest epoch counts.
pub async fn claim(pool: &PostgresPool, ids: &[PartitionId]) -> Result<Vec<ClaimedPartition>, StoreError> {
    quickly(claim_now(pool, ids)).await
}

async fn claim_now(pool: &PostgresPool, ids: &[PartitionId]) -> Result<Vec<ClaimedPartition>, StoreError> {
    let mut connection = pool.get().await?;
    let ids: Vec<i32> = ids.iter().map(|partition| i32::from(partition.0)).collect();
    let claimed: Vec<Claimed> = sql_query(
        "WITH before AS (SELECT id, clean_shutdown FROM partitions
                         WHERE id = ANY($1) AND (algorithm IS NULL OR algorithm <= $2) ORDER BY id FOR UPDATE)
         UPDATE partitions p SET epoch = p.epoch + 1, clean_shutdown = false, algorithm = $2 FROM before b WHERE p.id = b.id
         RETURNING p.id, p.epoch, p.generation, p.n, p.detectors, b.clean_shutdown",
    )
    .bind::<Array<Integer>, _>(&ids)
    .bind::<Integer, _>(faults::algorithm(ALGORITHM).cast_signed())
    .load(&mut connection)
    .await?;
    let mut quarantine = pending_quarantine(&mut connection, &ids).await?;
    let mut sensors = sensors_of_partitions(&mut connection, &ids).await?;
    let claimed = claimed.into_iter().map(|row| {
        let named = sensors.remove(&row.id).unwrap_or_default();
        let partition = PartitionId(row.id as u16);
        ClaimedPartition {
            partition,
            epoch: row.epoch,
            position: Position::from_columns(row.generation, row.n),
            detectors: row.detectors.map(Into::into),
            quarantine: quarantine.remove(&partition).unwrap_or_default(),
            clean_shutdown: row.clean_shutdown,
            sensors: named.into_iter().map(|(id, name)| (SensorId(id), name.into())).collect(),
        }
    });
    Ok(claimed.collect())
}

/// Checks that [`claim`] would succeed now: the server answers, is not read-only, and lets this user
/// write. Changes no row and waits for no lock of a row.
pub async fn can_claim(pool: &PostgresPool) -> Result<(), StoreError> {
    quickly(async {
        sql_query(
            "UPDATE partitions SET epoch = epoch + 1, clean_shutdown = false, algorithm = 0 WHERE false",
        )
        .execute(&mut *pool.get().await?)
        .await?;
        Ok(())
    })
    .await
}

/// Marks partitions as cleanly shut down, unless another owner has claimed them. Call it once all
/// entries that were read are committed.
pub async fn mark_clean_shutdown(
    pool: &PostgresPool,
    owned: &BTreeMap<PartitionId, i64>,
) -> Result<(), StoreError> {
    let ids: Vec<i32> = owned.keys().map(|partition| i32::from(partition.0)).collect();
    let epochs: Vec<i64> = owned.values().copied().collect();
    quickly(async {
        sql_query(
            "UPDATE partitions p SET clean_shutdown = true FROM UNNEST($1::int4[], $2::int8[]) AS o (id, epoch)
             WHERE p.id = o.id AND p.epoch = o.epoch",
        )
        .bind::<Array<Integer>, _>(ids)
        .bind::<Array<BigInt>, _>(epochs)
        .execute(&mut *pool.get().await?)
        .await?;
        Ok(())
    })
    .await
}

/// Counts dead letters of a partition that are deleted. Call it in the transaction that deletes
/// them.
pub(super) async fn add_deleted_dead_letters(
    connection: &mut AsyncPgConnection,
    partition: i32,
    deleted: i64,
) -> QueryResult<()> {
    diesel::update(partitions::table.find(partition))
        .set(partitions::dead_letters_deleted.eq(partitions::dead_letters_deleted + deleted))
        .execute(connection)
        .await?;
    Ok(())
}

/// Returns the newest generation among the committed positions.
pub async fn newest_generation(pool: &PostgresPool) -> Result<u64, StoreError> {
    quickly(async {
        let newest: Option<i64> = partitions::table
            .select(diesel::dsl::max(partitions::generation))
            .first(&mut *pool.get().await?)
            .await?;
        Ok(newest.unwrap_or_default().cast_unsigned())
    })
    .await
}
