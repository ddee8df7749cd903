//! Fencing epochs: every takeover of a partition raises its epoch, and a commit names the epoch it was made under.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text};
use diesel::{ExpressionMethods as _, PgExpressionMethods as _, QueryDsl as _, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::ALGORITHM;
use thicket_schema::postgres::{deployment, partitions};
use thicket_schema::{PartitionId, Position};

use super::verdicts::pending_verdicts;
use crate::checkpoint::{HistoryError, PostgresPool};
use crate::messages::Assign;

/// Why a node must not start on this database.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The number of partitions is part of the deployment's identity.
    #[error(
        "queue.partitions is {configured}, but this deployment was made with {stored}; set it back, or start with an empty database"
    )]
    PartitionsDiffer {
        /// What the configuration says.
        configured: u16,
        /// What the database says.
        stored: i32,
    },
    /// The database cannot be reached.
    #[error("postgresql: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// The database did not answer, or lacks its tables.
    #[error("postgresql: {0}")]
    Query(#[from] diesel::result::Error),
}

/// Records the number of partitions at the first start and checks it at every other.
pub async fn check_deployment(
    connection: &mut AsyncPgConnection,
    configured: u16,
) -> Result<(), DeploymentError> {
    diesel::insert_into(deployment::table)
        .values((deployment::id.eq(1), deployment::partitions.eq(i32::from(configured))))
        .on_conflict_do_nothing()
        .execute(connection)
        .await?;
    let stored: i32 = deployment::table.select(deployment::partitions).first(connection).await?;
    if stored != i32::from(configured) {
        return Err(DeploymentError::PartitionsDiffer { configured, stored });
    }
    let ids: Vec<i32> = (0..i32::from(configured)).collect();
    let rows: Vec<_> = ids.into_iter().map(|id| partitions::id.eq(id)).collect();
    diesel::insert_into(partitions::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
    Ok(())
}

/// The partitions whose sensors are configured otherwise than this JSON says, as far as their logs are committed.
pub async fn partitions_configured_otherwise(
    pool: &PostgresPool,
    detectors: &str,
) -> Result<Vec<PartitionId>, HistoryError> {
    let ids: Vec<i32> = partitions::table
        .filter(partitions::detectors.is_distinct_from(detectors))
        .order(partitions::id)
        .select(partitions::id)
        .load(&mut *pool.get().await?)
        .await?;
    Ok(ids.into_iter().map(|id| PartitionId(id as u16)).collect())
}

/// Every partition of the deployment.
pub async fn all_partitions(pool: &PostgresPool) -> Result<Vec<PartitionId>, HistoryError> {
    let ids: Vec<i32> =
        partitions::table.order(partitions::id).select(partitions::id).load(&mut *pool.get().await?).await?;
    Ok(ids.into_iter().map(|id| PartitionId(id as u16)).collect())
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
    clean: bool,
}

/// Takes partitions over: whoever owned them before cannot commit any more. One that a later version of the detection has scored is left
/// alone; an earlier version ends at the committed position, and this program's begins there.
pub(super) async fn claim(pool: &PostgresPool, ids: &[PartitionId]) -> Result<Vec<Assign>, HistoryError> {
    let mut connection = pool.get().await?;
    let ids: Vec<i32> = ids.iter().map(|partition| i32::from(partition.0)).collect();
    let claimed: Vec<Claimed> = sql_query(
        "WITH before AS (SELECT id, clean FROM partitions
                         WHERE id = ANY($1) AND (algorithm IS NULL OR algorithm <= $2) ORDER BY id FOR UPDATE)
         UPDATE partitions p SET epoch = p.epoch + 1, clean = false, algorithm = $2 FROM before b WHERE p.id = b.id
         RETURNING p.id, p.epoch, p.generation, p.n, p.detectors, b.clean",
    )
    .bind::<Array<Integer>, _>(&ids)
    .bind::<Integer, _>(ALGORITHM.cast_signed())
    .load(&mut connection)
    .await?;
    let mut verdicts = pending_verdicts(&mut connection, &ids).await?;
    let assign = |row: Claimed| {
        let partition = PartitionId(row.id as u16);
        Assign {
            partition,
            epoch: row.epoch,
            position: Position { generation: row.generation.cast_unsigned(), n: row.n.cast_unsigned() },
            detectors: row.detectors.map(Into::into),
            verdicts: Arc::new(verdicts.remove(&partition).unwrap_or_default()),
            left_in_order: row.clean,
        }
    };
    Ok(claimed.into_iter().map(assign).collect())
}

/// Notes that partitions are given back in order, if they still are this owner's: everything that was taken up is committed.
pub(super) async fn leave(
    pool: &PostgresPool,
    owned: &BTreeMap<PartitionId, i64>,
) -> Result<(), HistoryError> {
    let ids: Vec<i32> = owned.keys().map(|partition| i32::from(partition.0)).collect();
    let epochs: Vec<i64> = owned.values().copied().collect();
    sql_query(
        "UPDATE partitions p SET clean = true FROM UNNEST($1::int4[], $2::int8[]) AS o (id, epoch)
         WHERE p.id = o.id AND p.epoch = o.epoch",
    )
    .bind::<Array<Integer>, _>(ids)
    .bind::<Array<BigInt>, _>(epochs)
    .execute(&mut *pool.get().await?)
    .await?;
    Ok(())
}

/// The newest generation of which anything is committed.
pub async fn newest_generation(connection: &mut AsyncPgConnection) -> Result<u64, DeploymentError> {
    let newest: Option<i64> =
        partitions::table.select(diesel::dsl::max(partitions::generation)).first(connection).await?;
    Ok(newest.unwrap_or_default().cast_unsigned())
}
