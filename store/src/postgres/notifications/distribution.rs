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

/// The delivery of the begin of an anomaly.
#[derive(QueryableByName)]
struct Begin {
    /// The notification of the outbox, about the same anomaly.
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    route: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    site: String,
}

/// A delivery to make.
#[derive(Debug, PartialEq, Eq)]
struct Destination {
    route: String,
    name: String,
    site: String,
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
/// the sensor. What is said of an anomaly later has the name and the site that its begin had, also
/// if the sensor was renamed meanwhile: by these, a receiver recognises the anomaly. A route for
/// which `max_waiting` deliveries wait gets no more anomalies that begin. A notification stays in
/// the outbox until the routes of every node have seen it. Does nothing while another node
/// distributes, or without routes.
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
            let begins = begins_of(connection, &rows, routes).await?;
            let mut waiting = waiting_of_routes(connection).await?;
            let mut distribution = Distribution { notifications: rows.len(), refused: Vec::new() };
            let (mut to, mut ids, mut names, mut sites) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for row in &rows {
                let kind = kind_of(&row.kind);
                let of_row = begins.get(&row.id).map_or(&[][..], Vec::as_slice);
                for Destination { route, name, site } in destinations(row, of_row, &routes_of) {
                    if row.routed_to.contains(&route) {
                        continue;
                    }
                    let waiting = waiting.entry(route.clone()).or_default();
                    if kind == NotificationKind::Opened && *waiting >= max_waiting {
                        distribution.refused.push(route);
                        continue;
                    }
                    *waiting += 1;
                    to.push(route);
                    ids.push(row.id);
                    names.push(name);
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

/// Returns where a notification goes: to each route that has a delivery of the begin, and to each
/// further route that wants it.
fn destinations(
    row: &Row,
    begins: &[Begin],
    routes_of: impl Fn(&StoredNotification) -> Vec<(String, String)>,
) -> Vec<Destination> {
    let kind = kind_of(&row.kind);
    let wanting =
        |name: &str| routes_of(&StoredNotification { sensor: name.to_owned(), started: row.started, kind });
    // The end of an announced anomaly is always announced.
    let is_admitted = |begin: &&Begin| {
        kind == NotificationKind::Ended || wanting(&begin.name).iter().any(|(route, _)| *route == begin.route)
    };
    let of_begin = |begin: &Begin| {
        let Begin { route, name, site, .. } = begin;
        Destination { route: route.clone(), name: name.clone(), site: site.clone() }
    };
    let mut found: Vec<Destination> = begins.iter().filter(is_admitted).map(of_begin).collect();
    for (route, site) in wanting(&row.sensor) {
        if begins.iter().all(|begin| begin.route != route) {
            found.push(Destination { route, name: row.sensor.clone(), site });
        }
    }
    found
}

/// Returns the deliveries of the begins of anomalies, by the notifications about them.
async fn begins_of(
    connection: &mut AsyncPgConnection,
    rows: &[Row],
    routes: &[String],
) -> QueryResult<BTreeMap<i64, Vec<Begin>>> {
    let found: Vec<Begin> = sql_query(
        "SELECT n.id, o.route, o.name, o.site
         FROM notifications n
         JOIN notification_deliveries o
             ON o.route = ANY ($2) AND o.sensor = n.sensor AND o.started = n.started AND o.kind = 'opened' AND o.item = 0
         WHERE n.id = ANY ($1) AND NOT n.is_routed AND n.kind <> 'opened' ORDER BY n.id, o.route",
    )
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(routes)
    .load(connection)
    .await?;
    let mut begins: BTreeMap<i64, Vec<Begin>> = BTreeMap::new();
    for begin in found {
        begins.entry(begin.id).or_default().push(begin);
    }
    Ok(begins)
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
