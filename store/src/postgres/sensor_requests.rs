//! `sensor_requests`: what people want the owner of a sensor to do, on its way into the log.
//! `detector_resets`: the detectors that began again.

use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use std::time::Duration;
use thicket_schema::{Flag, PartitionId, SensorAction, SensorId, SensorName, Timestamp};

use super::connection::{PostgresPool, StoreError, quickly};
use super::day_tables::first_day_query;
use super::history::Applied;
use super::notifications::announce_forgotten;

/// Maximum number of requests that one query returns or makes.
const PAGE: i64 = 1_000;
/// Rows that one statement deletes of a sensor that is to be forgotten.
const ROWS: i64 = 20_000;

/// Holds for the request `q` to forget the sensor `s` if it is still to be done. A request of the
/// engine itself has no effect once the sensor has sent readings again.
const IS_TO_BE_DONE: &str = "q.id = $1 AND q.sensor = $2 AND q.action = 'forget' AND s.id = q.sensor
    AND (q.last_day IS NULL
         OR (q.last_day = s.last_day AND NOT EXISTS (SELECT FROM readings r WHERE r.sensor = s.id)))";

/// The id of a request.
#[derive(QueryableByName)]
struct RequestId {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// A request that is not in the log yet.
#[derive(Clone, Debug)]
pub struct UnloggedRequest {
    /// Its id.
    pub id: i64,
    /// The sensor's partition.
    pub partition: PartitionId,
    /// The sensor.
    pub sensor: SensorName,
    /// What to do.
    pub action: SensorAction,
}

/// A detector that began again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetectorReset {
    /// The id of the request.
    pub request: i64,
    /// The number of the last reading before.
    pub seq: u64,
    /// The era of that reading.
    pub era: i32,
    /// The newest time of the detector before.
    pub newest: Timestamp,
}

impl DetectorReset {
    /// Returns the place of the last row before it.
    pub const fn place(&self) -> Applied {
        (self.era, self.newest)
    }
}

/// Adds a request about a sensor.
pub async fn request(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    action: SensorAction,
) -> QueryResult<()> {
    sql_query("INSERT INTO sensor_requests (sensor, action) VALUES ($1, $2)")
        .bind::<BigInt, _>(sensor.0)
        .bind::<Text, _>(action.name())
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds a request to forget a sensor that does not go into the log before
/// [`finish_forgetting`]. Returns its id.
pub async fn begin_forgetting(connection: &mut AsyncPgConnection, sensor: SensorId) -> QueryResult<i64> {
    let row: RequestId = sql_query(
        "INSERT INTO sensor_requests (sensor, action, ready) VALUES ($1, 'forget', false) RETURNING id",
    )
    .bind::<BigInt, _>(sensor.0)
    .get_result(connection)
    .await?;
    Ok(row.id)
}

/// Deletes the rows of a sensor in short transactions, and lets the request to forget it go into
/// the log. Rows that are stored meanwhile are deleted when the request is done. Returns the number
/// of deleted rows.
pub async fn finish_forgetting(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    request: i64,
) -> QueryResult<i64> {
    let mut all = 0;
    loop {
        let deleted = delete_rows(connection, sensor, Some(ROWS)).await?;
        all += deleted;
        if deleted < ROWS {
            break;
        }
    }
    sql_query("UPDATE sensor_requests SET ready = true WHERE id = $1")
        .bind::<BigInt, _>(request)
        .execute(connection)
        .await?;
    Ok(all)
}

/// Finishes the requests to forget a sensor whose commands have ended before they could: those that
/// are older than `age`. Returns their number.
pub async fn finish_left_over(connection: &mut AsyncPgConnection, age: Duration) -> QueryResult<usize> {
    #[derive(QueryableByName)]
    struct LeftOver {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = BigInt)]
        sensor: i64,
    }
    let found: Vec<LeftOver> = sql_query(
        "SELECT id, sensor FROM sensor_requests
         WHERE NOT ready AND requested < now() - make_interval(secs => $1) ORDER BY id LIMIT $2",
    )
    .bind::<Double, _>(age.as_secs_f64())
    .bind::<BigInt, _>(PAGE)
    .load(connection)
    .await?;
    for LeftOver { id, sensor } in &found {
        finish_forgetting(connection, SensorId(*sensor), *id).await?;
    }
    Ok(found.len())
}

