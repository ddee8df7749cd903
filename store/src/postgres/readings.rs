//! `readings`: the statements that write rows. Thousands of rows per statement, one array per
//! column.

use std::collections::HashSet;

use diesel::sql_types::{Array, BigInt, Double, Float, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{Detection, Marks};
use thicket_schema::postgres::ReadingRow;
use thicket_schema::{Flag, Reading, Timestamp};

/// Selects the rows of [`Columns`]. `$6[first:last]` is the slice of a row's values in the flat
/// array. PostgreSQL slices an array parameter without nulls in place. An array of array literals
/// would have to be printed, sent as text and parsed.
const ROWS: &str = "
SELECT r.sensor, r.ts, r.seq, r.field_set, ($6::float8[])[r.first:r.last], r.score, r.grade, r.flags, r.era, r.config, r.confidence, r.onset
FROM UNNEST($1::int8[], $2::timestamptz[], $3::int8[], $4::int8[], $5::int4[], $7::int4[], $8::float8[], $9::float8[], $10::int4[], $11::int8[], $12::float4[], $13::float4[], $14::int4[])
     AS r (sensor, ts, seq, field_set, first, last, score, grade, flags, config, confidence, onset, era)";

fn insert() -> String {
    format!(
        r#"INSERT INTO readings (sensor, ts, seq, field_set, "values", score, grade, flags, era, config, confidence, onset)
        {ROWS} ON CONFLICT DO NOTHING"#
    )
}

/// The primary key of `readings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, QueryableByName)]
pub(super) struct ReadingKey {
    #[diesel(sql_type = BigInt)]
    pub(super) sensor: i64,
    #[diesel(sql_type = Timestamptz)]
    pub(super) ts: Timestamp,
}

/// Returns the row of a reading that its detector has applied. An unscored reading has a seq and a
/// configuration, but no score. `config` is the identity of the detector's configuration.
pub fn scored_row(reading: &Reading, detection: &Detection, config: u64) -> ReadingRow {
    let row = ReadingRow {
        seq: Some(detection.seq.cast_signed()),
        config: Some(config.cast_signed()),
        ..ReadingRow::unscored(reading, flags_of(detection))
    };
    if detection.marks.unscored {
        return row;
    }
    ReadingRow {
        score: Some(detection.score),
        grade: detection.grade,
        confidence: Some(detection.confidence as f32),
        onset: Some(detection.onset as f32),
        ..row
    }
}

/// Returns the bits of `flags` for a scored reading.
fn flags_of(detection: &Detection) -> i32 {
    let Marks { suppressed, imputed, stuck, after_silence, learning_slowed, unscored } = detection.marks;
    let marks = [
        (detection.grade.is_none() && !unscored, Flag::WarmingUp),
        (detection.anomaly, Flag::Anomaly),
        (suppressed, Flag::Suppressed),
        (imputed, Flag::Imputed),
        (stuck, Flag::Stuck),
        (after_silence, Flag::AfterSilence),
        (learning_slowed, Flag::LearningSlowed),
        (unscored, Flag::Unscored),
    ];
    marks.iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, flag)| bits | flag.bit())
}

/// Inserts rows. Returns how many were not stored before.
pub(super) async fn insert_readings(
    connection: &mut AsyncPgConnection,
    rows: &[&ReadingRow],
) -> QueryResult<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    Columns::of(rows).bind(&insert()).execute(connection).await
}

/// Inserts rows. Returns the keys of the rows that were not stored before.
pub(super) async fn insert_readings_returning(
    connection: &mut AsyncPgConnection,
    rows: &[&ReadingRow],
) -> QueryResult<HashSet<ReadingKey>> {
    let returning = format!("{} RETURNING sensor, ts", insert());
    let keys: Vec<ReadingKey> = Columns::of(rows).bind(&returning).load(connection).await?;
    Ok(keys.into_iter().collect())
}

/// Why PostgreSQL rejects rows.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(super) struct Rejection {
    /// The SQLSTATE.
    #[diesel(sql_type = Text)]
    pub(super) code: String,
    /// The message, in the language of the server.
    #[diesel(sql_type = Text)]
    pub(super) message: String,
    /// The name of the violated constraint; empty if there is none.
    #[diesel(sql_type = Text)]
    pub(super) constraint_name: String,
}

/// Tries to insert rows. The caller must roll back. Returns `None` if PostgreSQL accepts the rows.
///
/// # Errors
/// Returns an error if the connection or the server is to blame, not a row.
pub(super) async fn try_insert_readings(
    connection: &mut AsyncPgConnection,
    rows: &[&ReadingRow],
) -> QueryResult<Option<Rejection>> {
    let attempt =
        format!("SELECT * FROM try_insert_readings(ARRAY(SELECT ROW(r.*)::readings FROM ({ROWS}) r))");
    Ok(Columns::of(rows).bind(&attempt).load(connection).await?.into_iter().next())
}

/// Rows, transposed into one array per column.
///
/// The values of all rows are in one flat array, since UNNEST would flatten nested arrays. `first`
/// and `last` are the indexes of the first and last value of each row, counted from 1.
struct Columns<'a> {
    rows: &'a [&'a ReadingRow],
    first: Vec<i32>,
    last: Vec<i32>,
    values: Vec<f64>,
}

/// A statement with its values.
pub(super) type BoundStatement =
    diesel::query_builder::BoxedSqlQuery<'static, diesel::pg::Pg, diesel::query_builder::SqlQuery>;

impl<'a> Columns<'a> {
    fn of(rows: &'a [&'a ReadingRow]) -> Self {
        let mut columns = Self {
            rows,
            first: Vec::with_capacity(rows.len()),
            last: Vec::with_capacity(rows.len()),
            values: Vec::with_capacity(rows.iter().map(|row| row.values.len()).sum()),
        };
        for row in rows {
            columns.first.push(columns.values.len() as i32 + 1);
            columns.values.extend_from_slice(&row.values);
            columns.last.push(columns.values.len() as i32);
        }
        columns
    }

    fn bind(self, statement: &str) -> BoundStatement {
        let Self { rows, first, last, values } = self;
        sql_query(statement)
            .into_boxed()
            .bind::<Array<BigInt>, _>(column(rows, |row| row.sensor))
            .bind::<Array<Timestamptz>, _>(column(rows, |row| row.ts))
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.seq))
            .bind::<Array<BigInt>, _>(column(rows, |row| row.field_set))
            .bind::<Array<Integer>, _>(first)
            .bind::<Array<Double>, _>(values)
            .bind::<Array<Integer>, _>(last)
            .bind::<Array<Nullable<Double>>, _>(column(rows, |row| row.score))
            .bind::<Array<Nullable<Double>>, _>(column(rows, |row| row.grade))
            .bind::<Array<Integer>, _>(column(rows, |row| row.flags))
            .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| row.config))
            .bind::<Array<Nullable<Float>>, _>(column(rows, |row| row.confidence))
            .bind::<Array<Nullable<Float>>, _>(column(rows, |row| row.onset))
            .bind::<Array<Integer>, _>(column(rows, |row| row.era))
    }
}

fn column<T>(rows: &[&ReadingRow], value: impl Fn(&ReadingRow) -> T) -> Vec<T> {
    rows.iter().map(|row| value(row)).collect()
}
