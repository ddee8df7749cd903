//! Queries for the stored rows of one sensor. A restore, `explain` and `backtest` use them.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{ReadingRow, readings};
use thicket_schema::{FieldSet, Flag, SensorId, Timestamp};

use super::connection::{PostgresPool, StoreError, patiently};
use super::field_sets::FieldSets;

/// Before every reading: no reading is older than the Unix epoch.
pub(super) const BEFORE_ALL: Timestamp = Timestamp(-1);
/// After every reading: no reading is of the year 2263 or later.
pub(super) const AFTER_ALL: Timestamp = Timestamp(9_246_182_400_000_000);

/// A reading of a sensor, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReading {
    /// The timestamp of the reading.
    pub ts: Timestamp,
    /// The number of the reading among the applied readings of its sensor; `None` for a poison
    /// reading.
    pub seq: Option<u64>,
    /// The identity of the configuration that the reading was applied with; `None` for a poison
    /// reading.
    pub config: Option<u64>,
    /// How often the sensor's time had begun again before.
    pub era: i32,
    /// Whether it is a late reading, which the detector never scored.
    pub late: bool,
    /// The stored score; `None` for an unscored or poison reading.
    pub score: Option<f64>,
    /// The names of the values.
    pub fields: FieldSet,
    /// The values.
    pub values: Vec<f64>,
}

/// The place of a row in the order in which a detector applied the rows: the era, then the time.
pub type Applied = (i32, Timestamp);

/// The rows of a sensor to read, without late rows: the detector never scored them.
enum RowRange {
    /// The oldest rows after a place and before another, at most this many.
    Between(Applied, Applied, usize),
    /// The newest rows up to and including a place, at most this many.
    UpTo(Applied, usize),
}

/// A page of the rows of a sensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowPage {
    /// The rows, in the order in which the detector applied them.
    pub rows: Vec<StoredReading>,
    /// The place of the last row if more rows may follow; `None` if no row follows.
    pub more_after: Option<Applied>,
}

/// Returns the first `limit` rows, at least 1, that a sensor's detector applied after the place
/// `after`, in the order in which it applied them: within an era, the order by time is the order
/// by seq.
pub async fn rows_after(
    pool: &PostgresPool,
    sensor: SensorId,
    after: Option<Applied>,
    limit: usize,
    field_sets: &FieldSets,
) -> Result<RowPage, StoreError> {
    let limit = limit.max(1);
    let range = RowRange::Between(after.unwrap_or((0, BEFORE_ALL)), (i32::MAX, AFTER_ALL), limit);
    let rows = patiently(async { rows(&mut *pool.get().await?, sensor, range, field_sets).await }).await?;
    let last = rows.last().map(|row| (row.era, row.ts));
    let more_after = last.filter(|_| rows.len() >= limit);
    Ok(RowPage { rows, more_after })
}

/// Returns what [`rows_after`] returns, up to the place `before`.
pub async fn page_of_rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    after: Option<Applied>,
    before: Applied,
    limit: usize,
) -> Result<Vec<StoredReading>, StoreError> {
    let range = RowRange::Between(after.unwrap_or((0, BEFORE_ALL)), before, limit);
    rows(connection, sensor, range, &FieldSets::default()).await
}

/// Returns the last `limit` rows that a detector applied up to and including a place, in the order
/// in which it applied them.
pub async fn rows_up_to(
    pool: &PostgresPool,
    sensor: SensorId,
    newest: Applied,
    limit: usize,
) -> Result<Vec<StoredReading>, StoreError> {
    let range = RowRange::UpTo(newest, limit);
    patiently(async { rows(&mut *pool.get().await?, sensor, range, &FieldSets::default()).await }).await
}

/// Returns the first `limit` rows of a sensor between two times, both excluded, in the order of
/// their time: late rows only if `with_late`.
pub async fn page_by_time(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    after: Option<Timestamp>,
    before: Timestamp,
    with_late: bool,
    limit: usize,
) -> Result<Vec<StoredReading>, StoreError> {
    let rows: Vec<ReadingRow> = sql_query(format!(
        "SELECT * FROM readings WHERE sensor = $1 AND ts > $2 AND ts < $3 AND ($4 OR (flags & {}) = 0)
         ORDER BY ts LIMIT $5",
        Flag::Late.bit()
    ))
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(after.unwrap_or(BEFORE_ALL))
    .bind::<Timestamptz, _>(before)
    .bind::<Bool, _>(with_late)
    .bind::<BigInt, _>(limit as i64)
    .load(connection)
    .await?;
    named(connection, rows, &FieldSets::default()).await
}