/// Requests that checkpoints of these sensors be saved that are never evicted. Earlier requests of
/// this kind that are in the log are deleted.
pub async fn request_saves(connection: &mut AsyncPgConnection, sensors: &[SensorId]) -> QueryResult<usize> {
    sql_query("DELETE FROM sensor_requests WHERE action = 'save' AND logged").execute(connection).await?;
    sql_query(
        "INSERT INTO sensor_requests (sensor, action)
         SELECT s.id, 'save' FROM sensors s WHERE s.id = ANY($1)
           AND NOT EXISTS (SELECT FROM sensor_requests q WHERE q.sensor = s.id AND q.action = 'save')
         ORDER BY s.id LIMIT $2",
    )
    .bind::<Array<BigInt>, _>(sensors.iter().map(|sensor| sensor.0).collect::<Vec<_>>())
    .bind::<BigInt, _>(PAGE)
    .execute(connection)
    .await
}

/// Requests that sensors be forgotten that have no rows and have sent nothing for as long as
/// `silent`. Deletes such requests about sensors that have sent readings since. Returns the number
/// of new requests.
///
/// A sensor has no rows if its last day is before all day tables. While retention keeps an older day,
/// a sensor waits even if it has no rows in it. So no row is read: a search of all days for each
/// silent sensor takes seconds.
pub async fn request_forgetting(connection: &mut AsyncPgConnection, silent: Duration) -> QueryResult<usize> {
    let first_day = first_day_query();
    sql_query(format!(
        "DELETE FROM sensor_requests q USING sensors s
         WHERE s.id = q.sensor AND q.action = 'forget' AND q.last_day IS NOT NULL
           AND (s.last_day IS DISTINCT FROM q.last_day OR s.last_day >= ({first_day}))"
    ))
    .execute(connection)
    .await?;
    sql_query(format!(
        "INSERT INTO sensor_requests (sensor, action, last_day)
         SELECT s.id, 'forget', s.last_day FROM sensors s
         WHERE s.last_day + 1 < (now() AT TIME ZONE 'UTC') - make_interval(secs => $1)
           AND s.last_day < ({first_day})
           AND NOT EXISTS (SELECT FROM sensor_requests q WHERE q.sensor = s.id AND q.action = 'forget')
         ORDER BY s.last_day LIMIT $2"
    ))
    .bind::<Double, _>(silent.as_secs_f64())
    .bind::<BigInt, _>(PAGE)
    .execute(connection)
    .await
}

/// Returns requests that are not in the log yet, the oldest first.
pub async fn unlogged_requests(pool: &PostgresPool) -> Result<Vec<UnloggedRequest>, StoreError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = Text)]
        name: String,
        #[diesel(sql_type = Text)]
        action: String,
    }
    let query = sql_query(
        "SELECT q.id, s.partition, coalesce(s.first_name, s.name) AS name, q.action FROM sensor_requests q JOIN sensors s ON s.id = q.sensor
         WHERE NOT q.logged AND q.ready ORDER BY q.id LIMIT $1",
    )
    .bind::<BigInt, _>(PAGE);
    let rows: Vec<Row> = quickly(async { Ok(query.load(&mut *pool.get().await?).await?) }).await?;
    let request = |Row { id, partition, name, action }: Row| {
        let (sensor, action) = (SensorName::new(&name).ok()?, SensorAction::from_name(&action)?);
        Some(UnloggedRequest { id, partition: PartitionId(partition as u16), sensor, action })
    };
    Ok(rows.into_iter().filter_map(request).collect())
}

/// Marks requests as logged.
pub async fn mark_requests_logged(
    pool: &PostgresPool,
    requests: &[UnloggedRequest],
) -> Result<(), StoreError> {
    let ids: Vec<i64> = requests.iter().map(|request| request.id).collect();
    quickly(async {
        sql_query("UPDATE sensor_requests SET logged = true WHERE id = ANY($1)")
            .bind::<Array<BigInt>, _>(ids)
            .execute(&mut *pool.get().await?)
            .await?;
        Ok(())
    })
    .await
}

