//! The facts about a sensor's stored rows that a restore begins with.

use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{Flag, SensorId, Timestamp};

use super::clocks::{ClockState, TimeFacts};
use super::connection::{PostgresPool, StoreError, patiently};
use super::history::{AFTER_ALL, BEFORE_ALL};
use super::sensor_requests::{DetectorReset, newest_reset};

/// The facts that decide whether a restore may use the checkpoint of a sensor, and those that
/// restore the order of its readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// The seq of its newest scored row; `None` if it has no such row. If retention has dropped
    /// rows of any sensor, a sensor without rows has `u64::MAX`: it may have had any number of
    /// rows. A sensor that is not in `sensors` has `None`: it is new, or it was forgotten.
    pub newest_seq: Option<u64>,
    /// Whether its detector has applied labels.
    pub has_labels: bool,
    /// The last time that its detector began again on request.
    pub reset: Option<DetectorReset>,
    /// The order of its readings in time.
    pub time: TimeFacts,
}

/// The newest rows of a sensor, and its clock.
#[derive(QueryableByName)]
struct FoundFacts {
    #[diesel(sql_type = Bool)]
    is_known: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Bool)]
    has_expired: bool,
    #[diesel(sql_type = Bool)]
    has_labels: bool,
    #[diesel(sql_type = Integer)]
    era: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    newest: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    highest: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Integer>)]
    late: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_late: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ahead_of: Option<Timestamp>,
}

impl FoundFacts {
    /// Whether a search of older rows finds nothing else. A sensor without a row in `sensors` has no
    /// rows.
    const fn is_complete(&self) -> bool {
        !self.is_known || (self.seq.is_some() && self.newest.is_some() && self.highest.is_some())
    }

    /// Looks for rows after a time. `is_last`: there are no other rows.
    async fn load(
        connection: &mut AsyncPgConnection,
        sensor: SensorId,
        after: Timestamp,
        is_last: bool,
    ) -> QueryResult<Self> {
        sql_query(format!(
            "SELECT EXISTS (SELECT 1 FROM sensors WHERE id = s.id) AS is_known,
                    coalesce(
                        (SELECT seq FROM readings r
                         WHERE r.sensor = s.id AND r.ts > $2 AND r.era = e.era AND seq IS NOT NULL ORDER BY ts DESC LIMIT 1),
                        (SELECT max(seq) FROM readings r WHERE r.sensor = s.id AND r.ts > $2 AND e.era > 0 AND $3)) AS seq,
                    EXISTS (SELECT 1 FROM partitions WHERE expired > 0) AS has_expired,
                    EXISTS (SELECT 1 FROM applied_labels a WHERE a.sensor = s.id) AS has_labels,
                    e.era,
                    (SELECT ts FROM readings r
                     WHERE r.sensor = s.id AND r.ts > $2 AND r.era = e.era AND (flags & {late}) = 0
                     ORDER BY ts DESC LIMIT 1) AS newest,
                    (SELECT ts FROM readings r WHERE r.sensor = s.id AND r.ts > $2 ORDER BY ts DESC LIMIT 1) AS highest,
                    c.late, c.last_late, c.ahead_of
             FROM (SELECT $1 AS id) s
             CROSS JOIN LATERAL (SELECT coalesce(max(era), 0) AS era FROM clock_changes WHERE sensor = s.id) e
             LEFT JOIN sensor_clocks c ON c.sensor = s.id",
            late = Flag::Late.bit()
        ))
        .bind::<BigInt, _>(sensor.0)
        .bind::<Timestamptz, _>(after)
        .bind::<Bool, _>(is_last)
        .get_result(connection)
        .await
    }
}

impl CheckpointFacts {
    /// Reads the facts of a sensor.
    pub async fn load(pool: &PostgresPool, sensor: SensorId) -> Result<Self, StoreError> {
        let (found, reset) = patiently(async {
            let mut connection = pool.get().await?;
            let reset = newest_reset(&mut connection, sensor, None).await?;
            // A search from the newest day on plans few day tables. The day decides only how fast the
            // rows are found: the newest row after a time is the newest row.
            if let Some(after) = before_last_day(&mut connection, sensor).await? {
                let found = FoundFacts::load(&mut connection, sensor, after, false).await?;
                if found.is_complete() {
                    return Ok((found, reset));
                }
            }
            Ok((FoundFacts::load(&mut connection, sensor, BEFORE_ALL, true).await?, reset))
        })
        .await?;
        let newest_seq =
            found.seq.map(i64::cast_unsigned).or((found.is_known && found.has_expired).then_some(u64::MAX));
        let state = found.late.zip(found.last_late).map(|(late, last_late)| ClockState {
            late: late.cast_unsigned(),
            last_late,
            ahead_of: found.ahead_of,
        });
        let time = TimeFacts { era: found.era, newest: found.newest, highest: found.highest, state };
        Ok(Self { newest_seq, has_labels: found.has_labels, reset, time })
    }
}

/// Returns the time before the newest day of a sensor. A sensor without a row in `sensors` has no
/// rows, so any time will do. `None` if the day is not known.
async fn before_last_day(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
) -> QueryResult<Option<Timestamp>> {
    #[derive(QueryableByName)]
    struct LastDay {
        #[diesel(sql_type = Nullable<Timestamptz>)]
        begins: Option<Timestamp>,
    }
    let found: Vec<LastDay> =
        sql_query("SELECT last_day::timestamp AT TIME ZONE 'UTC' AS begins FROM sensors WHERE id = $1")
            .bind::<BigInt, _>(sensor.0)
            .load(connection)
            .await?;
    match found.as_slice().first() {
        Some(LastDay { begins }) => Ok(begins.map(|begins| Timestamp(begins.0 - 1))),
        None => Ok(Some(AFTER_ALL)),
    }
}
