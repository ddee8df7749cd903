//! Drops a day table of `readings` for retention, and counts its rows in the ledger.

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use thicket_schema::Flag;

use super::day_tables::DayTable;

/// Shorter than `deadlock_timeout`: if a writer and retention wait for each other, retention gives
/// way.
pub(super) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";

/// The constraint that [`run_with_lock_timeout`] names in its errors. diesel hides the SQLSTATE of
/// an error, but shows the name of its constraint.
const LOCK_TIMEOUT_NAME: &str = "thicket_lock_timeout";

/// The outcome of dropping a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOutcome {
    /// The table is gone. It had this number of rows.
    Dropped(i64),
    /// The table is kept.
    Kept {
        /// Number of sensors whose detectors still need the day.
        waiting: usize,
    },
}

/// The newest row with a seq that a sensor has in a day table.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct NewestRow {
    /// First name of the sensor, which its checkpoint has.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// Number of the sensor's partition.
    #[diesel(sql_type = Integer)]
    pub partition: i32,
    /// Seq of the row.
    #[diesel(sql_type = BigInt)]
    pub seq: i64,
}

/// Rows without a row in `sensors`: they belong to no partition, so no ledger could count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsWithoutSensor(pub i64);

/// The rows of a day by partition. `partition` is `None` for rows without a sensor.
#[derive(QueryableByName)]
struct DayRows {
    #[diesel(sql_type = Nullable<Integer>)]
    partition: Option<i32>,
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    unscored: i64,
    #[diesel(sql_type = BigInt)]
    poison: i64,
    #[diesel(sql_type = BigInt)]
    late: i64,
}

/// Prepares a connection for [`drop_day`]. Returns false if another connection does the same work
/// already: the lock belongs to the connection, and ends with it.
pub async fn begin_retention(connection: &mut AsyncPgConnection) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Lock {
        #[diesel(sql_type = Bool)]
        is_ours: bool,
    }
    // Counting the rows of a day may take long.
    connection.batch_execute("SET statement_timeout = '1h'").await?;
    let lock: Lock = sql_query("SELECT pg_try_advisory_lock(hashtext('thicket.retention')) AS is_ours")
        .get_result(connection)
        .await?;
    Ok(lock.is_ours)
}

/// Drops a day table and adds its rows to the ledgers' expired rows, in one transaction.
///
/// `count_waiting` gets the newest scored row that each sensor has on the day, and returns how many
/// sensors still need the day. If there is such a sensor, the day is kept. The table is locked
/// against writers meanwhile.
pub async fn drop_day<E, Waiting>(
    connection: &mut AsyncPgConnection,
    day: &DayTable,
    count_waiting: impl FnOnce(Vec<NewestRow>) -> Waiting + Send,
) -> Result<DayOutcome, E>
where
    E: From<QueryError> + From<RowsWithoutSensor> + Send,
    Waiting: Future<Output = Result<usize, E>> + Send,
{
    connection
        .transaction(async move |connection| {
            connection.batch_execute(LOCK_TIMEOUT).await?;
            // Blocks writers of this day. Readers, and writers of other days, continue.
            let lock = format!("PERFORM lock_day_partition('{}');", day.name);
            run_with_lock_timeout(connection, &lock).await?;
            let waiting = count_waiting(newest_rows(connection, day).await?).await?;
            if waiting > 0 {
                return Ok(DayOutcome::Kept { waiting });
            }
            let counts = count_rows(connection, day).await?;
            if let Some(DayRows { all, .. }) = counts.iter().find(|rows| rows.partition.is_none()) {
                return Err(RowsWithoutSensor(*all).into());
            }
            let expire: String = counts.iter().filter_map(expire_statement).collect();
            run_with_lock_timeout(
                connection,
                &format!("{expire} PERFORM drop_day_partition('{}');", day.name),
            )
            .await?;
            Ok(DayOutcome::Dropped(counts.iter().map(|rows| rows.all).sum()))
        })
        .await
}

/// Whether another session held a lock that [`drop_day`] or [`run_with_lock_timeout`] needs for
/// longer than `lock_timeout`.
pub fn is_lock_timeout(error: &QueryError) -> bool {
    matches!(error, QueryError::DatabaseError(DatabaseErrorKind::Unknown, information)
        if information.constraint_name() == Some(LOCK_TIMEOUT_NAME))
}

/// Executes statements. An error because of `lock_timeout` gets the name of a constraint, by which
/// [`is_lock_timeout`] recognises it. All other errors, and its SQLSTATE and message, stay as they
/// are.
pub(super) async fn run_with_lock_timeout(
    connection: &mut AsyncPgConnection,
    statements: &str,
) -> QueryResult<()> {
    connection
        .batch_execute(&format!(
            "DO $$ BEGIN {statements} EXCEPTION WHEN lock_not_available THEN
                 RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, CONSTRAINT = '{LOCK_TIMEOUT_NAME}';
             END $$"
        ))
        .await
}

async fn newest_rows(connection: &mut AsyncPgConnection, day: &DayTable) -> QueryResult<Vec<NewestRow>> {
    sql_query(format!(
        "SELECT coalesce(s.first_name, s.name) AS name, s.partition, newest.seq
         FROM (SELECT sensor, max(seq) AS seq FROM {} WHERE seq IS NOT NULL GROUP BY sensor) newest
         JOIN sensors s ON s.id = newest.sensor",
        day.name
    ))
    .load(connection)
    .await
}

async fn count_rows(connection: &mut AsyncPgConnection, day: &DayTable) -> QueryResult<Vec<DayRows>> {
    sql_query(format!(
        r#"SELECT s.partition, count(*) AS "all", count(*) FILTER (WHERE (r.flags & {unscored}) <> 0) AS unscored,
                  count(*) FILTER (WHERE (r.flags & {poison}) <> 0) AS poison,
                  count(*) FILTER (WHERE (r.flags & {late}) <> 0) AS late
           FROM {day} r LEFT JOIN sensors s ON s.id = r.sensor GROUP BY s.partition ORDER BY s.partition"#,
        unscored = Flag::Unscored.bit(),
        poison = Flag::Poison.bit(),
        late = Flag::Late.bit(),
        day = day.name
    ))
    .load(connection)
    .await
}

/// The statement that adds rows to a partition's expired rows. The statements run in the order of
/// the partitions, as the engine's writers lock them.
fn expire_statement(DayRows { partition, all, unscored, poison, late }: &DayRows) -> Option<String> {
    let partition = (*partition)?;
    Some(format!(
        "UPDATE partitions SET expired = expired + {all}, expired_unscored = expired_unscored + {unscored},
                expired_poison = expired_poison + {poison}, expired_late = expired_late + {late}
         WHERE id = {partition};"
    ))
}
