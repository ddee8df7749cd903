//! `sensor_clocks` and `clock_changes`: sensors whose clocks are behind, and the moments at which
//! their time began again. Also the stored rows near a time, by which a late reading is judged.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::ReadingRow;
use thicket_schema::{FieldSet, Flag, SensorId, Timestamp};

use super::connection::{PostgresPool, StoreError, quickly};
use super::field_sets::FieldSets;

/// A reading that is less than this behind its arrival is on time, in µs.
const ON_TIME_MICROS: i64 = 60_000_000;

/// The state of a sensor's time that cannot be read from its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// Late readings in a row, each newer than the one before.
    pub late: u32,
    /// The stored time of the last of them.
    pub last_late: Timestamp,
    /// The newest time that the sensor ever had, while its time has begun again and has not reached
    /// it.
    pub ahead_of: Option<Timestamp>,
}

impl ClockState {
    /// Whether it is the state of a sensor whose readings come in order.
    pub const fn is_usual(&self) -> bool {
        self.late == 0 && self.ahead_of.is_none()
    }
}

/// What a restore needs to know about the time of a sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeFacts {
    /// How often its time has begun again.
    pub era: i32,
    /// The newest time of this era, without late readings.
    pub newest: Option<Timestamp>,
    /// The newest stored time.
    pub highest: Option<Timestamp>,
    /// The state that the rows do not hold; `None` if it is the usual one.
    pub state: Option<ClockState>,
}

/// A change of a sensor's clock state that commits with its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockUpdate {
    /// The state after the batch.
    pub state: ClockState,
    /// When the first late reading of the row arrived, if that was in the batch.
    pub since: Option<Timestamp>,
    /// When the last reading arrived.
    pub received: Timestamp,
    /// How far the last reading was behind its arrival, in µs.
    pub behind_micros: i64,
}

/// A moment at which a sensor's time began again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The sensor.
    pub sensor: SensorId,
    /// The era that begins.
    pub era: i32,
    /// Number of the sensor's scored readings before.
    pub seq: u64,
    /// The newest time before.
    pub newest: Timestamp,
    /// The time of the first reading of the era.
    pub begins: Timestamp,
}

/// A stored row near the time of another reading.
#[derive(Clone, Debug, PartialEq)]
pub struct NearRow {
    /// Its time.
    pub ts: Timestamp,
    /// Whether that is not its written time.
    pub shifted: bool,
    /// The names of its values.
    pub fields: FieldSet,
    /// Its values.
    pub values: Vec<f64>,
}

/// Returns the rows of a sensor from each of the times to `reach_micros` after it.
pub async fn rows_near(
    pool: &PostgresPool,
    sensor: SensorId,
    times: &[Timestamp],
    reach_micros: i64,
    field_sets: &FieldSets,
) -> Result<Vec<NearRow>, StoreError> {
    quickly(rows_near_now(pool, sensor, times, reach_micros, field_sets)).await
}

async fn rows_near_now(
    pool: &PostgresPool,
    sensor: SensorId,
    times: &[Timestamp],
    reach_micros: i64,
    field_sets: &FieldSets,
) -> Result<Vec<NearRow>, StoreError> {
    let (Some(&first), Some(&last)) = (times.iter().min(), times.iter().max()) else { return Ok(Vec::new()) };
    let mut connection = pool.get().await?;
    // PostgreSQL plans only the days between the constants $4 and $5.
    let rows: Vec<ReadingRow> = sql_query(
        "SELECT DISTINCT ON (r.ts) r.* FROM unnest($2::timestamptz[]) AS k (ts)
         JOIN readings r ON r.sensor = $1 AND r.ts >= k.ts AND r.ts <= k.ts + $3 * interval '1 microsecond'
         WHERE r.ts >= $4 AND r.ts <= $5
         ORDER BY r.ts",
    )
    .bind::<BigInt, _>(sensor.0)
    .bind::<Array<Timestamptz>, _>(times)
    .bind::<BigInt, _>(reach_micros)
    .bind::<Timestamptz, _>(first)
    .bind::<Timestamptz, _>(Timestamp(last.0.saturating_add(reach_micros)))
    .load(&mut *connection)
    .await?;
    let names = field_sets.load(&mut connection, rows.iter().map(|row| row.field_set)).await?;
    let near = rows.into_iter().map(|row| {
        let fields = names.get(&row.field_set).cloned();
        Ok(NearRow {
            ts: row.ts,
            shifted: Flag::Shifted.is_in(row.flags),
            fields: fields.ok_or_else(|| StoreError::FieldSet(format!("{} has no names", row.field_set)))?,
            values: row.values,
        })
    });
    near.collect()
}

