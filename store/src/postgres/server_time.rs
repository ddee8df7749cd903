//! The time of the server: a query with the time as a value is planned over its days only, not over
//! all days.

use diesel::sql_types::Timestamptz;
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

/// In microseconds.
pub(super) const HOUR: i64 = 3_600_000_000;

/// Returns the time of the server.
pub(super) async fn server_time(connection: &mut AsyncPgConnection) -> QueryResult<Timestamp> {
    #[derive(QueryableByName)]
    struct Now {
        #[diesel(sql_type = Timestamptz)]
        now: Timestamp,
    }
    let Now { now } = sql_query("SELECT now() AS now").get_result(connection).await?;
    Ok(now)
}
