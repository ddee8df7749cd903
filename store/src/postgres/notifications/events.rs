//! The anomalies that a receiver is told of: those of a message, and all that a broker retains.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Double, Nullable, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use super::kind::{NotificationKind, kind_of};
use crate::postgres::anomalies::{Anomaly, JoinedRow};

/// An anomaly of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageEvent {
    /// The anomaly in its present state.
    pub anomaly: Anomaly,
    /// What the message says of it, in order.
    pub kinds: Vec<NotificationKind>,
}

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(embed)]
    anomaly: JoinedRow,
    #[diesel(sql_type = Array<Text>)]
    kinds: Vec<String>,
}

/// The columns of an [`EventRow`], of a delivery `d`, its anomaly `a` and its label `l`. An anomaly
/// that is deleted, because its sensor was forgotten, is over; its grade and its number of readings
/// are 0.
const EVENT: &str =
    "d.sensor, d.started, CASE WHEN a.sensor IS NULL THEN d.changed ELSE a.ended END AS ended,
        coalesce(a.peak_at, d.started) AS peak_at, coalesce(a.peak_score, 0) AS peak_score,
        coalesce(a.peak_grade, 0) AS peak_grade, coalesce(a.readings, 0) AS readings,
        coalesce(a.fields, '{}') AS fields, coalesce(a.contributions, '{}') AS contributions,
        coalesce(a.accepted, false) AS accepted, coalesce(a.actual, '{}') AS actual,
        coalesce(a.expected, '{}') AS expected, coalesce(a.low, '{}') AS low, coalesce(a.high, '{}') AS high,
        coalesce(a.counters, '{}') AS counters, coalesce(a.repeated, '{}') AS repeated, coalesce(a.away, '{}') AS away,
        d.name AS sensor_name, l.label, l.note, l.author, l.set_at, d.kinds";
const JOINED: &str = "LEFT JOIN anomalies a ON a.sensor = d.sensor AND a.started = d.started
        LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started";

impl From<EventRow> for MessageEvent {
    fn from(row: EventRow) -> Self {
        Self { anomaly: row.anomaly.into(), kinds: row.kinds.iter().map(|kind| kind_of(kind)).collect() }
    }
}

/// Returns the anomalies of a message, those of each sensor in order.
pub async fn message_events(
    connection: &mut AsyncPgConnection,
    message: i64,
) -> QueryResult<Vec<MessageEvent>> {
    let rows: Vec<EventRow> = sql_query(format!(
        "SELECT {EVENT}
         FROM (SELECT sensor, started, array_agg(kind ORDER BY position, item) AS kinds, min(position) AS position,
                      min(name) AS name, max(changed) AS changed
               FROM notification_deliveries WHERE message = $1 GROUP BY sensor, started) d
         {JOINED} ORDER BY d.position"
    ))
    .bind::<BigInt, _>(message)
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(MessageEvent::from).collect())
}

/// Returns the newest anomaly that a route has announced under each name of a sensor, if it goes on
/// or if its end was announced within `recent`: at most `limit`, by name, those with a name after
/// `after`. A message that was given up counts as announced: the receiver may show what was before.
pub async fn announced_states(
    connection: &mut AsyncPgConnection,
    route: &str,
    recent: Duration,
    after: Option<&str>,
    limit: u64,
) -> QueryResult<Vec<MessageEvent>> {
    let rows: Vec<EventRow> = sql_query(format!(
        "SELECT {EVENT}
         FROM (SELECT DISTINCT ON (o.name) o.sensor, o.started, o.name, o.position, e.changed, array[o.kind] AS kinds
               FROM notification_deliveries o
               LEFT JOIN notification_deliveries e
                   ON e.route = o.route AND e.sensor = o.sensor AND e.started = o.started AND e.kind = 'ended'
               LEFT JOIN anomalies g ON g.sensor = o.sensor AND g.started = o.started AND g.ended IS NULL
               WHERE o.route = $1 AND o.name > coalesce($2, '') AND o.kind = 'opened' AND o.state IN ('sent', 'failed')
                 AND (g.sensor IS NOT NULL
                      OR e.state IN ('sent', 'failed') AND e.changed > now() - $3 * interval '1 second')
               ORDER BY o.name, o.position DESC LIMIT $4) d
         {JOINED} ORDER BY d.name"
    ))
    .bind::<Text, _>(route)
    .bind::<Nullable<Text>, _>(after)
    .bind::<Double, _>(recent.as_secs_f64())
    .bind::<BigInt, _>(limit.cast_signed())
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(MessageEvent::from).collect())
}
