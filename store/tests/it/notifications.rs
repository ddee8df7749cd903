//! The way of notifications from the outbox to deliveries, on a real PostgreSQL.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::{PartitionId, Position, SensorId, Timestamp};
use thicket_store::postgres::{
    CommitBatch, DeliveryChange, DeliveryState, GroupRules, HeldCursor, NotificationKind, RouteHold,
    StoredNotification, WriteSession, announced_states, change_deliveries, check_deployment, claim,
    compose_message, day_of, distribute, ensure_days, held_deliveries, hold_route, message_events,
    message_to_send, postgres_pool, purge_notifications, register_routes, route_backlogs, sent_message,
};

use crate::support::PostgresServer;

const MAX_WAITING: u64 = 100;

/// Stores a sensor with an anomaly at second 1,000 and the notification of its begin.
async fn open_anomaly(server: &PostgresServer) {
    server
        .execute(
            "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES (1, 'site-1/a', 0, '{x}', now());
             INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
             VALUES (1, to_timestamp(1000), to_timestamp(1000), 9, 1, 3, '{x}', '{1}', '{71}', '{44}', '{40}', '{48}', '{false}');
             INSERT INTO notifications (sensor, started, kind) VALUES (1, to_timestamp(1000), 'opened')",
        )
        .await;
}

/// Distributes as a node that has these routes. Returns the number of notifications.
async fn distribute_to(server: &PostgresServer, routes: &[&str]) -> usize {
    let routes: Vec<String> = routes.iter().map(|&route| route.to_owned()).collect();
    let all = |_: &_| routes.iter().map(|route| (route.clone(), "site-1".to_owned())).collect();
    let distributed = distribute(&mut server.connect().await, &routes, MAX_WAITING, all).await.unwrap();
    distributed.notifications
}

