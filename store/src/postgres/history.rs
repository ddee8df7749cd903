//! Queries for the stored rows of one sensor. A restore, `explain` and `backtest` use them.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz};
use diesel::{BoolExpressionMethods as _, ExpressionMethods as _, QueryDsl as _};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{ReadingRow, readings};
use thicket_schema::{FieldSet, Flag, SensorId, Timestamp};

use super::connection::{PostgresPool, StoreError};
use super::field_sets::FieldSets;

/// Before every reading: no reading is older than the Unix epoch.
const BEFORE_ALL: Timestamp = Timestamp(-1);
/// After every reading: no reading is of the year 2263 or later.
const AFTER_ALL: Timestamp = Timestamp(9_246_182_400_000_000);

/// A scored, unscored or poison reading of a sensor, as it is stored.
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
    /// The stored score; `None` for an unscored or poison reading.
    pub score: Option<f64>,
    /// The names of the values.
    pub fields: FieldSet,
    /// The values.
    pub values: Vec<f64>,
}

/// The rows of a sensor to read. Late rows are always left out: the detector never scored them.
enum RowRange {
    /// Rows newer than a time.
    After(Timestamp),
    /// The newest rows up to and including a time, at most this many.
    UpTo(Timestamp, usize),
    /// The oldest rows that are newer than the first time and older than the second, at most this
    /// many.
    Between(Timestamp, Timestamp, usize),
}

/// Returns the scored, unscored and poison rows of a sensor that are newer than `after`, oldest first.
///
/// The order by time is also the order by seq. Late rows are left out: the detector never scored
/// them.
pub async fn rows_after(
    pool: &PostgresPool,
    sensor: SensorId,
    after: Option<Timestamp>,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, StoreError> {
    let range = RowRange::After(after.unwrap_or(BEFORE_ALL));
    rows(&mut *pool.get().await?, sensor, range, field_sets).await
}

/// Returns the first `limit` rows of [`rows_after`] that are older than `before`.
pub async fn page_of_rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    after: Option<Timestamp>,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<StoredReading>, StoreError> {
    let range = RowRange::Between(after.unwrap_or(BEFORE_ALL), before, limit);
    rows(connection, sensor, range, &FieldSets::default()).await
}

/// Returns the last `limit` scored, unscored and poison rows of a sensor up to and including a time, oldest
/// first.
pub async fn rows_up_to(
    pool: &PostgresPool,
    sensor: SensorId,
    newest: Timestamp,
    limit: usize,
) -> Result<Vec<StoredReading>, StoreError> {
    rows(&mut *pool.get().await?, sensor, RowRange::UpTo(newest, limit), &FieldSets::default()).await
}

/// Returns the time of a sensor's newest scored row whose configuration is not among `configs`. If
/// `before` is given, only older rows count.
pub async fn newest_of_others(
    pool: &PostgresPool,
    sensor: SensorId,
    configs: &[u64],
    before: Option<Timestamp>,
) -> Result<Option<Timestamp>, StoreError> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = Timestamptz)]
        ts: Timestamp,
    }
    let newest: Vec<Newest> = sql_query(
        "SELECT ts FROM readings
         WHERE sensor = $1 AND seq IS NOT NULL AND config <> ALL($2) AND ts < $3 ORDER BY ts DESC LIMIT 1",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Array<BigInt>, _>(configs.iter().map(|id| id.cast_signed()).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(before.unwrap_or(AFTER_ALL))
    .load(&mut *pool.get().await?)
    .await?;
    Ok(newest.into_iter().next().map(|newest| newest.ts))
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
                 ORDER BY r.ts DESC LIMIT 1) AS last
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
                (SELECT r.seq FROM readings r WHERE r.sensor = k.id AND r.seq IS NOT NULL ORDER BY r.ts DESC LIMIT 1) AS seq
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

/// The facts that decide whether a restore may use the checkpoint of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// The seq of its newest scored row; `None` if it has no such row. If retention has dropped
    /// rows of any sensor, a sensor without rows has `u64::MAX`: it may have had any number of
    /// rows.
    pub newest_seq: Option<u64>,
    /// Whether its detector has applied labels.
    pub has_labels: bool,
}

impl CheckpointFacts {
    /// Reads the facts of a sensor.
    pub async fn load(pool: &PostgresPool, sensor: SensorId) -> Result<Self, StoreError> {
        #[derive(QueryableByName)]
        struct Found {
            #[diesel(sql_type = Nullable<BigInt>)]
            seq: Option<i64>,
            #[diesel(sql_type = Bool)]
            has_expired: bool,
            #[diesel(sql_type = Bool)]
            has_labels: bool,
        }
        let found: Found = sql_query(
            "SELECT (SELECT seq FROM readings WHERE sensor = $1 AND seq IS NOT NULL ORDER BY ts DESC LIMIT 1) AS seq,
                    EXISTS (SELECT 1 FROM partitions WHERE expired > 0) AS has_expired,
                    EXISTS (SELECT 1 FROM applied_labels WHERE sensor = $1) AS has_labels",
        )
        .bind::<BigInt, _>(sensor.0)
        .get_result(&mut *pool.get().await?)
        .await?;
        let newest_seq = found.seq.map(i64::cast_unsigned).or(found.has_expired.then_some(u64::MAX));
        Ok(Self { newest_seq, has_labels: found.has_labels })
    }
}

async fn rows(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
    range: RowRange,
    field_sets: &FieldSets,
) -> Result<Vec<StoredReading>, StoreError> {
    let select = format!("SELECT * FROM readings WHERE sensor = $1 AND (flags & {}) = 0", Flag::Late.bit());
    let rows: Vec<ReadingRow> = match range {
        RowRange::After(after) => {
            sql_query(format!("{select} AND ts > $2 ORDER BY ts"))
                .bind::<BigInt, _>(sensor.0)
                .bind::<Timestamptz, _>(after)
                .load(connection)
                .await?
        }
        RowRange::Between(after, before, limit) => {
            sql_query(format!("{select} AND ts > $2 AND ts < $3 ORDER BY ts LIMIT $4"))
                .bind::<BigInt, _>(sensor.0)
                .bind::<Timestamptz, _>(after)
                .bind::<Timestamptz, _>(before)
                .bind::<BigInt, _>(limit as i64)
                .load(connection)
                .await?
        }
        RowRange::UpTo(newest, limit) => {
            let mut rows: Vec<ReadingRow> =
                sql_query(format!("{select} AND ts <= $2 ORDER BY ts DESC LIMIT $3"))
                    .bind::<BigInt, _>(sensor.0)
                    .bind::<Timestamptz, _>(newest)
                    .bind::<BigInt, _>(limit as i64)
                    .load(connection)
                    .await?;
            rows.reverse();
            rows
        }
    };
    let field_sets = field_sets.load(connection, rows.iter().map(|row| row.field_set)).await?;
    let stored = rows.into_iter().map(|row| {
        let fields = field_sets.get(&row.field_set).cloned();
        Ok(StoredReading {
            ts: row.ts,
            seq: row.seq.map(i64::cast_unsigned),
            config: row.config.map(i64::cast_unsigned),
            score: row.score,
            fields: fields.ok_or_else(|| StoreError::FieldSet(format!("{} has no names", row.field_set)))?,
            values: row.values,
        })
    });
    stored.collect()
}