/// Returns the place of the last scored row of a sensor whose configuration is not among `configs`.
/// If `before` is given, only rows before that place count.
pub async fn newest_of_others(
    pool: &PostgresPool,
    sensor: SensorId,
    configs: &[u64],
    before: Option<Applied>,
) -> Result<Option<Applied>, StoreError> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = Integer)]
        era: i32,
        #[diesel(sql_type = Timestamptz)]
        ts: Timestamp,
    }
    let (era, ts) = before.unwrap_or((i32::MAX, AFTER_ALL));
    // One step per era, each in the order of the primary key.
    let query = sql_query(
        "SELECT e.era, n.ts
         FROM (SELECT 0 AS era UNION ALL SELECT era FROM clock_changes WHERE sensor = $1) e
         CROSS JOIN LATERAL (
             SELECT ts FROM readings
             WHERE sensor = $1 AND era = e.era AND seq IS NOT NULL AND config <> ALL($2) AND (era, ts) < ($3, $4)
             ORDER BY ts DESC LIMIT 1) n
         ORDER BY e.era DESC LIMIT 1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Array<BigInt>, _>(configs.iter().map(|id| id.cast_signed()).collect::<Vec<_>>())
    .bind::<Integer, _>(era)
    .bind::<Timestamptz, _>(ts);
    let newest: Vec<Newest> = patiently(async { Ok(query.load(&mut *pool.get().await?).await?) }).await?;
    Ok(newest.into_iter().next().map(|Newest { era, ts }| (era, ts)))
}

/// A stored reading with the names of its values.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct NamedReading {
    /// The row.
    #[diesel(embed)]
    pub reading: ReadingRow,
    /// The names of its values, in the same order.
    #[diesel(sql_type = Array<Text>)]
    pub names: Vec<String>,
}

/// Returns a sensor's newest scored reading at or before a time, `None` if there is no such
/// reading.
pub async fn newest_scored(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    at: Timestamp,
) -> QueryResult<Option<NamedReading>> {
    let rows: Vec<NamedReading> = sql_query(
        "SELECT r.*, fs.names FROM readings r JOIN field_sets fs ON fs.id = r.field_set
         WHERE r.sensor = $1 AND r.ts <= $2 AND r.score IS NOT NULL ORDER BY r.ts DESC LIMIT 1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(at)
    .load(connection)
    .await?;
    Ok(rows.into_iter().next())
}

/// Returns the time of a sensor's first scored reading, `None` if it has no scored reading.
pub async fn first_scored(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
) -> QueryResult<Option<Timestamp>> {
    readings::table
        .filter(readings::sensor.eq(sensor.0).and(readings::seq.is_not_null()))
        .select(diesel::dsl::min(readings::ts))
        .first(connection)
        .await
}

/// The seqs of a sensor's first and last scored reading in a range of time. Both are `None` if it
/// has no scored reading there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
pub struct SeqRange {
    /// The sensor.
    #[diesel(sql_type = BigInt)]
    pub sensor: i64,
    /// Seq of the first reading.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub first: Option<i64>,
    /// Seq of the last reading.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub last: Option<i64>,
    /// Whether the sensor has any reading there, scored or not.
    #[diesel(sql_type = Bool)]
    pub has_readings: bool,
}

/// Returns the seqs of the scored readings of sensors `from` a time `to` a time, both included.
///
/// Scored readings are numbered without gaps, so the range also gives their number.
pub async fn seq_ranges(
    connection: &mut AsyncPgConnection,
    sensors: &[i64],
    from: Timestamp,
    to: Timestamp,
) -> QueryResult<Vec<SeqRange>> {
    sql_query(
        "SELECT s.id AS sensor,
                (SELECT r.seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $2 AND r.ts <= $3 AND r.seq IS NOT NULL
                 ORDER BY r.ts LIMIT 1) AS first,
                (SELECT r.seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $2 AND r.ts <= $3 AND r.seq IS NOT NULL
                 ORDER BY r.ts DESC LIMIT 1) AS last,
                EXISTS (SELECT 1 FROM readings r WHERE r.sensor = s.id AND r.ts >= $2 AND r.ts <= $3) AS has_readings
         FROM sensors s WHERE s.id = ANY($1)",
    )
    .bind::<Array<BigInt>, _>(sensors)
    .bind::<Timestamptz, _>(from)
    .bind::<Timestamptz, _>(to)
    .load(connection)
    .await
}

/// Returns the seq of each sensor's newest scored reading, `None` if it has no scored reading.
pub async fn newest_seqs(
    connection: &mut AsyncPgConnection,
    sensors: &[i64],
) -> QueryResult<BTreeMap<i64, Option<i64>>> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = BigInt)]
        sensor: i64,
        #[diesel(sql_type = Nullable<BigInt>)]
        seq: Option<i64>,
    }
    let newest: Vec<Newest> = sql_query(
        "SELECT k.id AS sensor,
                (SELECT r.seq FROM readings r
                 WHERE r.sensor = k.id AND r.seq IS NOT NULL
                 AND r.era = coalesce((SELECT max(era) FROM clock_changes c WHERE c.sensor = k.id), 0)
                 ORDER BY r.ts DESC LIMIT 1) AS seq
         FROM unnest($1::int8[]) AS k (id)",
    )
    .bind::<Array<BigInt>, _>(sensors)
    .load(connection)
    .await?;
    Ok(newest.into_iter().map(|Newest { sensor, seq }| (sensor, seq)).collect())
}

