//! The state of each delivery: one notification for one route.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{SensorId, Timestamp};

use super::kind::{NotificationKind, kind_of};

/// Maximum number of held deliveries in one page.
const PAGE: usize = 10_000;

/// The state of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The conditions of the route are not met yet.
    Held,
    /// It is to be sent.
    Waiting,
    /// It is part of a message that is being sent.
    Sending,
    /// The receiver has accepted it.
    Sent,
    /// The receiver has refused it, or did not answer for too long.
    Failed,
    /// The route does not announce this kind.
    Passed,
    /// The anomaly ended before the conditions of the route were met.
    Dropped,
}

impl DeliveryState {
    const ALL: [Self; 7] =
        [Self::Held, Self::Waiting, Self::Sending, Self::Sent, Self::Failed, Self::Passed, Self::Dropped];

    /// Returns its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Passed => "passed",
            Self::Dropped => "dropped",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// The key of a delivery within its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryKey {
    /// The sensor.
    pub sensor: SensorId,
    /// When the anomaly began.
    pub started: Timestamp,
    /// What is said.
    pub kind: NotificationKind,
    /// Tells several notifications of one kind apart.
    pub item: i64,
}

/// A delivery that is held, and what decides about it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldDelivery {
    /// The delivery.
    pub key: DeliveryKey,
    /// Name of the sensor.
    pub sensor: String,
    /// Whether the anomaly is deleted, because its sensor was forgotten.
    pub is_forgotten: bool,
    /// When the anomaly ended; `None` while it goes on, and if it is deleted.
    pub ended: Option<Timestamp>,
    /// Time of the sensor's newest reading.
    pub newest: Timestamp,
    /// The highest grade of the anomaly up to now.
    pub peak_grade: f64,
    /// The state of the delivery that says that the anomaly began. `None` if the route has none, and
    /// in this delivery itself: it is read for the others only, because most held deliveries are
    /// begins, and PostgreSQL has no statistics at the start of a storm.
    pub opened: Option<DeliveryState>,
}

#[derive(QueryableByName)]
struct HeldRow {
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
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Bool)]
    is_forgotten: bool,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended: Option<Timestamp>,
    #[diesel(sql_type = Double)]
    peak_grade: f64,
    #[diesel(sql_type = Nullable<Text>)]
    opened: Option<String>,
}

/// A page of held deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldPage {
    /// The deliveries, in the order of each sensor's notifications.
    pub held: Vec<HeldDelivery>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<HeldCursor>,
}

/// The place of a delivery among the held ones of its route. The next page begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCursor {
    position: i64,
    item: i64,
}

impl HeldCursor {
    /// The place before all deliveries.
    pub const START: Self = Self { position: i64::MIN, item: i64::MIN };
}

/// Returns the page of the held deliveries of a route that begins after a place. Deliveries that stay
/// held do not hide those behind them.
///
/// Every route asks every second, mostly without a held delivery. So the readings, whose plan spans
/// many days, are asked for on their own.
pub async fn held_deliveries(
    connection: &mut AsyncPgConnection,
    route: &str,
    after: HeldCursor,
) -> QueryResult<HeldPage> {
    let rows: Vec<HeldRow> = sql_query(
        "SELECT d.sensor, d.name, d.started, d.kind, d.item, d.position, a.sensor IS NULL AS is_forgotten, a.ended,
                coalesce(a.peak_grade, 0) AS peak_grade,
                CASE WHEN d.kind <> 'opened' THEN
                    (SELECT o.state FROM notification_deliveries o
                     WHERE o.route = d.route AND o.sensor = d.sensor AND o.started = d.started
                       AND o.kind = 'opened' AND o.item = 0) END AS opened
         FROM notification_deliveries d
         LEFT JOIN anomalies a ON a.sensor = d.sensor AND a.started = d.started
         WHERE d.route = $1 AND d.state = 'held' AND (d.position, d.item) > ($2, $3)
         ORDER BY d.position, d.item LIMIT $4",
    )
    .bind::<Text, _>(route)
    .bind::<BigInt, _>(after.position)
    .bind::<BigInt, _>(after.item)
    .bind::<BigInt, _>(PAGE as i64)
    .load(connection)
    .await?;
    let last = rows.last().filter(|_| rows.len() == PAGE);
    let next = last.map(|last| HeldCursor { position: last.position, item: last.item });
    let newest = newest_readings(connection, &rows).await?;
    let newest_of = |row: &HeldRow| {
        let newest = newest.get(&row.sensor).copied().filter(|_| !row.is_forgotten);
        row.ended.or(newest.filter(|&newest| newest > row.started)).unwrap_or(row.started)
    };
    let held = |row: HeldRow| HeldDelivery {
        newest: newest_of(&row),
        key: DeliveryKey {
            sensor: SensorId(row.sensor),
            started: row.started,
            kind: kind_of(&row.kind),
            item: row.item,
        },
        sensor: row.name,
        is_forgotten: row.is_forgotten,
        ended: row.ended,
        peak_grade: row.peak_grade,
        opened: row.opened.as_deref().and_then(DeliveryState::from_name),
    };
    Ok(HeldPage { held: rows.into_iter().map(held).collect(), next })
}

