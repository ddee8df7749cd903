//! The readings of a sensor, page by page, from the table or from a file.

use thicket_schema::{SensorId, Timestamp};
use thicket_store::postgres::{PostgresConnection, StoredReading, page_by_time, time_before};

use super::csv::CsvReadings;
use super::plan::{Job, Origin, Range};

/// Maximum number of readings of a page.
const PAGE: usize = 5_000;

/// The readings that are not read yet.
pub(super) enum Source<'a> {
    /// Rows between two times.
    Table {
        postgres: &'a mut PostgresConnection,
        sensor: SensorId,
        after: Option<Timestamp>,
        before: Timestamp,
        /// Whether late rows are read.
        with_late: bool,
    },
    /// A file.
    File { readings: CsvReadings, range: Range },
}

impl<'a> Source<'a> {
    /// Opens the readings of a job: those of the range, and those before it that warm the detector
    /// up. A job from the table needs `postgres`.
    pub(super) async fn open(
        job: &Job,
        range: &Range,
        postgres: Option<&'a mut PostgresConnection>,
    ) -> anyhow::Result<Self> {
        match (&job.origin, postgres) {
            (Origin::Table(id), Some(postgres)) => {
                let after = match range.from {
                    Some(from) => time_before(postgres, SensorId(*id), from, range.warm_up_readings).await?,
                    None => None,
                };
                let before = Timestamp(range.to.0 + 1);
                let (sensor, with_late) = (SensorId(*id), range.with_late);
                Ok(Self::Table { postgres, sensor, after, before, with_late })
            }
            (Origin::File(path), _) => Ok(Self::File { readings: CsvReadings::open(path)?, range: *range }),
            (Origin::Table(_), None) => anyhow::bail!("reading rows needs a connection"),
        }
    }

    /// Returns the next readings, oldest first; `None` at the end.
    pub(super) async fn page(&mut self) -> anyhow::Result<Option<Vec<StoredReading>>> {
        let page = match self {
            Self::Table { postgres, sensor, after, before, with_late } => {
                let page = page_by_time(postgres, *sensor, *after, *before, *with_late, PAGE).await?;
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
