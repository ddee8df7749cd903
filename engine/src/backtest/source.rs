//! A sensor's readings, a page at a time, from the table or from a file.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_actors::checkpoint::page_of_rows;
use thicket_actors::messages::StoredReading;
use thicket_schema::{SensorId, Timestamp};

use super::csv::CsvReadings;
use super::plan::{Job, Origin, Range};

/// Readings of a page.
const PAGE: usize = 5_000;

/// Where the next page comes from.
pub(super) enum Source<'a> {
    /// Rows after a time.
    Table {
        postgres: &'a mut AsyncPgConnection,
        sensor: SensorId,
        after: Option<Timestamp>,
        before: Timestamp,
    },
    /// A file.
    File { readings: CsvReadings, range: Range },
}

impl<'a> Source<'a> {
    /// Goes to where a job begins: so many readings before the range. `postgres` must be there where rows are asked for.
    pub(super) async fn open(
        job: &Job,
        range: &Range,
        postgres: Option<&'a mut AsyncPgConnection>,
    ) -> anyhow::Result<Self> {
        match (&job.origin, postgres) {
            (Origin::Table(id), Some(postgres)) => {
                let after = match range.from {
                    Some(from) => before_warm_up(postgres, *id, from, range.warm_up_readings).await?,
                    None => None,
                };
                let before = Timestamp(range.to.0 + 1);
                Ok(Self::Table { postgres, sensor: SensorId(*id), after, before })
            }
            (Origin::File(path), _) => Ok(Self::File { readings: CsvReadings::open(path)?, range: *range }),
            (Origin::Table(_), None) => anyhow::bail!("rows need a connection"),
        }
    }

    /// The next readings, oldest first; none at the end.
    pub(super) async fn page(&mut self) -> anyhow::Result<Option<Vec<StoredReading>>> {
        let page = match self {
            Self::Table { postgres, sensor, after, before } => {
                let page = page_of_rows(postgres, *sensor, *after, *before, PAGE).await?;
                *after = page.last().map(|reading| reading.ts).or(*after);
                page
            }
            Self::File { readings, range } => {
                let mut page = readings.page(PAGE)?;
                if page.is_empty() {
                    return Ok(None);
                }
                page.retain(|reading| reading.ts <= range.to);
                return Ok(Some(page));
            }
        };
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

/// The time of the reading before those that warm a detector up; nothing if there are fewer.
async fn before_warm_up(
    postgres: &mut AsyncPgConnection,
    sensor: i64,
    from: Timestamp,
    warm_up_readings: u64,
) -> anyhow::Result<Option<Timestamp>> {
    let row: Option<At> = sql_query(
        "SELECT ts FROM readings WHERE sensor = $1 AND ts < $2 AND (flags & 4) = 0 ORDER BY ts DESC OFFSET $3 LIMIT 1",
    )
    .bind::<BigInt, _>(sensor)
    .bind::<Timestamptz, _>(from.to_datetime())
    .bind::<BigInt, _>(i64::try_from(warm_up_readings).unwrap_or(i64::MAX))
    .get_result(postgres)
    .await
    .optional()?;
    Ok(row.map(|row| Timestamp::from(row.ts)))
}

#[derive(QueryableByName)]
struct At {
    #[diesel(sql_type = Timestamptz)]
    ts: DateTime<Utc>,
}
