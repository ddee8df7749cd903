//! What the intake must know before it admits a reading: sensors, field sets and days.

use diesel::{QueryDsl as _, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::{field_sets, sensors};
use thicket_schema::{FieldSet, SensorName};

use super::connection::{PostgresPool, StoreError, patiently};
use super::day_tables::days_with_table;
use super::renames::{Rename, first_name, renames};
use super::sensors::sensors_with_field_sets;

/// The sensors, field sets and days that are stored.
#[derive(Debug, Default)]
pub struct StoredRegistry {
    /// The first name of each sensor, with the ids of its field sets.
    pub sensors: Vec<(String, Vec<i64>)>,
    /// Every field set.
    pub field_sets: Vec<FieldSet>,
    /// The days with a table, as [`day_of`](super::day_of) counts them.
    pub days: Vec<i32>,
    /// The sensors that were renamed.
    pub renames: Vec<Rename>,
}

/// Reads the sensors, field sets and days that are stored.
pub async fn read_registry(pool: &PostgresPool) -> Result<StoredRegistry, StoreError> {
    patiently(async {
        let mut connection = pool.get().await?;
        let sensors = sensors_with_field_sets(&mut connection).await?;
        let days = days_with_table(&mut connection).await?;
        let names: Vec<Vec<String>> =
            field_sets::table.select(field_sets::names).load(&mut *connection).await?;
        let field_sets = names
            .into_iter()
            .map(|names| FieldSet::new(names).map_err(|error| StoreError::FieldSet(error.to_string())))
            .collect::<Result<_, _>>()?;
        let renames = renames(&mut connection).await?;
        Ok(StoredRegistry { sensors, field_sets, days, renames })
    })
    .await
}

/// Returns the sensors and field sets whose id is not the hash of their names, in words.
pub async fn misnamed(connection: &mut AsyncPgConnection) -> QueryResult<Vec<String>> {
    let named: Vec<(i64, String)> =
        sensors::table.select((sensors::id, first_name())).load(&mut *connection).await?;
    let wrong_name = |(id, name): &(i64, String)| SensorName::new(name).map(|name| name.id().0) != Ok(*id);
    let wrong_sensors = named.into_iter().filter(wrong_name);
    let mut found: Vec<String> =
        wrong_sensors.map(|(id, name)| format!("sensor {name}: the id is {id}")).collect();
    let sets: Vec<(i64, Vec<String>)> =
        field_sets::table.select((field_sets::id, field_sets::names)).load(connection).await?;
    for (id, names) in sets {
        let shown = names.join(", ");
        if FieldSet::new(names).map(|fields| fields.id()) != Ok(id) {
            found.push(format!("fields {shown}: the id is {id}"));
        }
    }
    found.sort();
    Ok(found)
}
