//! Makes a delivery of each notification in the outbox for each route that wants it.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

use super::kind::{NotificationKind, kind_of};
use super::routes::{IN_USE, OUTBOX};
use crate::faults;

/// Maximum number of notifications that one transaction distributes.
const PAGE: i64 = 1_000;

/// A notification of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotification {
    /// Name of the sensor.
    pub sensor: String,
    /// When the anomaly began.
    pub started: Timestamp,
    /// What it says.
    pub kind: NotificationKind,
}

/// What one transaction distributed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Number of notifications.
    pub notifications: usize,
    /// The route of each delivery that was refused, because too many wait for the route.
    pub refused: Vec<String>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    sensor: String,
    #[diesel(sql_type = Timestamptz)]
    started: Timestamp,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Array<Text>)]
    routed_to: Vec<String>,
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = Text)]
    route: String,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
}

/// Distributes the oldest notifications of the outbox that a route of `routes`, the routes of this
/// node, has not seen. `routes_of` returns those that want a notification, each with the site of
/// the sensor. A route for which `max_waiting` deliveries wait gets no more anomalies that begin. A
/// notification stays in the outbox until the routes of every node have seen it. Does nothing while
/// another node distributes, or without routes.
pub async fn distribute(
    connection: &mut AsyncPgConnection,
    routes: &[String],
    max_waiting: u64,
    routes_of: impl Fn(&StoredNotification) -> Vec<(String, String)> + Send + Sync,
) -> QueryResult<Distribution> {
    if routes.is_empty() {
        return Ok(Distribution::default());
    }
    let distribution = connection
        .transaction(async |connection| {
            let held = sql_query("SELECT FROM notification_routes WHERE route = $1 FOR UPDATE SKIP LOCKED")
                .bind::<Text, _>(OUTBOX)
                .execute(connection)
                .await?;
            if held == 0 {
                return Ok(Distribution::default());
            }
            let rows: Vec<Row> = sql_query(
                "SELECT n.id, coalesce(s.name, f.name, '') AS sensor, n.started, n.kind, n.routed_to
                 FROM notifications n
                 LEFT JOIN sensors s ON s.id = n.sensor
                 LEFT JOIN forgotten_sensors f ON f.sensor = n.sensor
                 WHERE NOT n.is_routed AND NOT n.routed_to @> $1 ORDER BY n.id LIMIT $2",
            )
            .bind::<Array<Text>, _>(routes)
            .bind::<BigInt, _>(PAGE)
            .load(connection)
            .await?;
            if rows.is_empty() {
                settle(connection, routes).await?;
                return Ok(Distribution::default());
            }
            let mut waiting = waiting_of_routes(connection).await?;
            let mut distribution = Distribution { notifications: rows.len(), refused: Vec::new() };
            let (mut to, mut ids, mut names, mut sites) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for Row { id, sensor, started, kind, routed_to } in &rows {
                let kind = kind_of(kind);
                let notification = StoredNotification { sensor: sensor.clone(), started: *started, kind };
                for (route, site) in routes_of(&notification) {
                    if routed_to.contains(&route) {
                        continue;
                    }
                    let waiting = waiting.entry(route.clone()).or_default();
                    if kind == NotificationKind::Opened && *waiting >= max_waiting {
                        distribution.refused.push(route);
                        continue;
                    }
                    *waiting += 1;
                    to.push(route);
                    ids.push(*id);
                    names.push(sensor.as_str());
                    sites.push(site);
                }
            }
            faults::pass("distribute.before");
            sql_query(
                "INSERT INTO notification_deliveries (route, sensor, name, started, kind, item, position, site)
                 SELECT d.route, n.sensor, d.name, n.started, n.kind, n.item, n.id, d.site
                 FROM unnest($1, $2, $3, $4) AS d (route, id, name, site)
                 JOIN notifications n ON n.id = d.id AND NOT n.is_routed
                 JOIN notification_routes r ON r.route = d.route AND r.since <= n.stored
                 ON CONFLICT DO NOTHING",
            )
            .bind::<Array<Text>, _>(to)
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<Text>, _>(names)
            .bind::<Array<Text>, _>(sites)
            .execute(connection)
            .await?;
            faults::pass("distribute.partial");
            sql_query(
                "UPDATE notifications SET routed_to = array(SELECT DISTINCT unnest(routed_to || $2))
                 WHERE NOT is_routed AND id = ANY ($1)",
            )
            .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(routes)
            .execute(connection)
            .await?;
            settle(connection, routes).await?;
            QueryResult::Ok(distribution)
        })
        .await?;
    if distribution.notifications > 0 {
        faults::pass("distribute.after");
    }
    Ok(distribution)
}

/// Takes the notifications out of the outbox that all routes in use have seen. Deletes those of
/// forgotten sensors: such a sensor may come back with the same anomaly.
async fn settle(connection: &mut AsyncPgConnection, routes: &[String]) -> QueryResult<()> {
    sql_query(format!(
        "UPDATE notifications SET is_routed = true
         WHERE NOT is_routed
           AND routed_to @> array(SELECT r.route FROM notification_routes r
                                  WHERE r.route <> '' AND (r.route = ANY ($1) OR {IN_USE}))"
    ))
    .bind::<Array<Text>, _>(routes)
    .execute(connection)
    .await?;
    for statement in [
        "DELETE FROM notifications n USING forgotten_sensors f
         WHERE n.sensor = f.sensor AND n.stored <= f.forgotten AND n.is_routed",
        "DELETE FROM forgotten_sensors f
         WHERE NOT EXISTS (SELECT FROM notifications n WHERE n.sensor = f.sensor AND n.stored <= f.forgotten)",
    ] {
        sql_query(statement).execute(connection).await?;
    }
    Ok(())
}

/// Returns the number of deliveries that wait for each route.
async fn waiting_of_routes(connection: &mut AsyncPgConnection) -> QueryResult<BTreeMap<String, u64>> {
    let waiting: Vec<Waiting> = sql_query(
        "SELECT route, count(*) AS waiting FROM notification_deliveries WHERE state IN ('held', 'waiting')
         GROUP BY route",
    )
    .load(connection)
    .await?;
    Ok(waiting.into_iter().map(|row| (row.route, row.waiting.cast_unsigned())).collect())
}
