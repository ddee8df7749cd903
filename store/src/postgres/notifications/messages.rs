//! Messages: the waiting deliveries of one site become one message to the receiver of the route.
//! The message is stored before it is sent, and its deliveries never change. So every repeat has
//! the same key.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

use super::kind::{NotificationKind, kind_of};
use crate::faults;

/// How deliveries become messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRules {
    /// The least time between two messages about one site.
    pub interval: Duration,
    /// Maximum number of new messages in a minute.
    pub per_minute: u64,
    /// Maximum number of deliveries of a message.
    pub max_members: u64,
}

/// A delivery of a message, for its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name of the sensor.
    pub sensor: String,
    /// When the anomaly began.
    pub started: Timestamp,
    /// What it says.
    pub kind: NotificationKind,
    /// Tells several notifications of one kind apart.
    pub item: i64,
}

#[derive(QueryableByName)]
struct SiteRow {
    #[diesel(sql_type = Text)]
    site: String,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct MemberRow {
    #[diesel(sql_type = BigInt)]
    sensor: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Timestamptz)]
    started: Timestamp,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    item: i64,
}

/// Makes a message of what waits for the site that has waited longest, unless a message of the
/// route is being sent, the route's rate is exhausted, or `node` does not hold the route. `key`
/// returns the key by which the receiver recognises a repeat. Returns whether there is a new
/// message.
pub async fn compose_message(
    connection: &mut AsyncPgConnection,
    route: &str,
    node: &str,
    rules: GroupRules,
    key: impl Fn(&str, &[Member]) -> String + Send + Sync,
) -> QueryResult<bool> {
    let members = connection
        .transaction(async |connection| {
            let Some(site) = next_site(connection, route, node, rules).await? else { return Ok(0) };
            let rows: Vec<MemberRow> = sql_query(
                "SELECT d.sensor, d.name, d.started, d.kind, d.item FROM notification_deliveries d
                 WHERE d.route = $1 AND d.site = $2 AND d.state = 'waiting'
                 ORDER BY d.position, d.item LIMIT $3 FOR UPDATE",
            )
            .bind::<Text, _>(route)
            .bind::<Text, _>(&site)
            .bind::<BigInt, _>(rules.max_members.cast_signed())
            .load(connection)
            .await?;
            let member = |row: &MemberRow| Member {
                sensor: row.name.clone(),
                started: row.started,
                kind: kind_of(&row.kind),
                item: row.item,
            };
            let members: Vec<Member> = rows.iter().map(member).collect();
            faults::pass("compose.before");
            let IdRow { id } = sql_query(
                "INSERT INTO notification_messages (route, site, key) VALUES ($1, $2, $3) RETURNING id",
            )
            .bind::<Text, _>(route)
            .bind::<Text, _>(&site)
            .bind::<Text, _>(key(&site, &members))
            .get_result(connection)
            .await?;
            faults::pass("compose.partial");
            if members.len() > 1 {
                faults::pass("summary.partial");
            }
            sql_query(
                "UPDATE notification_deliveries d SET state = 'sending', changed = now(), message = $2
                 FROM unnest($3, $4, $5, $6) AS m (sensor, started, kind, item)
                 WHERE d.route = $1 AND d.sensor = m.sensor AND d.started = m.started AND d.kind = m.kind
                   AND d.item = m.item",
            )
            .bind::<Text, _>(route)
            .bind::<BigInt, _>(id)
            .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.sensor).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.started).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(rows.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>())
            .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.item).collect::<Vec<_>>())
            .execute(connection)
            .await?;
            QueryResult::Ok(members.len())
        })
        .await?;
    if members > 0 {
        faults::pass("compose.after");
    }
    if members > 1 {
        faults::pass("summary.after");
    }
    Ok(members > 0)
}

/// Returns the site whose deliveries are to be sent next. Locks the route until the transaction
/// ends.
async fn next_site(
    connection: &mut AsyncPgConnection,
    route: &str,
    node: &str,
    rules: GroupRules,
) -> QueryResult<Option<String>> {
    let held = sql_query(
        "SELECT FROM notification_routes WHERE route = $1 AND holder = $2 AND held_until > now() FOR UPDATE",
    )
    .bind::<Text, _>(route)
    .bind::<Text, _>(node)
    .execute(connection)
    .await?;
    if held == 0 {
        return Ok(None);
    }
    let sites: Vec<SiteRow> = sql_query(
        "SELECT w.site
         FROM (SELECT site, min(due) AS due, min(position) AS position FROM notification_deliveries
               WHERE route = $1 AND state = 'waiting' GROUP BY site HAVING min(due) <= now()) w
         WHERE NOT EXISTS (SELECT FROM notification_messages m
                           WHERE m.route = $1 AND m.site = w.site AND m.changed > now() - $2 * interval '1 second')
           AND NOT EXISTS (SELECT FROM notification_messages m WHERE m.route = $1 AND m.state = 'sending')
           AND (SELECT count(*) FROM notification_messages m
                WHERE m.route = $1 AND m.created > now() - interval '1 minute') < $3
         ORDER BY w.due, w.position LIMIT 1",
    )
    .bind::<Text, _>(route)
    .bind::<Double, _>(rules.interval.as_secs_f64())
    .bind::<BigInt, _>(rules.per_minute.cast_signed())
    .load(connection)
    .await?;
    Ok(sites.into_iter().next().map(|row| row.site))
}