/// Returns the time of the newest reading of each sensor whose anomaly goes on, if it is in one of
/// the anomalies.
async fn newest_readings(
    connection: &mut AsyncPgConnection,
    rows: &[HeldRow],
) -> QueryResult<HashMap<i64, Timestamp>> {
    #[derive(QueryableByName)]
    struct Newest {
        #[diesel(sql_type = BigInt)]
        sensor: i64,
        #[diesel(sql_type = Timestamptz)]
        ts: Timestamp,
    }
    let open = rows.iter().filter(|row| row.ended.is_none() && !row.is_forgotten);
    let sensors: BTreeSet<i64> = open.clone().map(|row| row.sensor).collect();
    let Some(since) = open.map(|row| row.started).min() else { return Ok(HashMap::new()) };
    // With the time as a value, the query is planned over the days after it only, not over all.
    let newest: Vec<Newest> = sql_query(
        "SELECT s.sensor, r.ts FROM unnest($1) AS s (sensor)
         CROSS JOIN LATERAL (SELECT ts FROM readings WHERE sensor = s.sensor AND ts >= $2
                             ORDER BY ts DESC LIMIT 1) r",
    )
    .bind::<Array<BigInt>, _>(sensors.into_iter().collect::<Vec<_>>())
    .bind::<Timestamptz, _>(since)
    .load(connection)
    .await?;
    Ok(newest.into_iter().map(|Newest { sensor, ts }| (sensor, ts)).collect())
}

/// The new state of a held delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryChange {
    /// The delivery.
    pub key: DeliveryKey,
    /// Its new state.
    pub state: DeliveryState,
}

/// Changes held deliveries of a route. One that becomes `waiting` is due after `wait`.
pub async fn change_deliveries(
    connection: &mut AsyncPgConnection,
    route: &str,
    changes: &[DeliveryChange],
    wait: Duration,
) -> QueryResult<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let texts = |text: fn(&DeliveryChange) -> &'static str| changes.iter().map(text).collect::<Vec<_>>();
    sql_query(
        "UPDATE notification_deliveries d
         SET state = c.state, changed = now(), due = now() + $7 * interval '1 second'
         FROM unnest($2, $3, $4, $5, $6) AS c (sensor, started, kind, item, state)
         WHERE d.route = $1 AND d.sensor = c.sensor AND d.started = c.started AND d.kind = c.kind
           AND d.item = c.item AND d.state = 'held'",
    )
    .bind::<Text, _>(route)
    .bind::<Array<BigInt>, _>(changes.iter().map(|change| change.key.sensor.0).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(changes.iter().map(|change| change.key.started).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(texts(|change| change.key.kind.name()))
    .bind::<Array<BigInt>, _>(changes.iter().map(|change| change.key.item).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(texts(|change| change.state.name()))
    .bind::<Double, _>(wait.as_secs_f64())
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds a held reminder for each announced anomaly that goes on, if the last message about it was
/// sent this long ago. Returns their number.
pub async fn remind(connection: &mut AsyncPgConnection, route: &str, every: Duration) -> QueryResult<usize> {
    sql_query(
        "INSERT INTO notification_deliveries (route, sensor, name, started, kind, item, position, site)
         SELECT o.route, o.sensor, o.name, o.started, 'reminder', coalesce(r.last, 0) + 1, o.position, o.site
         FROM notification_deliveries o
         JOIN anomalies a ON a.sensor = o.sensor AND a.started = o.started AND a.ended IS NULL
         LEFT JOIN LATERAL (
             SELECT max(r.item) AS last, max(r.changed) AS changed, bool_or(r.state IN ('held', 'waiting', 'sending')) AS is_pending
             FROM notification_deliveries r
             WHERE r.route = o.route AND r.sensor = o.sensor AND r.started = o.started AND r.kind = 'reminder') r ON true
         WHERE o.route = $1 AND o.kind = 'opened' AND o.state IN ('sent', 'passed') AND NOT coalesce(r.is_pending, false)
           AND greatest(o.changed, r.changed) <= now() - $2 * interval '1 second'
         ON CONFLICT DO NOTHING",
    )
    .bind::<Text, _>(route)
    .bind::<Double, _>(every.as_secs_f64())
    .execute(connection)
    .await
}

/// A delivery as a command lists it.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct ListedDelivery {
    /// Name of the route.
    #[diesel(sql_type = Text)]
    pub route: String,
    /// Name of the sensor.
    #[diesel(sql_type = Text)]
    pub sensor: String,
    /// When the anomaly began.
    #[diesel(sql_type = Timestamptz)]
    pub started: Timestamp,
    /// What it says.
    #[diesel(sql_type = Text)]
    pub kind: String,
    /// Its state.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// When the state last changed.
    #[diesel(sql_type = Timestamptz)]
    pub changed: Timestamp,
    /// Attempts to send its message.
    #[diesel(sql_type = Integer)]
    pub attempts: i32,
    /// The error of the last attempt; empty if there is none.
    #[diesel(sql_type = Text)]
    pub error: String,
}

/// Returns deliveries, the newest first: those in one of the states, or all if there are none.
pub async fn list_deliveries(
    connection: &mut AsyncPgConnection,
    states: &[DeliveryState],
    limit: i64,
) -> QueryResult<Vec<ListedDelivery>> {
    sql_query(
        "SELECT d.route, d.name AS sensor, d.started, d.kind, d.state, d.changed,
                coalesce(m.attempts, 0) AS attempts, coalesce(m.error, '') AS error
         FROM notification_deliveries d
         LEFT JOIN notification_messages m ON m.id = d.message
         WHERE cardinality($1) = 0 OR d.state = ANY ($1)
         ORDER BY d.changed DESC, d.position DESC, d.item DESC LIMIT $2",
    )
    .bind::<Array<Text>, _>(states.iter().map(|state| state.name()).collect::<Vec<_>>())
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await
}
