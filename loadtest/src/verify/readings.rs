//! Compares a sensor's published readings with its rows.

use futures_util::TryStreamExt as _;
use thicket_codecs::PayloadDecoder;
use thicket_schema::Timestamp;
use thicket_schema::postgres::ReadingRow;
use thicket_store::postgres::SnapshotReader;

use super::{
    error::VerifyError,
    losses::Losses,
    published::{Publication, Published, PublishedSensor},
};
use crate::time;

/// Compares all readings. Returns the number of rows of the manifests' sensors.
pub(super) async fn compare(
    published: &Published,
    database: &mut SnapshotReader,
    losses: &mut Losses,
) -> Result<u64, VerifyError> {
    let known = database.sensor_ids().await?;
    let mut stored = 0;
    for group in published.groups() {
        for (name, publications) in published.load(&group)? {
            let sensor = &published.sensors[&name];
            let mut merge = Merge::new(&publications);
            if let Some(&id) = known.get(&name) {
                stored += merge_rows(&mut merge, (&name, sensor, id), database, losses).await?;
            }
            let unmatched = merge.finish();
            if !unmatched.is_empty() {
                check_dead_letters(&name, sensor, unmatched, database, losses).await?;
            }
        }
    }
    Ok(stored)
}

async fn merge_rows(
    merge: &mut Merge<'_>,
    (name, sensor, id): (&str, &PublishedSensor, i64),
    database: &mut SnapshotReader,
    losses: &mut Losses,
) -> Result<u64, VerifyError> {
    let span = (Timestamp(sensor.first_ts), Timestamp(sensor.last_ts));
    let mut rows = Box::pin(database.readings(id, Some(span)).await?);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let fields = database.field_names(row.field_set)?;
        if !merge.add_row(&row, fields) {
            losses.add_unexpected(|| format!("{name} at {}", time::format(row.ts.as_micros())));
        }
        count += 1;
    }
    Ok(count)
}

/// Merges publications and rows, both sorted by event time.
struct Merge<'a> {
    publications: std::slice::Iter<'a, Publication>,
    next: Option<&'a Publication>,
    unmatched: Vec<(&'a Publication, Mismatch)>,
}

/// Why a publication matches no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mismatch {
    /// No row has the event time.
    Missing,
    /// The row of the event time has other fields or values.
    OtherValues,
}

impl<'a> Merge<'a> {
    fn new(publications: &'a [Publication]) -> Self {
        let mut publications = publications.iter();
        Self { next: publications.next(), publications, unmatched: Vec::new() }
    }

    /// Takes the next row and compares it with the publications up to its event time. Returns
    /// whether one of them equals it.
    fn add_row(&mut self, row: &ReadingRow, fields: &[String]) -> bool {
        let ts = row.ts.as_micros();
        let mut is_published = false;
        while let Some(publication) = self.next.filter(|publication| publication.ts <= ts) {
            let mismatch = if publication.ts < ts {
                Some(Mismatch::Missing)
            } else if equal(publication, fields, &row.values) {
                is_published = true;
                None
            } else {
                Some(Mismatch::OtherValues)
            };
            self.unmatched.extend(mismatch.map(|mismatch| (publication, mismatch)));
            self.next = self.publications.next();
        }
        is_published
    }

    /// Returns the publications without an equal row.
    fn finish(mut self) -> Vec<(&'a Publication, Mismatch)> {
        let rest = self.next.into_iter().chain(self.publications);
        self.unmatched.extend(rest.map(|publication| (publication, Mismatch::Missing)));
        self.unmatched
    }
}

/// Returns whether fields and values are equal, the values bit by bit.
fn equal(publication: &Publication, fields: &[String], values: &[f64]) -> bool {
    publication.fields[..] == *fields
        && publication.values.len() == values.len()
        && publication.values.iter().zip(values).all(|(sent, stored)| sent.to_bits() == stored.to_bits())
}