/// A message that is being sent.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct OutgoingMessage {
    /// Its number.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// The site of its sensors.
    #[diesel(sql_type = Text)]
    pub site: String,
    /// The key by which the receiver recognises a repeat.
    #[diesel(sql_type = Text)]
    pub key: String,
    /// Failed attempts.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// Those of them that the receiver refused.
    #[diesel(sql_type = Integer)]
    pub refusals: i32,
    /// Seconds since it was made.
    #[diesel(sql_type = Double)]
    pub age: f64,
    /// Whether the next attempt is due.
    #[diesel(sql_type = Bool)]
    pub is_due: bool,
    /// Number of anomalies of the site that the route has announced and that go on.
    #[diesel(sql_type = BigInt)]
    pub open: i64,
}

/// Returns the message of a route that is being sent, if there is one.
pub async fn message_to_send(
    connection: &mut AsyncPgConnection,
    route: &str,
) -> QueryResult<Option<OutgoingMessage>> {
    let found: Vec<OutgoingMessage> = sql_query(
        "SELECT m.id, m.site, m.key, m.attempts, m.refusals, extract(epoch FROM now() - m.created)::float8 AS age,
                m.next_attempt <= now() AS is_due,
                (SELECT count(*) FROM notification_deliveries d
                 JOIN anomalies a ON a.sensor = d.sensor AND a.started = d.started AND a.ended IS NULL
                 WHERE d.route = m.route AND d.site = m.site AND d.kind = 'opened'
                   AND d.state IN ('sending', 'sent', 'passed')) AS open
         FROM notification_messages m WHERE m.route = $1 AND m.state = 'sending'",
    )
    .bind::<Text, _>(route)
    .load(connection)
    .await?;
    Ok(found.into_iter().next())
}

/// The number of deliveries that a message has settled.
pub type Delivered = usize;

/// Notes that the receiver has accepted a message.
pub async fn sent_message(connection: &mut AsyncPgConnection, message: i64) -> QueryResult<Delivered> {
    settle(connection, message, "sent", "").await
}

/// Gives a message up.
pub async fn fail_message(
    connection: &mut AsyncPgConnection,
    message: i64,
    error: &str,
) -> QueryResult<Delivered> {
    settle(connection, message, "failed", error).await
}

async fn settle(
    connection: &mut AsyncPgConnection,
    message: i64,
    state: &str,
    error: &str,
) -> QueryResult<Delivered> {
    sql_query(
        "WITH settled AS (
             UPDATE notification_messages SET state = $2, error = $3, changed = now(), attempts = attempts + 1
             WHERE id = $1 AND state = 'sending' RETURNING id)
         UPDATE notification_deliveries d SET state = $2, changed = now() FROM settled WHERE d.message = settled.id",
    )
    .bind::<BigInt, _>(message)
    .bind::<Text, _>(state)
    .bind::<Text, _>(error)
    .execute(connection)
    .await
}

/// A failed attempt to send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt<'a> {
    /// The error.
    pub error: &'a str,
    /// Whether the receiver refused the message.
    pub is_refused: bool,
    /// The next attempt is due after this time.
    pub wait: Duration,
}

/// Notes a failed attempt.
pub async fn retry_message(
    connection: &mut AsyncPgConnection,
    message: i64,
    attempt: FailedAttempt<'_>,
) -> QueryResult<()> {
    let FailedAttempt { error, is_refused, wait } = attempt;
    sql_query(
        "UPDATE notification_messages
         SET attempts = attempts + 1, refusals = refusals + $4::int, error = $2,
             next_attempt = now() + $3 * interval '1 second', changed = now()
         WHERE id = $1 AND state = 'sending'",
    )
    .bind::<BigInt, _>(message)
    .bind::<Text, _>(error)
    .bind::<Double, _>(wait.as_secs_f64())
    .bind::<Bool, _>(is_refused)
    .execute(connection)
    .await?;
    Ok(())
}
