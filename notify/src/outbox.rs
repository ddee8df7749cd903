//! Distributes the outbox to the routes, deletes what is old, and counts what waits.

use std::time::{Duration, Instant};

use thicket_store::complaints;
use thicket_store::postgres::{QueryError, StoreError, distribute, purge_notifications, route_backlogs};

use crate::shared::Shared;

/// The interval of polls.
const TICK: Duration = Duration::from_secs(1);
/// How long one poll may take. PostgreSQL may not answer.
const LIMIT: Duration = Duration::from_mins(2);
/// The interval of the deletion of old rows.
const PURGE: Duration = Duration::from_mins(10);
/// The interval of the counts.
const COUNT: Duration = Duration::from_secs(10);

/// Distributes until the actor ends.
pub(crate) async fn run(shared: Shared) {
    let mut due = Due::default();
    loop {
        let ticked = tokio::time::timeout(LIMIT, tick(&shared, &mut due)).await;
        match ticked.unwrap_or(Err(StoreError::Silent(LIMIT))) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                if let Some(repeated) = complaints::due("distribute notifications", &error) {
                    tracing::warn!(%error, repeated, "notifications wait in postgresql");
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// When what is done seldom was done last.
#[derive(Default)]
struct Due {
    purged: Option<Instant>,
    counted: Option<Instant>,
}

/// Returns whether there may be more to do at once.
async fn tick(shared: &Shared, due: &mut Due) -> Result<bool, StoreError> {
    let mut connection = shared.connection().await?;
    let routes: Vec<String> = shared.routes.iter().map(|route| route.config.name.clone()).collect();
    let distribution = distribute(&mut connection, &routes, shared.max_waiting, |notification| {
        let wanting = shared.routes.iter().filter(|route| route.wants(notification));
        wanting.map(|route| (route.config.name.clone(), route.site_of(&notification.sensor))).collect()
    })
    .await?;
    for route in &distribution.refused {
        shared.metrics.notifications.notifications_refused.with_label_values(&[route]).inc();
        if let Some(repeated) = complaints::due("announce an anomaly", route) {
            let text = "anomalies are not announced: notify.max_waiting notifications wait for the route";
            tracing::warn!(route, repeated, "{text}");
        }
    }
    if due.counted.is_none_or(|counted| counted.elapsed() >= COUNT) {
        count(shared, &mut connection).await?;
        due.counted = Some(Instant::now());
    }
    if due.purged.is_none_or(|purged| purged.elapsed() >= PURGE) {
        purge_notifications(&mut connection, shared.keep).await?;
        due.purged = Some(Instant::now());
    }
    Ok(distribution.notifications > 0)
}

async fn count(
    shared: &Shared,
    connection: &mut thicket_store::postgres::PostgresConnection,
) -> Result<(), QueryError> {
    let routes: Vec<(String, Duration)> =
        shared.routes.iter().map(|route| (route.config.name.clone(), route.config.group_interval)).collect();
    let metrics = &shared.metrics.notifications;
    for backlog in route_backlogs(connection, &routes).await? {
        let label = [backlog.route.as_str()];
        metrics.notifications_waiting.with_label_values(&label).set(backlog.waiting);
        metrics.notification_lag_seconds.with_label_values(&label).set(backlog.lag);
    }
    Ok(())
}