/// Looks for the unmatched publications in the dead letters of the sensor's topic. The others are
/// lost.
async fn check_dead_letters(
    name: &str,
    sensor: &PublishedSensor,
    unmatched: Vec<(&Publication, Mismatch)>,
    database: &mut SnapshotReader,
    losses: &mut Losses,
) -> Result<(), VerifyError> {
    let decoder = PayloadDecoder::default();
    let mut dead_readings: Vec<Publication> = Vec::new();
    for payload in database.whole_payloads(&sensor.topic).await? {
        let Ok(measurements) = decoder.decode(&payload) else { continue };
        dead_readings.extend(measurements.into_iter().flatten().filter_map(|measurement| {
            Some(Publication {
                ts: measurement.ts?.as_micros(),
                fields: measurement.fields.names().to_vec().into(),
                values: measurement.values.into_boxed_slice(),
            })
        }));
    }
    dead_readings.sort_by_key(|reading| reading.ts);
    for (publication, mismatch) in unmatched {
        let at = dead_readings.partition_point(|reading| reading.ts < publication.ts);
        let mut same_time = dead_readings[at..].iter().take_while(|reading| reading.ts == publication.ts);
        if same_time.any(|reading| equal(publication, &reading.fields, &reading.values)) {
            losses.only_dead_letters += 1;
            continue;
        }
        losses.add(1, || {
            let problem = match mismatch {
                Mismatch::Missing => "has no row and no dead letter",
                Mismatch::OtherValues => "has a row with other values and no dead letter",
            };
            format!("{name} at {} {problem}", time::format(publication.ts))
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn publications(readings: &[(i64, f64)]) -> Vec<Publication> {
        let fields: Arc<[String]> = vec!["laeq_db".to_owned()].into();
        let publication = |&(ts, value): &(i64, f64)| Publication {
            ts,
            fields: Arc::clone(&fields),
            values: vec![value].into_boxed_slice(),
        };
        readings.iter().map(publication).collect()
    }

    fn unmatched(sent: &[(i64, f64)], rows: &[(i64, f64)], field: &str) -> Vec<(i64, Mismatch)> {
        merged(sent, rows, field).0
    }

    /// Returns the publications without an equal row, and the times of the rows without an equal
    /// publication.
    fn merged(sent: &[(i64, f64)], rows: &[(i64, f64)], field: &str) -> (Vec<(i64, Mismatch)>, Vec<i64>) {
        let sent = publications(sent);
        let mut merge = Merge::new(&sent);
        let mut unexpected = Vec::new();
        for &(ts, value) in rows {
            let row = ReadingRow {
                sensor: 0,
                ts: Timestamp(ts),
                seq: None,
                field_set: 0,
                values: vec![value],
                score: None,
                grade: None,
                flags: 0,
                config: None,
                confidence: None,
                onset: None,
                era: 0,
            };
            if !merge.add_row(&row, &[field.to_owned()]) {
                unexpected.push(ts);
            }
        }
        let unmatched = merge.finish();
        (
            unmatched.into_iter().map(|(publication, mismatch)| (publication.ts, mismatch)).collect(),
            unexpected,
        )
    }

    #[test]
    fn equal_rows_match_and_rows_that_were_not_published_are_noticed() {
        let sent = [(10, 1.0), (20, 2.0), (20, 2.0), (30, 3.0)];
        let rows = [(5, 9.0), (10, 1.0), (20, 2.0), (25, 9.0), (30, 3.0), (40, 9.0)];
        assert_eq!(merged(&sent, &rows, "laeq_db"), (vec![], vec![5, 25, 40]));
        let other_values = (vec![(10, Mismatch::OtherValues)], vec![10]);
        assert_eq!(merged(&[(10, 1.0)], &[(10, 2.0)], "laeq_db"), other_values);
        let twice = (vec![(10, Mismatch::OtherValues)], vec![]);
        assert_eq!(merged(&[(10, 2.0), (10, 1.0)], &[(10, 1.0)], "laeq_db"), twice);
    }

    #[test]
    fn missing_rows_are_noticed_wherever_they_are() {
        let sent = [(10, 1.0), (20, 2.0), (30, 3.0)];
        assert_eq!(
            unmatched(&sent, &[(20, 2.0)], "laeq_db"),
            [(10, Mismatch::Missing), (30, Mismatch::Missing)]
        );
        assert_eq!(unmatched(&sent, &[], "laeq_db").len(), 3);
    }

    #[test]
    fn other_values_do_not_match() {
        assert_eq!(unmatched(&[(10, 0.0)], &[(10, -0.0)], "laeq_db"), [(10, Mismatch::OtherValues)]);
        assert_eq!(unmatched(&[(10, 0.1 + 0.2)], &[(10, 0.3)], "laeq_db"), [(10, Mismatch::OtherValues)]);
        assert_eq!(unmatched(&[(10, 1.0)], &[(10, 1.0)], "zcr"), [(10, Mismatch::OtherValues)]);
        // Two publications with the same event time and different values: only one of them can be
        // stored, the other must be a dead letter.
        assert_eq!(
            unmatched(&[(10, 1.0), (10, 2.0)], &[(10, 1.0)], "laeq_db"),
            [(10, Mismatch::OtherValues)]
        );
    }
}
