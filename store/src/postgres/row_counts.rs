//! Counts of the rows of `readings` by sensor, for `reconcile`. Each row is read once, day by day.

use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{Flag, Timestamp};

use super::day_tables::DayTable;

/// Counts of a sensor's rows of one era.
#[derive(Clone, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct SensorRows {
    /// The sensor's id.
    #[diesel(sql_type = BigInt)]
    pub sensor: i64,
    /// The sensor's name; `None` if it has no row in `sensors`.
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    /// How often the sensor's time had begun again.
    #[diesel(sql_type = Integer)]
    pub era: i32,
    /// Number of the sensor's partition; `None` if it has no row in `sensors`.
    #[diesel(sql_type = Nullable<Integer>)]
    pub partition: Option<i32>,
    /// Scored rows.
    #[diesel(sql_type = BigInt)]
    pub scored: i64,
    /// Rows without a scored field.
    #[diesel(sql_type = BigInt)]
    pub unscored: i64,
    /// Poison rows.
    #[diesel(sql_type = BigInt)]
    pub poison: i64,
    /// Late rows.
    #[diesel(sql_type = BigInt)]
    pub late: i64,
    /// All other rows: of none of these kinds, or of several.
    #[diesel(sql_type = BigInt)]
    pub other: i64,
    /// Rows whose field set is not stored.
    #[diesel(sql_type = BigInt)]
    pub no_field_set: i64,
    /// Scored and unscored rows whose configuration is not stored.
    #[diesel(sql_type = BigInt)]
    pub no_config: i64,
    /// Rows whose seq is not the seq before plus 1.
    #[diesel(sql_type = BigInt)]
    pub breaks: i64,
    /// The smallest seq.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub first: Option<i64>,
    /// The largest seq.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub last: Option<i64>,
}

impl SensorRows {
    /// Adds the counts of a later day of the same era.
    pub fn append(&mut self, later: &Self) {
        if let (Some(last), Some(first)) = (self.last, later.first) {
            self.breaks += i64::from(first != last + 1);
        }
        self.add(later);
    }

    /// Adds the counts of a later era. `is_complete` is false if older rows are not counted.
    ///
    /// The first rows of an era have older times than the last rows of the era before. If the rows
    /// before some time are left out, seqs are missing between the two.
    pub fn append_era(&mut self, later: &Self, is_complete: bool) {
        if let (Some(last), Some(first)) = (self.last, later.first) {
            self.breaks += i64::from(if is_complete { first != last + 1 } else { first <= last });
        }
        self.add(later);
    }

    fn add(&mut self, later: &Self) {
        self.first = self.first.or(later.first);
        self.last = later.last.max(self.last);
        self.scored += later.scored;
        self.unscored += later.unscored;
        self.poison += later.poison;
        self.late += later.late;
        self.other += later.other;
        self.no_field_set += later.no_field_set;
        self.no_config += later.no_config;
        self.breaks += later.breaks;
    }

    /// Number of all rows.
    pub const fn all(&self) -> i64 {
        self.scored + self.unscored + self.poison + self.late + self.other
    }
}

/// Counts the rows of one day table by sensor and era.
///
/// The largest seq before a row is that of the last row with a seq before it, even if late or
/// poison rows lie between.
pub async fn count_rows_of_day(
    connection: &mut AsyncPgConnection,
    day: &DayTable,
    since: Option<Timestamp>,
) -> QueryResult<Vec<SensorRows>> {
    let (poison, late, unscored) = (Flag::Poison.bit(), Flag::Late.bit(), Flag::Unscored.bit());
    let kind = format!("(r.flags & {})", poison | late | unscored);
    let is_scored = format!("(r.seq IS NOT NULL AND {kind} = 0)");
    let is_unscored = format!("(r.seq IS NOT NULL AND {kind} = {unscored})");
    sql_query(format!(
        "SELECT r.sensor, coalesce(s.first_name, s.name) AS name, r.era, s.partition,
                count(*) FILTER (WHERE {is_scored}) AS scored,
                count(*) FILTER (WHERE {is_unscored}) AS unscored,
                count(*) FILTER (WHERE r.seq IS NULL AND {kind} = {poison}) AS poison,
                count(*) FILTER (WHERE r.seq IS NULL AND {kind} = {late}) AS late,
                count(*) FILTER (WHERE NOT ({is_scored} OR {is_unscored}
                                            OR r.seq IS NULL AND {kind} IN ({late}, {poison}))) AS other,
                count(*) FILTER (WHERE f.id IS NULL) AS no_field_set,
                count(*) FILTER (WHERE r.seq IS NOT NULL AND c.id IS NULL) AS no_config,
                count(*) FILTER (WHERE r.seq <> r.before + 1) AS breaks,
                min(r.seq) AS first, max(r.seq) AS last
         FROM (SELECT sensor, era, seq, flags, field_set, config,
                      max(seq) OVER (PARTITION BY sensor, era ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
               FROM {day} WHERE $1 IS NULL OR ts >= $1) r
         LEFT JOIN sensors s ON s.id = r.sensor
         LEFT JOIN field_sets f ON f.id = r.field_set
         LEFT JOIN configs c ON c.id = r.config
         GROUP BY r.sensor, r.era, s.name, s.first_name, s.partition",
        day = day.name
    ))
    .bind::<Nullable<Timestamptz>, _>(since)
    .load(connection)
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

    #[test]
    fn seqs_between_two_eras_may_be_missing_if_older_rows_are_left_out_and_never_repeat() {
        for (first, of_all, of_newer) in [(11, 0, 0), (12, 1, 0), (10, 1, 1), (1, 1, 1)] {
            for (is_complete, breaks) in [(true, of_all), (false, of_newer)] {
                let mut rows = day(1, 10);
                rows.append_era(&day(first, 20), is_complete);
                assert_eq!((rows.breaks, rows.last), (breaks, Some(20)), "{first} {is_complete}");
            }
        }
    }
}