/// Writes the changes of the clock states of sensors.
pub(super) async fn update_clocks(
    connection: &mut AsyncPgConnection,
    clocks: &BTreeMap<SensorId, ClockUpdate>,
) -> QueryResult<()> {
    let (usual, changed): (Vec<_>, Vec<_>) = clocks.iter().partition(|(_, update)| update.state.is_usual());
    if !usual.is_empty() {
        let sensors: Vec<i64> = usual.iter().map(|(sensor, _)| sensor.0).collect();
        sql_query("DELETE FROM sensor_clocks WHERE sensor = ANY($1)")
            .bind::<Array<BigInt>, _>(sensors)
            .execute(connection)
            .await?;
    }
    if changed.is_empty() {
        return Ok(());
    }
    let late = |update: &ClockUpdate| i32::try_from(update.state.late).unwrap_or(i32::MAX);
    sql_query(
        "INSERT INTO sensor_clocks AS c (sensor, late, last_late, since, behind_us, updated, ahead_of)
         SELECT u.sensor, u.late, u.last_late, coalesce(u.since, o.since, u.received), u.behind_us, u.received, u.ahead_of
         FROM UNNEST($1::int8[], $2::int4[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::int8[],
                     $7::timestamptz[]) AS u (sensor, late, last_late, since, received, behind_us, ahead_of)
         LEFT JOIN sensor_clocks o ON o.sensor = u.sensor
         ON CONFLICT (sensor) DO UPDATE
         SET late = excluded.late, last_late = excluded.last_late, since = excluded.since,
             behind_us = excluded.behind_us, updated = excluded.updated, ahead_of = excluded.ahead_of",
    )
    .bind::<Array<BigInt>, _>(changed.iter().map(|(sensor, _)| sensor.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(changed.iter().map(|(_, update)| late(update)).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(changed.iter().map(|(_, update)| update.state.last_late).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(changed.iter().map(|(_, update)| update.since).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(changed.iter().map(|(_, update)| update.received).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(changed.iter().map(|(_, update)| update.behind_micros).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(changed.iter().map(|(_, update)| update.state.ahead_of).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores the moments at which the time of sensors began again.
pub(super) async fn insert_clock_changes(
    connection: &mut AsyncPgConnection,
    changes: &[ClockChange],
) -> QueryResult<()> {
    for ClockChange { sensor, era, seq, newest, begins } in changes {
        sql_query(
            "INSERT INTO clock_changes (sensor, era, seq, newest, begins) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind::<BigInt, _>(sensor.0)
        .bind::<Integer, _>(*era)
        .bind::<BigInt, _>(seq.cast_signed())
        .bind::<Timestamptz, _>(*newest)
        .bind::<Timestamptz, _>(*begins)
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// A sensor whose clock is behind.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ClockBehind {
    /// Its name.
    #[diesel(sql_type = Text)]
    pub sensor: String,
    /// Late readings in a row.
    #[diesel(sql_type = Integer)]
    pub late: i32,
    /// When the first of them arrived.
    #[diesel(sql_type = Timestamptz)]
    pub since: Timestamp,
    /// How far the last reading was behind its arrival, in µs.
    #[diesel(sql_type = BigInt)]
    pub behind_us: i64,
    /// The newest time that the sensor ever had, if its time has begun again below it.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub ahead_of: Option<Timestamp>,
}

/// A topic whose messages are refused because their time is in the future.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct ClockAhead {
    /// The topic.
    #[diesel(sql_type = Text)]
    pub topic: String,
    /// Refused messages.
    #[diesel(sql_type = BigInt)]
    pub refused: i64,
    /// When the first of them arrived.
    #[diesel(sql_type = Timestamptz)]
    pub since: Timestamp,
    /// When the last of them arrived.
    #[diesel(sql_type = Timestamptz)]
    pub last: Timestamp,
    /// How far the times were ahead of their arrival at most, in µs; `None` if it is not known.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub ahead_us: Option<i64>,
}

/// Returns the sensors with a reading since `since` that had at least `late` late readings in a
/// row, or whose time has begun again; those that are furthest behind first. A sensor whose time has
/// begun again and whose readings arrive on time is not behind: its clock, or the engine's, was ahead
/// before and is right now.
pub async fn clocks_behind(
    connection: &mut AsyncPgConnection,
    late: u32,
    since: Timestamp,
    limit: i64,
) -> QueryResult<Vec<ClockBehind>> {
    sql_query(
        "SELECT s.name AS sensor, c.late, c.since, c.behind_us, c.ahead_of
         FROM sensor_clocks c JOIN sensors s ON s.id = c.sensor
         WHERE (c.late >= $1 OR (c.ahead_of IS NOT NULL AND c.behind_us >= $4)) AND c.updated >= $2
         ORDER BY c.behind_us DESC, s.name LIMIT $3",
    )
    .bind::<Integer, _>(i32::try_from(late).unwrap_or(i32::MAX))
    .bind::<Timestamptz, _>(since)
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(ON_TIME_MICROS)
    .load(connection)
    .await
}

/// Returns the topics whose messages were refused since `since` because their time was too far in
/// the future, the newest first.
pub async fn clocks_ahead(
    connection: &mut AsyncPgConnection,
    since: Timestamp,
    limit: i64,
) -> QueryResult<Vec<ClockAhead>> {
    // The detail of such a dead letter begins with the refused time.
    sql_query(
        r"SELECT topic, count(*) AS refused, min(received) AS since, max(received) AS last,
                 max(CASE WHEN detail ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z '
                     THEN (extract(epoch FROM split_part(detail, ' ', 1)::timestamptz - received) * 1000000)::bigint END) AS ahead_us
          FROM dead_letters WHERE reason = 'timestamp_in_future' AND received >= $1
          GROUP BY topic ORDER BY last DESC, topic LIMIT $2",
    )
    .bind::<Timestamptz, _>(since)
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await
}