async fn start(routes: &[&str]) -> PostgresServer {
    let server = PostgresServer::start().await;
    let routes: Vec<String> = routes.iter().map(|&route| route.to_owned()).collect();
    register_routes(&mut server.connect().await, &routes).await.unwrap();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_waits_for_the_routes_of_every_node() {
    let server = start(&["a", "b"]).await;
    open_anomaly(&server).await;
    assert_eq!(distribute_to(&server, &[]).await, 0);
    assert_eq!(distribute_to(&server, &["b"]).await, 1);
    assert_eq!(distribute_to(&server, &["b"]).await, 0);
    let unrouted = "SELECT count(*) FROM notifications WHERE NOT is_routed";
    assert_eq!(server.number(unrouted).await, 1, "route a has not seen it");
    assert_eq!(distribute_to(&server, &["a", "b"]).await, 1);
    assert_eq!(server.number(unrouted).await, 0);
    let routes = "SELECT route FROM notification_deliveries ORDER BY route";
    assert_eq!(server.texts(routes).await, ["a", "b"]);

    server
        .execute(
            "UPDATE notification_routes SET since = '-infinity', held_until = '-infinity' WHERE route = 'a';
             INSERT INTO notifications (sensor, started, kind) VALUES (1, to_timestamp(1000), 'ended')",
        )
        .await;
    assert_eq!(distribute_to(&server, &["b"]).await, 1);
    assert_eq!(server.number(unrouted).await, 0, "no node uses route a any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delivery_of_a_begin_is_kept_until_the_end_is_settled() {
    const DELIVERIES: &str = "SELECT count(*) FROM notification_deliveries";
    let purge = async |server: &PostgresServer| {
        purge_notifications(&mut server.connect().await, Duration::from_hours(1)).await.unwrap();
        server.number(DELIVERIES).await
    };
    let server = start(&["a"]).await;
    open_anomaly(&server).await;
    distribute_to(&server, &["a"]).await;
    let old = "now() - interval '2 hours'";
    server
        .execute(&format!(
            "UPDATE notification_deliveries SET state = 'sent', changed = {old};
             UPDATE notification_routes SET held_until = now()"
        ))
        .await;
    assert_eq!(purge(&server).await, 1, "the anomaly goes on");
    server
        .execute(
            "UPDATE anomalies SET ended = to_timestamp(1060);
             INSERT INTO notifications (sensor, started, kind) VALUES (1, to_timestamp(1000), 'ended')",
        )
        .await;
    assert_eq!(purge(&server).await, 1, "the end is in the outbox");
    distribute_to(&server, &["a"]).await;
    server.execute(&format!("UPDATE notification_deliveries SET changed = {old}")).await;
    for state in ["held", "waiting", "sending"] {
        server
            .execute(&format!("UPDATE notification_deliveries SET state = '{state}' WHERE kind = 'ended'"))
            .await;
        assert_eq!(purge(&server).await, 2, "the end is {state}");
    }
    server.execute("UPDATE notification_deliveries SET state = 'sent'").await;
    assert_eq!(purge(&server).await, 0);
}

/// Forgets sensor 1, as a commit does.
async fn forget(server: &PostgresServer) {
    server.execute("INSERT INTO sensor_requests (sensor, action) VALUES (1, 'forget')").await;
    let request = server.number("SELECT max(id) FROM sensor_requests").await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    claim(&postgres_pool(&server.url(), 1).unwrap(), &[PartitionId(0)]).await.unwrap();
    let mut batch = CommitBatch::new(PartitionId(0), 1, Position::default());
    batch.to = Position { generation: 1, n: 1 };
    batch.forgotten = Some((SensorId(1), request));
    WriteSession::default().commit(&server.url(), &[&batch]).await.unwrap();
    assert_eq!(server.number("SELECT count(*) FROM anomalies").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_announced_anomaly_of_a_forgotten_sensor_is_announced() {
    let server = start(&["a"]).await;
    open_anomaly(&server).await;
    distribute_to(&server, &["a"]).await;
    server.execute("UPDATE notification_deliveries SET state = 'sent'").await;
    forget(&server).await;
    assert_eq!(distribute_to(&server, &["a"]).await, 1);
    assert_eq!(distribute_to(&server, &["a"]).await, 0);
    let kept = "SELECT (SELECT count(*) FROM notifications) + (SELECT count(*) FROM forgotten_sensors)";
    assert_eq!(server.number(kept).await, 0, "the sensor may come back with the same anomaly");

    let connection = &mut server.connect().await;
    let held = held_deliveries(connection, "a", HeldCursor::START).await.unwrap().held;
    let [end] = held.as_slice() else { panic!("{held:?}") };
    assert_eq!((end.key.kind, end.sensor.as_str()), (NotificationKind::Ended, "site-1/a"));
    assert!(end.is_forgotten && end.opened == Some(DeliveryState::Sent), "{end:?}");
    let change = DeliveryChange { key: end.key, state: DeliveryState::Waiting };
    change_deliveries(connection, "a", &[change], Duration::ZERO).await.unwrap();
    let hold = hold_route(connection, "a", "node", Duration::from_mins(1)).await.unwrap();
    assert_eq!(hold, RouteHold::Held);
    let rules = GroupRules { interval: Duration::ZERO, per_minute: 10, max_members: 10 };
    assert!(compose_message(connection, "a", "node", rules, |_, _| "key".to_owned()).await.unwrap());
    let message = message_to_send(connection, "a").await.unwrap().unwrap();
    let events = message_events(connection, message.id).await.unwrap();
    assert_eq!(
        (events[0].anomaly.sensor.as_str(), events[0].kinds.as_slice()),
        ("site-1/a", [NotificationKind::Ended].as_slice())
    );
    assert!(events[0].anomaly.ended.is_some() && message.open == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_anomaly_has_the_name_and_the_site_of_its_begin_after_a_rename() {
    let server = start(&["a", "b"]).await;
    open_anomaly(&server).await;
    let routes = ["a".to_owned(), "b".to_owned()];
    // Route a has the sensors of the first site, and route b has all.
    let routes_of = |notification: &StoredNotification| {
        let site = notification.sensor.split('/').next().unwrap_or_default().to_owned();
        let a = (site == "site-1").then(|| ("a".to_owned(), site.clone()));
        a.into_iter().chain([("b".to_owned(), site)]).collect()
    };
    let connection = &mut server.connect().await;
    distribute(connection, &routes, MAX_WAITING, routes_of).await.unwrap();
    server
        .execute(
            "UPDATE notification_deliveries SET state = 'sent';
             UPDATE sensors SET name = 'site-2/new', first_name = name;
             INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
             SELECT sensor, to_timestamp(2000), peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters FROM anomalies;
             INSERT INTO notifications (sensor, started, kind)
             VALUES (1, to_timestamp(1000), 'label'), (1, to_timestamp(1000), 'ended'), (1, to_timestamp(2000), 'opened')",
        )
        .await;
    distribute(connection, &routes, MAX_WAITING, routes_of).await.unwrap();
    let made = "SELECT concat_ws(' ', route, kind, name, site, extract(epoch FROM started)::int)
        FROM notification_deliveries WHERE state = 'held' ORDER BY position, route";
    let expected = [
        "a label site-1/a site-1 1000",
        "b label site-1/a site-1 1000",
        "a ended site-1/a site-1 1000",
        "b ended site-1/a site-1 1000",
        "b opened site-2/new site-2 2000",
    ];
    assert_eq!(server.texts(made).await, expected);

    // A repetition has a page for each name, and includes a message that was given up.
    server
        .execute(
            "UPDATE anomalies SET ended = to_timestamp(1060) WHERE started = to_timestamp(1000);
             UPDATE notification_deliveries SET state = CASE kind WHEN 'ended' THEN 'failed' ELSE 'sent' END",
        )
        .await;
    let mut after = None;
    let mut pages = Vec::new();
    while let [state] = announced_states(connection, "b", Duration::from_hours(1), after.as_deref(), 1)
        .await
        .unwrap()
        .as_slice()
    {
        pages.push((state.anomaly.sensor.clone(), state.anomaly.ended.is_some()));
        after = Some(state.anomaly.sensor.clone());
    }
    assert_eq!(pages, [("site-1/a".to_owned(), true), ("site-2/new".to_owned(), false)]);
}

/// Stores anomalies that begin at a second, of sensors with these numbers, and distributes them to
/// route a with the first level of the name as the site.
async fn storm(server: &PostgresServer, site: &str, sensors: std::ops::RangeInclusive<i64>, started: i64) {
    let (first, last) = (sensors.start(), sensors.end());
    server
        .execute(&format!(
            "INSERT INTO sensors (id, name, partition, fields, first_seen)
             SELECT n, '{site}/' || n, 0, '{{x}}', now() FROM generate_series({first}, {last}) n ON CONFLICT DO NOTHING;
             INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
             SELECT n, to_timestamp({started}), to_timestamp({started}), 9, 1, 3, '{{x}}', '{{1}}', '{{71}}', '{{44}}', '{{40}}', '{{48}}', '{{false}}'
             FROM generate_series({first}, {last}) n;
             INSERT INTO notifications (sensor, started, kind)
             SELECT n, to_timestamp({started}), 'opened' FROM generate_series({first}, {last}) n"
        ))
        .await;
    let routes_of = |_: &StoredNotification| vec![("a".to_owned(), site.to_owned())];
    distribute(&mut server.connect().await, &["a".to_owned()], MAX_WAITING, routes_of).await.unwrap();
}

/// Lets the held deliveries of route a wait, as the route's `group_wait` says.
async fn release(server: &PostgresServer, group_wait: Duration) {
    let connection = &mut server.connect().await;
    let held = held_deliveries(connection, "a", HeldCursor::START).await.unwrap().held;
    let waiting = |key| DeliveryChange { key, state: DeliveryState::Waiting };
    let changes: Vec<DeliveryChange> = held.into_iter().map(|delivery| waiting(delivery.key)).collect();
    change_deliveries(connection, "a", &changes, group_wait).await.unwrap();
}

/// Times move by statements, so that nothing depends on how fast the machine is.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_a_site_is_one_message_after_group_wait_and_the_next_after_group_interval() {
    const HOUR: Duration = Duration::from_hours(1);
    let server = start(&["a"]).await;
    let connection = &mut server.connect().await;
    let hold = hold_route(connection, "a", "node", Duration::from_hours(1)).await.unwrap();
    assert_eq!(hold, RouteHold::Held);
    let rules = GroupRules { interval: HOUR, per_minute: 100, max_members: 100 };
    let key = |site: &str, _: &[_]| site.to_owned();
    // Two parts of a storm: the wait begins with the first anomaly of the site.
    storm(&server, "site-1", 1..=20, 1_000).await;
    release(&server, HOUR).await;
    storm(&server, "site-1", 21..=40, 1_001).await;
    release(&server, HOUR).await;
    assert!(!compose_message(connection, "a", "node", rules, key).await.unwrap(), "group_wait is not over");
    server.execute("UPDATE notification_deliveries SET due = now() WHERE sensor = 1").await;
    assert!(compose_message(connection, "a", "node", rules, key).await.unwrap());
    let message = message_to_send(connection, "a").await.unwrap().unwrap();
    assert_eq!(message_events(connection, message.id).await.unwrap().len(), 40);
    assert!(!compose_message(connection, "a", "node", rules, key).await.unwrap(), "nothing waits");
    assert_eq!(sent_message(connection, message.id).await.unwrap(), 40);

    // The storm goes on, and another site has one, too.
    storm(&server, "site-1", 1..=20, 2_000).await;
    release(&server, Duration::ZERO).await;
    assert!(
        !compose_message(connection, "a", "node", rules, key).await.unwrap(),
        "group_interval is not over"
    );
    storm(&server, "site-2", 100..=109, 2_000).await;
    release(&server, Duration::ZERO).await;
    assert!(compose_message(connection, "a", "node", rules, key).await.unwrap());
    let message = message_to_send(connection, "a").await.unwrap().unwrap();
    assert_eq!(message.site, "site-2");
    assert_eq!(sent_message(connection, message.id).await.unwrap(), 10);
    assert!(!compose_message(connection, "a", "node", rules, key).await.unwrap());
    server
        .execute("UPDATE notification_messages SET changed = now() - interval '1 hour 1 second' WHERE site = 'site-1'")
        .await;
    assert!(compose_message(connection, "a", "node", rules, key).await.unwrap());
    let message = message_to_send(connection, "a").await.unwrap().unwrap();
    let events = message_events(connection, message.id).await.unwrap();
    assert_eq!((message.site.as_str(), events.len()), ("site-1", 20));
}

/// Returns how many deliveries wait for route a, and for how many whole minutes.
async fn backlog(server: &PostgresServer, interval: Duration) -> (i64, i64) {
    let routes = [("a".to_owned(), interval)];
    let backlogs = route_backlogs(&mut server.connect().await, &routes).await.unwrap();
    assert_eq!((backlogs.len(), backlogs[0].route.as_str()), (1, "a"));
    (backlogs[0].waiting, (backlogs[0].lag / 60.0) as i64)
}

/// The route is not late while its own `group_interval` keeps it from sending.
#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_route_begins_when_it_may_send() {
    const HOUR: Duration = Duration::from_hours(1);
    let server = start(&["a"]).await;
    assert_eq!(backlog(&server, HOUR).await, (0, 0));
    storm(&server, "site-1", 1..=3, 1_000).await;
    release(&server, Duration::ZERO).await;
    storm(&server, "site-2", 4..=4, 1_000).await;
    release(&server, HOUR).await;
    let waits = |minutes: u64| {
        format!(
            "UPDATE notification_deliveries SET due = now() - interval '{minutes} minutes' WHERE sensor = 2"
        )
    };
    server.execute(&waits(50)).await;
    assert_eq!(backlog(&server, HOUR).await, (4, 50), "nothing was sent before");
    let settled = |state: &str, minutes: u64| {
        format!(
            "INSERT INTO notification_messages (route, site, key, state, changed)
             VALUES ('a', 'site-1', '{state}', '{state}', now() - interval '{minutes} minutes')"
        )
    };
    server.execute(&settled("sent", 70)).await;
    assert_eq!(backlog(&server, HOUR).await, (4, 10));
    assert_eq!(backlog(&server, HOUR / 12).await, (4, 50));
    server.execute(&settled("failed", 20)).await;
    assert_eq!(backlog(&server, HOUR).await, (4, 0));
    // A message that the receiver does not accept holds up those after it.
    server.execute(&settled("sending", 1)).await;
    server.execute("UPDATE notification_messages SET changed = changed - interval '1 hour'").await;
    assert_eq!(backlog(&server, HOUR).await, (4, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn held_deliveries_have_their_newest_reading_without_a_look_at_earlier_days() {
    let server = start(&["a"]).await;
    let mut connection = server.connect().await;
    let day_of = |second: i64| day_of(Timestamp(second * 1_000_000));
    ensure_days(&mut connection, &[day_of(0), day_of(500_000), day_of(501_000)]).await.unwrap();
    storm(&server, "site-1", 1..=3, 500_000).await;
    storm(&server, "site-1", 1..=1, 501_000).await;
    server
        .execute(
            "INSERT INTO field_sets VALUES (1, '{x}');
             INSERT INTO readings (sensor, ts, seq, field_set, \"values\", flags)
             SELECT sensor, to_timestamp(second), 1, 1, '{1}', 0
             FROM (VALUES (1, 500500), (1, 500700), (2, 499000), (3, 502000)) AS r (sensor, second);
             UPDATE anomalies SET ended = to_timestamp(500600) WHERE sensor = 3",
        )
        .await;
    let mut other = server.connect().await;
    other.batch_execute("BEGIN; LOCK TABLE readings_y1970m01d01 IN ACCESS EXCLUSIVE MODE").await.unwrap();
    connection.batch_execute("SET lock_timeout = '2s'").await.unwrap();
    let held = held_deliveries(&mut connection, "a", HeldCursor::START).await.unwrap().held;
    let mut newest: Vec<(i64, i64, i64)> = held
        .iter()
        .map(|held| (held.key.sensor.0, held.key.started.0 / 1_000_000, held.newest.0 / 1_000_000))
        .collect();
    newest.sort_unstable();
    let expected =
        [(1, 500_000, 500_700), (1, 501_000, 501_000), (2, 500_000, 500_000), (3, 500_000, 500_600)];
    assert_eq!(newest, expected);

    // Without a held delivery, no table of readings is read.
    other.batch_execute("ROLLBACK; BEGIN; LOCK TABLE readings IN ACCESS EXCLUSIVE MODE").await.unwrap();
    server.execute("UPDATE notification_deliveries SET state = 'waiting'").await;
    assert!(held_deliveries(&mut connection, "a", HeldCursor::START).await.unwrap().held.is_empty());
}
