//! The fleet of sensors, as the tables show it: how many there are, and how much they send.

use diesel::sql_types::{BigInt, Double, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::Timestamp;

use super::server_time::server_time;

/// Sensors whose fields and rates stand for those of all. The ids are hashes, so the least ones are
/// a random sample.
const SAMPLE: i64 = 200;
/// Seconds over which the readings of a sensor are counted at least. A new sensor may begin with
/// many readings at once.
const LEAST_SECONDS: f64 = 600.0;
/// A day in µs.
const DAY: i64 = 86_400_000_000;

/// The sensors that send readings, and the disk below their rows.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct PresentFleet {
    /// Sensors with a reading of yesterday or today.
    #[diesel(sql_type = BigInt)]
    pub sensors: i64,
    /// Mean number of scored fields of a sensor, at least 1.
    #[diesel(sql_type = Double)]
    pub fields: f64,
    /// Mean readings of a sensor in a second, since the beginning of yesterday.
    #[diesel(sql_type = Double)]
    pub per_second: f64,
    /// Bytes of the database.
    #[diesel(sql_type = BigInt)]
    pub database_bytes: i64,
    /// The server's directory, if the server runs on this machine and lets this user ask.
    #[diesel(sql_type = Nullable<Text>)]
    pub local_directory: Option<String>,
}

/// Describes the sensors that send readings.
pub async fn present_fleet(connection: &mut AsyncPgConnection) -> QueryResult<PresentFleet> {
    // With a time as a value, the query is planned over the days after it only, not over all days.
    let since = Timestamp(server_time(connection).await?.0.div_euclid(DAY) * DAY - DAY);
    // The numbers of the first and the newest reading count those between them. Their times say
    // nothing: readings may come many at once, or have times in the future. A sensor whose readings
    // have no number counts as one reading a day. A field that is not decided yet may become a
    // scored one.
    sql_query(
        "WITH sending AS (
             SELECT id, fields, first_seen FROM sensors WHERE last_day >= ($3 AT TIME ZONE 'UTC')::date),
         sample AS (SELECT * FROM sending ORDER BY id LIMIT $1),
         rates AS (
             SELECT coalesce((abs(newest.seq - oldest.seq) + 1)
                        / greatest(extract(epoch FROM now() - least(greatest(s.first_seen, $3), oldest.ts)), $2), 1.0 / 86400)::float8 AS per_second
             FROM sample s
             LEFT JOIN LATERAL (SELECT ts, seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $3 AND r.seq IS NOT NULL
                                ORDER BY ts LIMIT 1) oldest ON true
             LEFT JOIN LATERAL (SELECT seq FROM readings r WHERE r.sensor = s.id AND r.ts >= $3 AND r.seq IS NOT NULL
                                ORDER BY ts DESC LIMIT 1) newest ON true),
         widths AS (
             SELECT greatest(1, cardinality(s.fields)
                        - (SELECT count(*) FROM sensor_fields f WHERE f.sensor = s.id AND f.standing <> 'scored'))::float8 AS fields
             FROM sample s)
         SELECT (SELECT count(*) FROM sending) AS sensors,
                coalesce((SELECT avg(fields) FROM widths), 1) AS fields,
                coalesce((SELECT avg(per_second) FROM rates), 0) AS per_second,
                pg_database_size(current_database()) AS database_bytes,
                CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
                          AND coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true)
                     THEN current_setting('data_directory') END AS local_directory",
    )
    .bind::<BigInt, _>(SAMPLE)
    .bind::<Double, _>(LEAST_SECONDS)
    .bind::<Timestamptz, _>(since)
    .get_result(connection)
    .await
}
