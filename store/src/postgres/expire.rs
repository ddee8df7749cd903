//! Deletes rows that no bound of their own keeps small: old anomalies with their labels, the
//! quarantine, lost ranges of the log, and rows that nothing refers to any more.
//!
//! A restore, `explain` and `backtest` replay the stored readings. So a row that such a replay can
//! need is never deleted before the day tables of these readings are dropped.

use std::time::Duration;

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{BigInt, Date, Double};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};

use super::day_tables::{oldest_day, oldest_day_query};
use super::drop_day::{LOCK_TIMEOUT, is_lock_timeout, run_with_lock_timeout};

/// Maximum number of rows that one statement deletes.
const CHUNK: i64 = 5_000;
/// Older than all rows, in seconds.
const WITHOUT_LIMIT: f64 = 1e10;
/// How long a request about a sensor stays after it went into the log. The log has what it needs.
const KEEP_REQUESTS: &str = "7 days";

/// How long rows are kept. `None`: without a limit.
#[derive(Clone, Copy, Debug)]
pub struct KeptRows {
    /// Anomalies without a label, from their end on.
    pub anomalies: Option<Duration>,
    /// Anomalies with a label, and their labels, from the end of the anomaly on.
    pub labelled: Option<Duration>,
    /// Quarantined readings, and ranges of the log that were lost.
    pub quarantine: Option<Duration>,
    /// Maximum number of quarantined readings, and of such ranges.
    pub quarantine_rows: u64,
}

/// Deletes old anomalies, with their labels, that ended before the oldest day of readings. Returns
/// the number of anomalies. Then deletes labels whose anomalies are gone.
///
/// An anomaly that goes on is kept: its detector will write it again. An anomaly that a writer has
/// locked is kept until the next time.
pub async fn expire_anomalies(connection: &mut AsyncPgConnection, kept: &KeptRows) -> QueryResult<u64> {
    let Some(oldest) = oldest_day(connection).await? else { return Ok(0) };
    let anomalies = in_chunks(async || {
        let deleted: Count = sql_query(
            "WITH doomed AS (
                 SELECT a.sensor, a.started FROM anomalies a LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started
                 WHERE a.ended < now() - make_interval(secs => CASE WHEN l.label IS NULL THEN $1 ELSE $2 END)
                   AND a.started < now() - make_interval(secs => least($1, $2))
                   AND a.ended < $3::timestamp AT TIME ZONE 'UTC'
                 ORDER BY a.started LIMIT $4 FOR UPDATE OF a SKIP LOCKED),
             deleted AS (DELETE FROM anomalies a USING doomed d
                         WHERE a.sensor = d.sensor AND a.started = d.started RETURNING 1),
             labels AS (DELETE FROM labels l USING doomed d WHERE l.sensor = d.sensor AND l.started = d.started),
             applied AS (DELETE FROM applied_labels l USING doomed d WHERE l.sensor = d.sensor AND l.started = d.started)
             SELECT count(*) AS rows FROM deleted",
        )
        .bind::<Double, _>(seconds(kept.anomalies))
        .bind::<Double, _>(seconds(kept.labelled))
        .bind::<Date, _>(PgDate(oldest))
        .bind::<BigInt, _>(CHUNK)
        .get_result(&mut *connection)
        .await?;
        Ok(deleted.rows.cast_unsigned())
    })
    .await?;
    // A person may set a label while its anomaly is deleted.
    sql_query(
        "DELETE FROM labels l WHERE l.started < $1::timestamp AT TIME ZONE 'UTC' AND l.set_at < now() - interval '1 day'
           AND NOT EXISTS (SELECT FROM anomalies a WHERE a.sensor = l.sensor AND a.started = l.started)",
    )
    .bind::<Date, _>(PgDate(oldest))
    .execute(connection)
    .await?;
    Ok(anomalies)
}

/// Deletes quarantined readings that are too old or too many, the oldest first. Returns their
/// number. Those that a replay of the log would meet again are kept.
pub async fn expire_quarantine(connection: &mut AsyncPgConnection, kept: &KeptRows) -> QueryResult<u64> {
    let statement = "WITH ranked AS (SELECT ctid, partition, generation, n, quarantined,
                                row_number() OVER (ORDER BY quarantined DESC) AS place FROM quarantine),
              doomed AS (SELECT r.ctid FROM ranked r JOIN partitions p ON p.id = r.partition
                         WHERE (r.generation, r.n) <= (p.generation, p.n)
                           AND (r.quarantined < now() - make_interval(secs => $1) OR r.place > $2)
                         ORDER BY r.quarantined LIMIT $3)
         DELETE FROM quarantine q USING doomed d WHERE q.ctid = d.ctid";
    in_chunks(async || delete_oldest(&mut *connection, statement, kept).await).await
}

/// Deletes the records of lost ranges of the log that are too old or too many, the oldest first.
/// Returns their number.
pub async fn expire_losses(connection: &mut AsyncPgConnection, kept: &KeptRows) -> QueryResult<u64> {
    let statement = "WITH ranked AS (SELECT ctid, noticed, row_number() OVER (ORDER BY noticed DESC) AS place FROM log_losses),
              doomed AS (SELECT ctid FROM ranked
                         WHERE noticed < now() - make_interval(secs => $1) OR place > $2 ORDER BY noticed LIMIT $3)
         DELETE FROM log_losses l USING doomed d WHERE l.ctid = d.ctid";
    in_chunks(async || delete_oldest(&mut *connection, statement, kept).await).await
}

