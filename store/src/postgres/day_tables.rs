//! The day tables of `readings`: one partition of the table per UTC day.

use diesel::QueryResult;
use diesel::pg::data_types::PgDate;
use diesel::sql_query;
use diesel::sql_types::{Array, Date};
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
