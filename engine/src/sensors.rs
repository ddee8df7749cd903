//! Finds a sensor by the name that an operator gives, and suggests names like it.

use thicket_schema::postgres::SensorRow;
use thicket_schema::{SensorName, SensorNameError};
use thicket_store::postgres::{PostgresConnection, QueryError, find_sensor, sensor_names_like};

use crate::stores::TABLES_MISSING;

/// Names that are compared. Two names of 200 characters take 0.1 ms.
const SEARCHED: i64 = 2_000;
/// Similar names that an error shows.
const SHOWN: usize = 3;
/// How similar a name must be to be shown, 0 to 1.
const MIN_SIMILARITY: f64 = 0.5;

/// Why a sensor is not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SensorError {
    /// No sensor can have this name.
    #[error(transparent)]
    BadName(#[from] SensorNameError),
    /// No sensor of this name has rows.
    #[error("there is no sensor {name}{}", suggestion(.similar))]
    Unknown {
        /// The name.
        name: String,
        /// Names of sensors that have rows, the most similar first.
        similar: Vec<String>,
    },
    /// The query failed.
    #[error("{TABLES_MISSING}")]
    Database(#[from] QueryError),
}

/// Finds a sensor by its name. Suggests no similar names.
pub(crate) async fn find_exactly(
    postgres: &mut PostgresConnection,
    name: &str,
) -> Result<SensorRow, SensorError> {
    let found = find_sensor(postgres, &SensorName::new(name)?).await?;
    found.ok_or_else(|| SensorError::Unknown { name: name.to_owned(), similar: Vec::new() })
}

/// Finds a sensor by its name.
pub(crate) async fn find(postgres: &mut PostgresConnection, name: &str) -> Result<SensorRow, SensorError> {
    match find_exactly(postgres, name).await {
        Err(SensorError::Unknown { .. }) => {}
        found => return found,
    }
    let similar = similar_to(name, sensor_names_like(postgres, name, SEARCHED).await?);
    Err(SensorError::Unknown { name: name.to_owned(), similar })
}

/// Returns the names that are similar to a name, the most similar first.
fn similar_to(name: &str, known: Vec<String>) -> Vec<String> {
    let rated = known.into_iter().map(|other| (strsim::normalized_damerau_levenshtein(name, &other), other));
    let mut similar: Vec<(f64, String)> =
        rated.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY).collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    similar.into_iter().take(SHOWN).map(|(_, other)| other).collect()
}

fn suggestion(similar: &[String]) -> String {
    match similar {
        [] => "; `thicket sensors list` lists them".to_owned(),
        similar => format!("; did you mean {}?", similar.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right_are_suggested_the_nearest_first() {
        let known = ["site-1/mic-7", "site-1/mic-17", "site-2/mic-7", "door"].map(str::to_owned).to_vec();
        assert_eq!(similar_to("site1/mic-7", known.clone())[0], "site-1/mic-7");
        assert!(similar_to("completely-else", known).is_empty());
        assert!(suggestion(&[]).contains("`thicket sensors list`"));
    }
}
