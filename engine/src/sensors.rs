//! Sensors by name and by pattern.

use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::{SensorName, SensorNameError};

/// Names that are looked through for similar ones.
const LOOKED_THROUGH: i64 = 100_000;
/// Similar names that are shown.
const SHOWN: usize = 3;
/// How alike names must be, 0 to 1.
const ALIKE: f64 = 0.5;

/// A sensor that has rows.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub(crate) struct Sensor {
    #[diesel(sql_type = BigInt)]
    pub(crate) id: i64,
    #[diesel(sql_type = Text)]
    pub(crate) name: String,
    #[diesel(sql_type = Integer)]
    pub(crate) partition: i32,
}

/// Why there is no such sensor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SensorError {
    /// It cannot be a name.
    #[error(transparent)]
    BadName(#[from] SensorNameError),
    /// Nobody has heard of it.
    #[error("there is no sensor {name}{}", suggestion(.similar))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that there are, the most similar first.
        similar: Vec<String>,
    },
    /// The question failed.
    #[error("postgresql: {0}")]
    Database(#[from] diesel::result::Error),
}

/// Finds a sensor by its name.
pub(crate) async fn find(postgres: &mut AsyncPgConnection, name: &str) -> Result<Sensor, SensorError> {
    let id = SensorName::new(name)?.id();
    let found: Vec<Sensor> = sql_query("SELECT id, name, partition FROM sensors WHERE id = $1")
        .bind::<BigInt, _>(id.0)
        .load(postgres)
        .await?;
    if let Some(sensor) = found.into_iter().find(|sensor| sensor.name == name) {
        return Ok(sensor);
    }
    let known: Vec<Sensor> = sql_query("SELECT id, name, partition FROM sensors ORDER BY name LIMIT $1")
        .bind::<BigInt, _>(LOOKED_THROUGH)
        .load(postgres)
        .await?;
    let similar = similar(name, known.into_iter().map(|sensor| sensor.name).collect());
    Err(SensorError::Unknown { name: name.to_owned(), similar })
}

/// The sensors whose names match a pattern, by name.
pub(crate) async fn matching(
    postgres: &mut AsyncPgConnection,
    pattern: &str,
) -> Result<Vec<Sensor>, diesel::result::Error> {
    sql_query(r#"SELECT id, name, partition FROM sensors WHERE name LIKE $1 ORDER BY name COLLATE "C""#)
        .bind::<Text, _>(like(pattern))
        .load(postgres)
        .await
}

/// A pattern of sensors (`*` any text, `?` any character) as SQL's LIKE has it.
pub(crate) fn like(pattern: &str) -> String {
    let mut like = String::with_capacity(pattern.len() + 4);
    for character in pattern.chars() {
        match character {
            '*' => like.push('%'),
            '?' => like.push('_'),
            '%' | '_' | '\\' => like.extend(['\\', character]),
            _ => like.push(character),
        }
    }
    like
}

fn similar(name: &str, known: Vec<String>) -> Vec<String> {
    let rated = known.into_iter().map(|other| (strsim::normalized_damerau_levenshtein(name, &other), other));
    let mut alike: Vec<(f64, String)> = rated.filter(|(likeness, _)| *likeness >= ALIKE).collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    alike.into_iter().take(SHOWN).map(|(_, other)| other).collect()
}

fn suggestion(similar: &[String]) -> String {
    match similar {
        [] => "; `SELECT sensor FROM sensor_status` lists them".to_owned(),
        similar => format!("; did you mean {}?", similar.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_those_of_sql_and_nothing_else_is_special() {
        assert_eq!(like("site-1/*"), "site-1/%");
        assert_eq!(like("mic_?%"), r"mic\__\%");
        assert_eq!(like(r"a\b"), r"a\\b");
    }

    #[test]
    fn names_that_are_nearly_right_are_suggested_the_nearest_first() {
        let known = ["site-1/mic-7", "site-1/mic-17", "site-2/mic-7", "door"].map(str::to_owned).to_vec();
        assert_eq!(similar("site1/mic-7", known.clone())[0], "site-1/mic-7");
        assert!(similar("completely-else", known).is_empty());
    }
}
