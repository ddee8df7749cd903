//! The sessions that keep a migration from its locks.

use std::time::Duration;

use diesel::sql_types::{Double, Nullable, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

/// Says which other sessions have held locks on the tables and views of this schema for longer than
/// `least`, the oldest transactions first; `None` if there is none. Sessions of other users whose age
/// PostgreSQL hides are among them.
pub(super) async fn lock_holders(
    connection: &mut AsyncPgConnection,
    least: Duration,
) -> QueryResult<Option<String>> {
    #[derive(QueryableByName)]
    struct Holders {
        #[diesel(sql_type = Nullable<Text>)]
        holders: Option<String>,
    }
    let row: Holders = sql_query(
        "SELECT string_agg(holder, ', ') AS holders
         FROM (SELECT format('session %s of the user %s%s', a.pid, a.usename,
                             coalesce(' (' || nullif(a.application_name, '') || ')', '')) AS holder
               FROM pg_stat_activity a
               WHERE a.pid <> pg_backend_pid()
                 AND coalesce(clock_timestamp() - a.xact_start >= $1 * interval '1 second', true)
                 AND EXISTS (SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                             JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
                             WHERE l.pid = a.pid AND l.granted
                               AND c.relnamespace = current_schema()::regnamespace)
               ORDER BY a.xact_start, a.pid LIMIT 5) oldest",
    )
    .bind::<Double, _>(least.as_secs_f64())
    .get_result(connection)
    .await?;
    Ok(row.holders)
}
