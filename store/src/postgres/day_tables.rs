//! The day tables of `readings`: one partition of the table per UTC day.

use std::time::Duration;

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{Array, BigInt, Date, Double, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days between the Unix epoch and the epoch of PostgreSQL, 2000-01-01.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;

/// Returns the day whose table holds a timestamp, in days since 2000-01-01.
pub fn day_of(ts: Timestamp) -> i32 {
    (ts.0.div_euclid(MICROS_PER_DAY) - POSTGRES_EPOCH_DAYS) as i32
}

/// Creates the missing day tables among the given days, counted as in [`day_of`].
pub async fn ensure_days(connection: &mut AsyncPgConnection, days: &[i32]) -> QueryResult<()> {
    let days: Vec<PgDate> = days.iter().map(|&day| PgDate(day)).collect();
    sql_query("SELECT ensure_day_partitions($1)").bind::<Array<Date>, _>(days).execute(connection).await?;
    Ok(())
}

/// A table that holds the readings of one UTC day.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct DayTable {
    /// Its name, quoted where PostgreSQL requires it.
    #[diesel(sql_type = Text)]
    pub name: String,
    /// PostgreSQL's estimate of the number of its rows.
    #[diesel(sql_type = BigInt)]
    pub estimated_rows: i64,
}

/// The day tables, each with its day. `day` is null for a table whose name is not that of a day
/// table.
const DAY_TABLES: &str = r#"
SELECT quote_ident(c.relname) AS name, greatest(c.reltuples, 0)::int8 AS estimated_rows,
       to_date(substring(c.relname FROM '^readings_(y\d+m\d\dd\d\d)$'), '"y"YYYY"m"MM"d"DD') AS day
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'readings'::regclass"#;

/// Returns the day tables whose day ended at least `age` ago, the oldest first.
pub async fn days_older_than(
    connection: &mut AsyncPgConnection,
    age: Duration,
) -> QueryResult<Vec<DayTable>> {
    sql_query(format!(
        "SELECT name, estimated_rows FROM ({DAY_TABLES}) days
         WHERE (day + 1)::timestamp <= (now() AT TIME ZONE 'UTC') - make_interval(secs => $1)
         ORDER BY day"
    ))
    .bind::<Double, _>(age.as_secs_f64())
    .load(connection)
    .await
}

/// A query for the oldest day that has a table, null if a table is not that of a day: its rows may
/// be of any day.
pub(super) fn oldest_day_query() -> String {
    format!("SELECT CASE WHEN bool_and(day IS NOT NULL) THEN min(day) END AS day FROM ({DAY_TABLES}) days")
}

/// A query for a day before which there are no rows: the oldest day that has a table, `infinity`
/// without tables, `-infinity` if a table is not that of a day.
pub(super) fn first_day_query() -> String {
    format!("SELECT coalesce(min(coalesce(day, '-infinity')), 'infinity') FROM ({DAY_TABLES}) days")
}

/// Returns the oldest day that has a table, counted as in [`day_of`]; `None` if there is none, or
/// if a table is not that of a day.
pub(super) async fn oldest_day(connection: &mut AsyncPgConnection) -> QueryResult<Option<i32>> {
    #[derive(QueryableByName)]
    struct Day {
        #[diesel(sql_type = Nullable<Date>)]
        day: Option<PgDate>,
    }
    let Day { day } = sql_query(oldest_day_query()).get_result(connection).await?;
    Ok(day.map(|PgDate(day)| day))
}

/// Returns the tables that hold readings of `since` or later, the oldest first; all tables if it is
/// `None`.
pub async fn day_tables(
    connection: &mut AsyncPgConnection,
    since: Option<Timestamp>,
) -> QueryResult<Vec<DayTable>> {
    sql_query(format!(
        "SELECT name, estimated_rows FROM ({DAY_TABLES}) days
         WHERE $1 IS NULL OR day IS NULL OR (day + 1)::timestamp > ($1 AT TIME ZONE 'UTC')
         ORDER BY name COLLATE \"C\""
    ))
    .bind::<Nullable<Timestamptz>, _>(since)
    .load(connection)
    .await
}

/// Returns the days that have a table, counted as in [`day_of`].
pub(super) async fn days_with_table(connection: &mut AsyncPgConnection) -> QueryResult<Vec<i32>> {
    #[derive(QueryableByName)]
    struct Day {
        #[diesel(sql_type = Integer)]
        day: i32,
    }
    let days: Vec<Day> = sql_query(format!(
        "SELECT day - DATE '2000-01-01' AS day FROM ({DAY_TABLES}) days WHERE day IS NOT NULL"
    ))
    .load(connection)
    .await?;
    Ok(days.into_iter().map(|found| found.day).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc_also_before_the_epoch() {
        let midnight = 946_684_800_000_000;
        assert_eq!(day_of(Timestamp(midnight)), 0);
        assert_eq!(day_of(Timestamp(midnight - 1)), -1);
        assert_eq!(day_of(Timestamp(midnight + MICROS_PER_DAY - 1)), 0);
        assert_eq!(day_of(Timestamp(-1)), -10_958);
    }
}
