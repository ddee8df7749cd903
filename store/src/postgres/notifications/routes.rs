//! The routes of the configuration: which node sends for each, how much waits for it, and the end
//! of what is old.

use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Double, Text};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

/// The route whose lease admits one node at a time to the outbox.
pub(super) const OUTBOX: &str = "";

/// The condition that a row `r` of `notification_routes` is in use: a node has held it, or added
/// it, within the last hour.
pub(super) const IN_USE: &str = "greatest(r.held_until, r.since) > now() - interval '1 hour'";

/// Adds routes that are new. Notifications that are stored already are not for them.
pub async fn register_routes(connection: &mut AsyncPgConnection, routes: &[String]) -> QueryResult<()> {
    let mut all = routes.to_vec();
    all.push(OUTBOX.to_owned());
    sql_query("INSERT INTO notification_routes (route) SELECT unnest($1) ON CONFLICT DO NOTHING")
        .bind::<Array<Text>, _>(all)
        .execute(connection)
        .await?;
    Ok(())
}

/// Which node sends for a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteHold {
    /// This node, until its lease ends.
    Held,
    /// Another node.
    HeldBy(String),
}

/// Takes or renews the lease of a route. `lease` must be longer than one attempt to send.
pub async fn hold_route(
    connection: &mut AsyncPgConnection,
    route: &str,
    node: &str,
    lease: Duration,
) -> QueryResult<RouteHold> {
    #[derive(QueryableByName)]
    struct Holder {
        #[diesel(sql_type = Text)]
        holder: String,
    }
    let held = sql_query(
        "UPDATE notification_routes SET holder = $2, held_until = now() + $3 * interval '1 second'
         WHERE route = $1 AND (holder = $2 OR held_until < now())",
    )
    .bind::<Text, _>(route)
    .bind::<Text, _>(node)
    .bind::<Double, _>(lease.as_secs_f64())
    .execute(connection)
    .await?;
    if held == 1 {
        return Ok(RouteHold::Held);
    }
    let holders: Vec<Holder> = sql_query("SELECT holder FROM notification_routes WHERE route = $1")
        .bind::<Text, _>(route)
        .load(connection)
        .await?;
    Ok(RouteHold::HeldBy(holders.into_iter().next().map(|row| row.holder).unwrap_or_default()))
}

/// Ends the leases of a node, so that another node need not wait for their end.
pub async fn release_routes(connection: &mut AsyncPgConnection, node: &str) -> QueryResult<()> {
    sql_query("UPDATE notification_routes SET held_until = least(held_until, now()) WHERE holder = $1")
        .bind::<Text, _>(node)
        .execute(connection)
        .await?;
    Ok(())
}

/// What waits for a route.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct RouteBacklog {
    /// Name of the route.
    #[diesel(sql_type = Text)]
    pub route: String,
    /// Number of notifications that wait or are being sent.
    #[diesel(sql_type = BigInt)]
    pub waiting: i64,
    /// How long the oldest of them could have been sent, in seconds; 0 if there is none.
    #[diesel(sql_type = Double)]
    pub lag: f64,
}

/// Returns what waits for each of these routes, which come with the least time between two messages
/// about one site. Within this time after a message, the notifications of its site could not have
/// been sent.
pub async fn route_backlogs(
    connection: &mut AsyncPgConnection,
    routes: &[(String, Duration)],
) -> QueryResult<Vec<RouteBacklog>> {
    let (names, intervals): (Vec<&str>, Vec<f64>) =
        routes.iter().map(|(route, interval)| (route.as_str(), interval.as_secs_f64())).unzip();
    sql_query(
        "SELECT r.route, coalesce(sum(w.deliveries), 0)::bigint AS waiting,
                greatest(coalesce(extract(epoch FROM now() - min(greatest(w.due, m.settled + r.seconds * interval '1 second'))), 0), 0)::float8 AS lag
         FROM unnest($1, $2) AS r (route, seconds)
         LEFT JOIN LATERAL (SELECT d.site, count(*) AS deliveries, min(d.due) AS due FROM notification_deliveries d
                            WHERE d.route = r.route AND d.state IN ('waiting', 'sending') GROUP BY d.site) w ON true
         LEFT JOIN LATERAL (SELECT max(m.changed) AS settled FROM notification_messages m
                            WHERE m.route = r.route AND m.site = w.site AND m.state <> 'sending') m ON true
         GROUP BY r.route",
    )
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Double>, _>(intervals)
    .load(connection)
    .await
}

/// Deletes what is older than `keep`, except the deliveries of anomalies that go on or whose
/// notifications are not settled: whether an end is announced depends on the delivery of the begin.
/// Deliveries for a route that no node has held for `keep` are not waited for.
pub async fn purge_notifications(connection: &mut AsyncPgConnection, keep: Duration) -> QueryResult<()> {
    let statements = [
        "DELETE FROM notifications WHERE stored < now() - $1 * interval '1 second'",
        "DELETE FROM notification_deliveries d WHERE d.changed < now() - $1 * interval '1 second'
         AND d.state <> 'sending'
         AND NOT EXISTS (SELECT FROM anomalies a
                         WHERE a.sensor = d.sensor AND a.started = d.started AND a.ended IS NULL)
         AND NOT EXISTS (SELECT FROM notifications n
                         WHERE n.sensor = d.sensor AND n.started = d.started AND NOT n.is_routed)
         AND NOT EXISTS (SELECT FROM notification_deliveries o
                         JOIN notification_routes r
                             ON r.route = o.route AND r.held_until >= now() - $1 * interval '1 second'
                         WHERE o.route = d.route AND o.sensor = d.sensor AND o.started = d.started
                           AND o.state IN ('held', 'waiting', 'sending'))",
        "DELETE FROM notification_messages
         WHERE changed < now() - $1 * interval '1 second' AND state <> 'sending'",
        "DELETE FROM forgotten_sensors WHERE forgotten < now() - $1 * interval '1 second'",
        "DELETE FROM silences WHERE until < now() - $1 * interval '1 second'",
    ];
    for statement in statements {
        sql_query(statement).bind::<Double, _>(keep.as_secs_f64()).execute(connection).await?;
    }
    Ok(())
}
