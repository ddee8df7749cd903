//! `sensor_fields`: which fields of a sensor are scored, and why the others are not. Written when it
//! changes, in the transaction of the readings that change it.

use std::collections::BTreeMap;

use diesel::sql_types::{Array, BigInt, Text};
use diesel::{ExpressionMethods as _, QueryDsl as _, QueryResult, QueryableByName, SelectableHelper as _};
use diesel::{delete, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{FieldReport, Remark};
use thicket_schema::SensorId;
use thicket_schema::postgres::{SensorFieldRow, sensor_fields};

/// Replaces what is stored about the fields of sensors.
pub(super) async fn write_field_reports(
    connection: &mut AsyncPgConnection,
    reports: &BTreeMap<&SensorId, &FieldReport>,
) -> QueryResult<()> {
    if reports.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = reports.keys().map(|sensor| sensor.0).collect();
    delete(sensor_fields::table).filter(sensor_fields::sensor.eq_any(&ids)).execute(connection).await?;
    let rows: Vec<(i64, [&str; 5])> = reports
        .iter()
        .flat_map(|(sensor, report)| {
            report.standings.iter().map(|field| {
                let standing = &field.standing;
                let remark = field.remark.as_ref().map_or("", Remark::name);
                let repeats = field.remark.as_ref().map_or("", Remark::repeated);
                (sensor.0, [field.name.as_str(), standing.name(), standing.pattern(), remark, repeats])
            })
        })
        .collect();
    let column = |index: usize| rows.iter().map(|(_, texts)| texts[index]).collect::<Vec<_>>();
    sql_query(
        "INSERT INTO sensor_fields (sensor, field, standing, pattern, remark, repeats)
         SELECT * FROM UNNEST($1::int8[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])",
    )
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(column(0))
    .bind::<Array<Text>, _>(column(1))
    .bind::<Array<Text>, _>(column(2))
    .bind::<Array<Text>, _>(column(3))
    .bind::<Array<Text>, _>(column(4))
    .execute(connection)
    .await?;
    sql_query(
        "UPDATE sensors s SET untracked = r.untracked FROM UNNEST($1::int8[], $2::int8[]) AS r (id, untracked)
         WHERE s.id = r.id AND s.untracked <> r.untracked",
    )
    .bind::<Array<BigInt>, _>(&ids)
    .bind::<Array<BigInt>, _>(reports.values().map(|report| report.untracked.cast_signed()).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns what is stored about the fields of a sensor, by name.
pub async fn fields_of_sensor(
    connection: &mut AsyncPgConnection,
    sensor: SensorId,
) -> QueryResult<Vec<SensorFieldRow>> {
    let mut rows: Vec<SensorFieldRow> = sensor_fields::table
        .filter(sensor_fields::sensor.eq(sensor.0))
        .select(SensorFieldRow::as_select())
        .load(connection)
        .await?;
    rows.sort();
    Ok(rows)
}

/// Counts of fields over all sensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct FieldCounts {
    /// Sensors whose fields are all stored only: their readings are unscored.
    #[diesel(sql_type = BigInt)]
    pub unscored_sensors: i64,
    /// Scored fields.
    #[diesel(sql_type = BigInt)]
    pub scored: i64,
    /// Fields that `exclude` leaves out.
    #[diesel(sql_type = BigInt)]
    pub excluded: i64,
    /// Fields that are left out for another reason.
    #[diesel(sql_type = BigInt)]
    pub left_out: i64,
}

/// Counts the fields of all sensors.
pub async fn count_fields(connection: &mut AsyncPgConnection) -> QueryResult<FieldCounts> {
    sql_query(
        "SELECT count(*) FILTER (WHERE f.scored = 0) AS unscored_sensors,
                coalesce(sum(f.scored), 0)::int8 AS scored, coalesce(sum(f.excluded), 0)::int8 AS excluded,
                coalesce(sum(f.fields - f.scored - f.excluded), 0)::int8 AS left_out
         FROM (SELECT count(*) AS fields, count(*) FILTER (WHERE standing = 'scored') AS scored,
                      count(*) FILTER (WHERE standing = 'excluded') AS excluded
               FROM sensor_fields GROUP BY sensor) f",
    )
    .get_result(connection)
    .await
}

/// Returns the names of at most `limit` sensors without a scored field, in the order of their bytes.
pub async fn sensors_without_scored_field(
    connection: &mut AsyncPgConnection,
    limit: i64,
) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Named {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let rows: Vec<Named> = sql_query(
        "SELECT s.name FROM (SELECT sensor FROM sensor_fields GROUP BY sensor
                             HAVING NOT bool_or(standing = 'scored')) f
         JOIN sensors s ON s.id = f.sensor ORDER BY s.name COLLATE \"C\" LIMIT $1",
    )
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
