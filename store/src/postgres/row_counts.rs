//! The rows of readings, a day at a time: each is read once.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

/// A sensor's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, QueryableByName)]
pub(super) struct SensorRows {
    #[diesel(sql_type = BigInt)]
    pub(super) sensor: i64,
    /// Nothing where the sensor is unknown.
    #[diesel(sql_type = Nullable<Text>)]
    pub(super) name: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub(super) partition: Option<i32>,
    #[diesel(sql_type = BigInt)]
    pub(super) scored: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) poison: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) late: i64,
    /// Rows of no kind: unscored without a reason, or scored with one against it.
    #[diesel(sql_type = BigInt)]
    pub(super) other: i64,
    #[diesel(sql_type = BigInt)]
    pub(super) no_field_set: i64,
    /// Scored rows whose configuration is unknown.
    #[diesel(sql_type = BigInt)]
    pub(super) no_config: i64,
    /// Scored rows whose seq is not one more than that of the one before.
    #[diesel(sql_type = BigInt)]
    pub(super) breaks: i64,
    /// The first seq and the greatest.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) first: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) last: Option<i64>,
}

impl SensorRows {
    /// Takes in the rows of a later day.
    pub(super) fn append(&mut self, later: &Self) {
        if let (Some(last), Some(first)) = (self.last, later.first) {
            self.breaks += i64::from(first != last + 1);
        }
        self.first = self.first.or(later.first);
        self.last = later.last.max(self.last);
        self.scored += later.scored;
        self.poison += later.poison;
        self.late += later.late;
        self.other += later.other;
        self.no_field_set += later.no_field_set;
        self.no_config += later.no_config;
        self.breaks += later.breaks;
    }

    /// How many rows there are.
    pub(super) const fn all(&self) -> i64 {
        self.scored + self.poison + self.late + self.other
    }
}

/// Sensors by id.
pub(super) type Sensors = BTreeMap<i64, SensorRows>;

/// A table that holds a day of readings, and about how many.
#[derive(Clone, Debug, QueryableByName)]
pub(super) struct Table {
    #[diesel(sql_type = Text)]
    pub(super) name: String,
    #[diesel(sql_type = BigInt)]
    pub(super) rows: i64,
}

/// The tables that hold readings of a time or later, the oldest first.
pub(super) async fn tables(
    postgres: &mut AsyncPgConnection,
    since: Option<Timestamp>,
) -> QueryResult<Vec<Table>> {
    sql_query(
        r#"SELECT quote_ident(relname) AS name, greatest(reltuples, 0)::int8 AS rows FROM (
              SELECT c.relname, c.reltuples,
                     to_date(substring(c.relname FROM 'y\d+m\d\dd\d\d$'), '"y"YYYY"m"MM"d"DD') AS day
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
              WHERE i.inhparent = 'readings'::regclass) days
          WHERE $1 IS NULL OR day IS NULL OR (day + 1)::timestamp > ($1 AT TIME ZONE 'UTC')
          ORDER BY relname"#,
    )
    .bind::<Nullable<Timestamptz>, _>(since.map(Timestamp::to_datetime))
    .load(postgres)
    .await
}

/// The rows of one table by sensor. The greatest seq before a row is that of the scored row before it, however many unscored ones stand between.
pub(super) async fn of_table(
    postgres: &mut AsyncPgConnection,
    table: &Table,
    since: Option<Timestamp>,
) -> QueryResult<Vec<SensorRows>> {
    const KIND: &str = "(r.flags & 12)";
    sql_query(format!(
        "SELECT r.sensor, s.name, s.partition,
                count(*) FILTER (WHERE r.seq IS NOT NULL AND {KIND} = 0) AS scored,
                count(*) FILTER (WHERE r.seq IS NULL AND {KIND} = 8) AS poison,
                count(*) FILTER (WHERE r.seq IS NULL AND {KIND} = 4) AS late,
                count(*) FILTER (WHERE NOT (r.seq IS NOT NULL AND {KIND} = 0 OR r.seq IS NULL AND {KIND} IN (4, 8))) AS other,
                count(*) FILTER (WHERE f.id IS NULL) AS no_field_set,
                count(*) FILTER (WHERE r.seq IS NOT NULL AND c.id IS NULL) AS no_config,
                count(*) FILTER (WHERE r.seq <> r.before + 1) AS breaks,
                min(r.seq) AS first, max(r.seq) AS last
         FROM (SELECT sensor, seq, flags, field_set, config,
                      max(seq) OVER (PARTITION BY sensor ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
               FROM {table} WHERE $1 IS NULL OR ts >= $1) r
         LEFT JOIN sensors s ON s.id = r.sensor
         LEFT JOIN field_sets f ON f.id = r.field_set
         LEFT JOIN configs c ON c.id = r.config
         GROUP BY r.sensor, s.name, s.partition",
        table = table.name
    ))
    .bind::<Nullable<Timestamptz>, _>(since.map(Timestamp::to_datetime))
    .load(postgres)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(first: i64, last: i64) -> SensorRows {
        SensorRows { scored: last - first + 1, first: Some(first), last: Some(last), ..SensorRows::default() }
    }

    #[test]
    fn days_that_follow_on_have_no_break() {
        let mut rows = day(1, 10);
        rows.append(&SensorRows { late: 3, ..SensorRows::default() });
        rows.append(&day(11, 20));
        assert_eq!((rows.first, rows.last, rows.breaks, rows.all()), (Some(1), Some(20), 0, 23));
    }

    #[test]
    fn a_day_that_is_missing_between_two_is_a_break_and_so_is_one_that_repeats() {
        for (first, last) in [(12, 20), (10, 20), (1, 10)] {
            let mut rows = day(1, 10);
            rows.append(&day(first, last));
            assert_eq!(rows.breaks, 1, "{first}");
        }
    }
}