/// Returns the time of a sensor's newest reading before `from` after which `skip` other readings
/// follow before `from`. Late readings do not count. `None` if there are fewer readings.
pub async fn time_before(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    from: Timestamp,
    skip: u64,
) -> QueryResult<Option<Timestamp>> {
    #[derive(QueryableByName)]
    struct At {
        #[diesel(sql_type = Timestamptz)]
        ts: Timestamp,
    }
    let rows: Vec<At> = sql_query(format!(
        "SELECT ts FROM readings WHERE sensor = $1 AND ts < $2 AND (flags & {late}) = 0
         ORDER BY ts DESC OFFSET $3 LIMIT 1",
        late = Flag::Late.bit()
    ))
    .bind::<BigInt, _>(sensor.0)
    .bind::<Timestamptz, _>(from)
    .bind::<BigInt, _>(i64::try_from(skip).unwrap_or(i64::MAX))
    .load(connection)
    .await?;
    Ok(rows.into_iter().next().map(|row| row.ts))
}

/// Returns the time before the first reading of each era of a sensor after `era`, the lowest of
/// them.
async fn first_of_later_eras(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    era: i32,
) -> QueryResult<Timestamp> {
    #[derive(QueryableByName)]
    struct First {
        #[diesel(sql_type = Nullable<Timestamptz>)]
        begins: Option<Timestamp>,
    }
    let First { begins } =
        sql_query("SELECT min(begins) AS begins FROM clock_changes WHERE sensor = $1 AND era > $2")
            .bind::<BigInt, _>(sensor.0)
            .bind::<Integer, _>(era)
            .get_result(connection)
            .await?;
    Ok(begins.map_or(AFTER_ALL, |begins| Timestamp(begins.0.saturating_sub(1))))
}

async fn rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    range: RowRange,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, StoreError> {
    let select = format!("SELECT * FROM readings WHERE sensor = $1 AND (flags & {}) = 0", Flag::Late.bit());
    let rows: Vec<ReadingRow> = match range {
        // One step per era, each in the order of the primary key. Nearly every sensor has one era.
        RowRange::Between((era_after, after), (era_before, before), limit) => {
            let lowest = after.min(first_of_later_eras(connection, sensor, era_after).await?);
            // PostgreSQL plans only the days after the constant $7.
            sql_query(format!(
                "SELECT n.* FROM (
                     SELECT $2 AS of_era, $3 AS after
                     UNION ALL SELECT era, begins - interval '1 microsecond' FROM clock_changes
                     WHERE sensor = $1 AND era > $2 AND era <= $4) e
                 CROSS JOIN LATERAL (
                     {select} AND era = e.of_era AND ts > e.after AND ts > $7
                     AND ts < CASE WHEN e.of_era = $4 THEN $5 ELSE 'infinity' END ORDER BY ts LIMIT $6) n
                 ORDER BY n.era, n.ts LIMIT $6"
            ))
            .bind::<BigInt, _>(sensor.0)
            .bind::<Integer, _>(era_after)
            .bind::<Timestamptz, _>(after)
            .bind::<Integer, _>(era_before)
            .bind::<Timestamptz, _>(before)
            .bind::<BigInt, _>(limit as i64)
            .bind::<Timestamptz, _>(lowest)
            .load(connection)
            .await?
        }
        RowRange::UpTo((era, newest), limit) => {
            let mut rows: Vec<ReadingRow> = sql_query(format!(
                "SELECT n.* FROM (
                     SELECT 0 AS of_era UNION ALL SELECT era FROM clock_changes WHERE sensor = $1 AND era <= $2) e
                 CROSS JOIN LATERAL ({select} AND era = e.of_era AND (era, ts) <= ($2, $3) ORDER BY ts DESC LIMIT $4) n
                 ORDER BY n.era DESC, n.ts DESC LIMIT $4"
            ))
            .bind::<BigInt, _>(sensor.0)
            .bind::<Integer, _>(era)
            .bind::<Timestamptz, _>(newest)
            .bind::<BigInt, _>(limit as i64)
            .load(connection)
            .await?;
            rows.reverse();
            rows
        }
    };
    named(connection, rows, field_sets).await
}

/// Adds the names of the values.
async fn named(
    connection: &mut AsyncPgConnection,
    rows: Vec<ReadingRow>,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, StoreError> {
    let field_sets = field_sets.load(connection, rows.iter().map(|row| row.field_set)).await?;
    let stored = rows.into_iter().map(|row| {
        let fields = field_sets.get(&row.field_set).cloned();
        Ok(StoredReading {
            ts: row.ts,
            seq: row.seq.map(i64::cast_unsigned),
            config: row.config.map(i64::cast_unsigned),
            era: row.era,
            late: Flag::Late.is_in(row.flags),
            score: row.score,
            fields: fields.ok_or_else(|| StoreError::FieldSet(format!("{} has no names", row.field_set)))?,
            values: row.values,
        })
    });
    stored.collect()
}
