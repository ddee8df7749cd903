//! Fencing epochs: every takeover of a partition raises its epoch, and a commit names the epoch it was made under.

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel::{ExpressionMethods as _, PgExpressionMethods as _, QueryDsl as _, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{deployment, partitions};
use thicket_schema::{PartitionId, Position};

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
}

/// Takes partitions over: whoever owned them before cannot commit any more.
pub(super) async fn claim(pool: &PostgresPool, ids: &[PartitionId]) -> Result<Vec<Assign>, HistoryError> {
    let mut connection = pool.get().await?;
    let ids: Vec<i32> = ids.iter().map(|partition| i32::from(partition.0)).collect();
    let claimed: Vec<Claimed> = sql_query(
        "UPDATE partitions SET epoch = epoch + 1 WHERE id = ANY($1) RETURNING id, epoch, generation, n, detectors",
    )
    .bind::<Array<Integer>, _>(ids)
    .load(&mut connection)
    .await?;
    let assign = |row: Claimed| Assign {
        partition: PartitionId(row.id as u16),
        epoch: row.epoch,
        position: Position { generation: row.generation.cast_unsigned(), n: row.n.cast_unsigned() },
        detectors: row.detectors.map(Into::into),
    };
    Ok(claimed.into_iter().map(assign).collect())
}