/// Stores that a detector began again.
pub(super) async fn insert_reset(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    reset: &DetectorReset,
) -> QueryResult<()> {
    sql_query(
        "INSERT INTO detector_resets (sensor, request, seq, era, newest) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<BigInt, _>(reset.request)
    .bind::<BigInt, _>(reset.seq.cast_signed())
    .bind::<Integer, _>(reset.era)
    .bind::<Timestamptz, _>(reset.newest)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the last time that a sensor's detector began again, before a place if one is given.
pub async fn newest_reset(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    before: Option<Applied>,
) -> QueryResult<Option<DetectorReset>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        request: i64,
        #[diesel(sql_type = BigInt)]
        seq: i64,
        #[diesel(sql_type = Integer)]
        era: i32,
        #[diesel(sql_type = Timestamptz)]
        newest: Timestamp,
    }
    let rows: Vec<Row> = sql_query(
        "SELECT request, seq, era, newest FROM detector_resets
         WHERE sensor = $1 AND ($2 IS NULL OR (era, newest) < ($2, $3)) ORDER BY request DESC LIMIT 1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Nullable<Integer>, _>(before.map(|(era, _)| era))
    .bind::<Nullable<Timestamptz>, _>(before.map(|(_, ts)| ts))
    .load(connection)
    .await?;
    let reset = |Row { request, seq, era, newest }: Row| DetectorReset {
        request,
        seq: seq.cast_unsigned(),
        era,
        newest,
    };
    Ok(rows.into_iter().next().map(reset))
}

/// Returns whether a request to forget a sensor is still to be done. All earlier readings of the
/// sensor must be committed.
pub async fn is_to_forget(pool: &PostgresPool, sensor: SensorId, request: i64) -> Result<bool, StoreError> {
    let query = sql_query(format!("SELECT q.id FROM sensor_requests q, sensors s WHERE {IS_TO_BE_DONE}"))
        .bind::<BigInt, _>(request)
        .bind::<BigInt, _>(sensor.0);
    let found: Vec<RequestId> = quickly(async { Ok(query.load(&mut *pool.get().await?).await?) }).await?;
    Ok(!found.is_empty())
}

/// Deletes everything that is stored of a sensor, and counts its rows in the ledger as expired.
/// Does nothing if the request is not to be done any more. Returns whether the sensor is forgotten.
pub(super) async fn forget(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    request: i64,
) -> QueryResult<bool> {
    let undone = sql_query(format!("DELETE FROM sensor_requests q USING sensors s WHERE {IS_TO_BE_DONE}"))
        .bind::<BigInt, _>(request)
        .bind::<BigInt, _>(sensor.0)
        .execute(connection)
        .await?;
    if undone == 0 {
        return Ok(false);
    }
    announce_forgotten(connection, sensor).await?;
    delete_rows(connection, sensor, None).await?;
    for table in [
        "anomalies",
        "labels",
        "applied_labels",
        "sensor_fields",
        "sensor_clocks",
        "clock_changes",
        "detector_resets",
        "sensor_requests",
    ] {
        let delete = format!("DELETE FROM {table} WHERE sensor = $1");
        sql_query(delete).bind::<BigInt, _>(sensor.0).execute(connection).await?;
    }
    sql_query("DELETE FROM sensors WHERE id = $1").bind::<BigInt, _>(sensor.0).execute(connection).await?;
    Ok(true)
}

/// Deletes the oldest rows of a sensor, all of them if `limit` is `None`. Counts them in the ledger
/// as expired. Returns their number.
///
/// A sensor has one row at a time, so the oldest rows are those of a range of times. A range is
/// found by the index, in the tables of its days; a join with the rows would scan all days.
async fn delete_rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    limit: Option<i64>,
) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Deleted {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let [unscored, poison, late] = [Flag::Unscored, Flag::Poison, Flag::Late].map(Flag::bit);
    let deleted: Deleted = sql_query(format!(
        "WITH doomed AS (SELECT ts FROM readings WHERE sensor = $1 ORDER BY ts LIMIT $2),
              deleted AS (DELETE FROM readings
                          WHERE sensor = $1 AND ts BETWEEN (SELECT min(ts) FROM doomed) AND (SELECT max(ts) FROM doomed)
                          RETURNING flags),
              counts AS (SELECT count(*) AS rows, count(*) FILTER (WHERE flags & {unscored} <> 0) AS unscored,
                                count(*) FILTER (WHERE flags & {poison} <> 0) AS poison,
                                count(*) FILTER (WHERE flags & {late} <> 0) AS late FROM deleted),
              counted AS (UPDATE partitions p
                          SET expired = expired + c.rows, expired_unscored = expired_unscored + c.unscored,
                              expired_poison = expired_poison + c.poison, expired_late = expired_late + c.late
                          FROM counts c WHERE p.id = (SELECT partition FROM sensors WHERE id = $1))
         SELECT rows FROM counts"
    ))
    .bind::<BigInt, _>(sensor.0)
    .bind::<Nullable<BigInt>, _>(limit)
    .get_result(connection)
    .await?;
    Ok(deleted.rows)
}