/// Deletes requests about sensors that are in the log for long, or whose sensor is not stored.
/// Returns their number. A request to forget a sensor is deleted when it is done.
pub async fn expire_requests(connection: &mut AsyncPgConnection) -> QueryResult<u64> {
    let deleted = sql_query(format!(
        "DELETE FROM sensor_requests q
         WHERE (q.logged AND q.action <> 'forget' AND q.requested < now() - interval '{KEEP_REQUESTS}')
            OR NOT EXISTS (SELECT FROM sensors s WHERE s.id = q.sensor)"
    ))
    .execute(connection)
    .await?;
    Ok(deleted as u64)
}

/// Deletes changes of a sensor's clock, and resets of its detector, that a later one makes
/// obsolete, because all readings before the later one are dropped. Returns their number.
pub async fn expire_changes(connection: &mut AsyncPgConnection) -> QueryResult<u64> {
    let Some(oldest) = oldest_day(connection).await? else { return Ok(0) };
    let statements = [
        // The readings of an era end before the `newest` of the next era.
        "DELETE FROM clock_changes c
         WHERE EXISTS (SELECT FROM clock_changes n WHERE n.sensor = c.sensor AND n.era = c.era + 1)
           AND NOT EXISTS (SELECT FROM clock_changes o WHERE o.sensor = c.sensor AND o.era <= c.era + 1
                           AND o.newest >= $1::timestamp AT TIME ZONE 'UTC')",
        "DELETE FROM detector_resets r
         WHERE EXISTS (SELECT FROM detector_resets n WHERE n.sensor = r.sensor AND n.request > r.request
                       AND n.newest < $1::timestamp AT TIME ZONE 'UTC'
                       AND NOT EXISTS (SELECT FROM clock_changes o WHERE o.sensor = n.sensor AND o.era <= n.era
                                       AND o.newest >= $1::timestamp AT TIME ZONE 'UTC'))",
    ];
    let mut all = 0;
    for statement in statements {
        all += sql_query(statement).bind::<Date, _>(PgDate(oldest)).execute(&mut *connection).await?;
    }
    Ok(all as u64)
}

/// Deletes configurations that no stored reading refers to: all days with such readings are
/// dropped. Returns their number.
pub async fn expire_configs(connection: &mut AsyncPgConnection) -> QueryResult<u64> {
    let unused = "FROM configs WHERE newest_day < coalesce((SELECT day FROM oldest), '-infinity')";
    delete_unreferenced(connection, "configs", unused).await
}

/// Deletes field sets that no stored sensor has sent. Returns their number.
pub async fn expire_field_sets(connection: &mut AsyncPgConnection) -> QueryResult<u64> {
    let unused = "FROM field_sets f
                  WHERE NOT EXISTS (SELECT FROM (SELECT DISTINCT unnest(field_sets) AS id FROM sensors) s WHERE s.id = f.id)";
    delete_unreferenced(connection, "field_sets", unused).await
}

/// Deletes the rows `unused` of a table to which rows of other tables refer. Returns their number;
/// 0 if writers hold the table. `oldest` is the oldest day of readings.
///
/// A transaction that begins to refer to a row inserts into the table first, also if the row is
/// there. The lock waits for these transactions, and the statement after it sees what they wrote.
async fn delete_unreferenced(
    connection: &mut AsyncPgConnection,
    table: &str,
    unused: &str,
) -> QueryResult<u64> {
    let oldest = oldest_day_query();
    let count: Count = sql_query(format!("WITH oldest AS ({oldest}) SELECT count(*) AS rows {unused}"))
        .get_result(connection)
        .await?;
    if count.rows == 0 {
        return Ok(0);
    }
    let deleted = connection
        .transaction(async |connection| {
            connection.batch_execute(LOCK_TIMEOUT).await?;
            let lock = format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;");
            run_with_lock_timeout(connection, &lock).await?;
            sql_query(format!("WITH oldest AS ({oldest}) DELETE {unused}")).execute(connection).await
        })
        .await;
    match deleted {
        Err(error) if is_lock_timeout(&error) => Ok(0),
        deleted => Ok(deleted? as u64),
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Executes a statement that gets the age in seconds, the number of rows and the size of a chunk.
async fn delete_oldest(
    connection: &mut AsyncPgConnection,
    statement: &str,
    kept: &KeptRows,
) -> QueryResult<u64> {
    let deleted = sql_query(statement)
        .bind::<Double, _>(seconds(kept.quarantine))
        .bind::<BigInt, _>(i64::try_from(kept.quarantine_rows).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(CHUNK)
        .execute(connection)
        .await?;
    Ok(deleted as u64)
}

/// Repeats a deletion until it deletes less than a chunk. Returns the number of deleted rows.
async fn in_chunks(mut delete: impl AsyncFnMut() -> QueryResult<u64>) -> QueryResult<u64> {
    let mut all = 0;
    loop {
        let deleted = delete().await?;
        all += deleted;
        if deleted < CHUNK.cast_unsigned() {
            return Ok(all);
        }
    }
}

fn seconds(age: Option<Duration>) -> f64 {
    age.map_or(WITHOUT_LIMIT, |age| age.as_secs_f64())
}
