//! Stretches of the log that Redis acknowledged and lost, as the engine found them.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::Serialize;
use thicket_schema::Timestamp;

use crate::time_arg;

/// A lost stretch, without its ends.
#[derive(Clone, Debug, QueryableByName, Serialize)]
pub(crate) struct Loss {
    #[diesel(sql_type = Integer)]
    pub(crate) partition: i32,
    /// The last position before it.
    #[diesel(sql_type = Text)]
    pub(crate) after: String,
    /// The first position after it.
    #[diesel(sql_type = Text)]
    pub(crate) before: String,
    #[diesel(sql_type = Timestamptz)]
    pub(crate) noticed: DateTime<Utc>,
}

impl Loss {
    /// For people.
    pub(crate) fn words(&self) -> String {
        let Self { partition, after, before, noticed } = self;
        format!(
            "partition {partition:02}: after {after}, before {before}; noticed {}",
            time_arg::show(*noticed)
        )
    }
}

/// What was noticed since then, or ever, by partition and place.
pub(crate) async fn since(
    postgres: &mut AsyncPgConnection,
    since: Option<Timestamp>,
) -> QueryResult<Vec<Loss>> {
    sql_query(
        "SELECT partition, after_generation || '-' || after_n AS after, before_generation || '-' || before_n AS before, noticed
         FROM log_losses WHERE $1 IS NULL OR noticed >= $1 ORDER BY partition, after_generation, after_n",
    )
    .bind::<Nullable<Timestamptz>, _>(since.map(Timestamp::to_datetime))
    .load(postgres)
    .await
}
