//! One sensor's published readings against its rows.

use futures_util::TryStreamExt as _;
use thicket_schema::{PayloadDecoder, Timestamp};

use super::{
    Losses, VerifyError,
    published::{Published, PublishedReading, PublishedSensor},
};
use crate::{
    database::{Database, ReadingRow},
    time,
};

/// Compares all readings, and returns the number of rows.
pub(super) async fn compare(
    published: &Published,
    database: &mut Database,
    losses: &mut Losses,
) -> Result<u64, VerifyError> {
    let known = database.sensors().await?;
    let mut stored = 0;
    for group in published.groups() {
        for (name, publications) in published.load(&group)? {
            let sensor = &published.sensors[&name];
            let mut merge = Merge::new(&publications);
            if let Some(&id) = known.get(&name) {
                stored += merge_rows(&mut merge, sensor, id, database).await?;
            }
            let unmatched = merge.finish();
            if !unmatched.is_empty() {
                account(&name, sensor, unmatched, database, losses).await?;
            }
        }
    }
    Ok(stored)
}

async fn merge_rows(
    merge: &mut Merge<'_>,
    sensor: &PublishedSensor,
    id: i64,
    database: &mut Database,
) -> Result<u64, VerifyError> {
    let span = (Timestamp(sensor.first_ts).to_datetime(), Timestamp(sensor.last_ts).to_datetime());
    let mut rows = Box::pin(database.readings(id, Some(span)).await?);
    let mut count = 0;
    while let Some(row) = rows.try_next().await? {
        let fields = database.field_names(row.field_set)?;
        merge.row(&row, fields);
        count += 1;
    }
    Ok(count)
}

/// Goes through publications and rows in parallel, both by time.
struct Merge<'a> {
    publications: std::slice::Iter<'a, PublishedReading>,
    next: Option<&'a PublishedReading>,
    unmatched: Vec<(&'a PublishedReading, Fate)>,
}

/// What is there instead of an equal row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Missing,
    OtherValues,
}

impl<'a> Merge<'a> {
    fn new(publications: &'a [PublishedReading]) -> Self {
        let mut publications = publications.iter();
        Self { next: publications.next(), publications, unmatched: Vec::new() }
    }

    fn row(&mut self, row: &ReadingRow, fields: &[String]) {
        let ts = row.ts.timestamp_micros();
        while let Some(publication) = self.next.filter(|publication| publication.ts <= ts) {
            let fate = if publication.ts < ts {
                Some(Fate::Missing)
            } else {
                (!equal(publication, fields, &row.values)).then_some(Fate::OtherValues)
            };
            self.unmatched.extend(fate.map(|fate| (publication, fate)));
            self.next = self.publications.next();
        }
    }

    /// The publications without an equal row.
    fn finish(mut self) -> Vec<(&'a PublishedReading, Fate)> {
        let rest = self.next.into_iter().chain(self.publications);
        self.unmatched.extend(rest.map(|publication| (publication, Fate::Missing)));
        self.unmatched
    }
}

/// Equal to the last bit.
fn equal(publication: &PublishedReading, fields: &[String], values: &[f64]) -> bool {
    publication.fields[..] == *fields
        && publication.values.len() == values.len()
        && publication.values.iter().zip(values).all(|(sent, stored)| sent.to_bits() == stored.to_bits())
}

/// A publication without a row may be in a dead letter of its topic; otherwise it is lost.
async fn account(
    name: &str,
    sensor: &PublishedSensor,
    unmatched: Vec<(&PublishedReading, Fate)>,
    database: &mut Database,
    losses: &mut Losses,
) -> Result<(), VerifyError> {
    let decoder = PayloadDecoder::default();
    let mut letters: Vec<PublishedReading> = Vec::new();
    for payload in database.whole_payloads(&sensor.topic).await? {
        let Ok(measurements) = decoder.decode(&payload) else { continue };
        letters.extend(measurements.into_iter().flatten().filter_map(|measurement| {
            Some(PublishedReading {
                ts: measurement.ts?.as_micros(),
                fields: measurement.fields.names().to_vec().into(),
                values: measurement.values.into_boxed_slice(),
            })
        }));
    }
    letters.sort_by_key(|letter| letter.ts);
    for (publication, fate) in unmatched {
        let at = letters.partition_point(|letter| letter.ts < publication.ts);
        let mut same_time = letters[at..].iter().take_while(|letter| letter.ts == publication.ts);
        if same_time.any(|letter| equal(publication, &letter.fields, &letter.values)) {
            continue;
        }
        losses.add(1, || {
            let what = match fate {
                Fate::Missing => "has no row and no dead letter",
                Fate::OtherValues => "has a row with other values and no dead letter",
            };
            format!("{name} at {} {what}", time::format(publication.ts))
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn publications(readings: &[(i64, f64)]) -> Vec<PublishedReading> {
        let fields: Arc<[String]> = vec!["laeq_db".to_owned()].into();
        let publication = |&(ts, value): &(i64, f64)| PublishedReading {
            ts,
            fields: Arc::clone(&fields),
            values: vec![value].into_boxed_slice(),
        };
        readings.iter().map(publication).collect()
    }

    fn unmatched(sent: &[(i64, f64)], rows: &[(i64, f64)], field: &str) -> Vec<(i64, Fate)> {
        let sent = publications(sent);
        let mut merge = Merge::new(&sent);
        for &(ts, value) in rows {
            let row = ReadingRow {
                ts: Timestamp(ts).to_datetime(),
                seq: None,
                field_set: 0,
                values: vec![value],
                score: None,
                grade: None,
                flags: 0,
            };
            merge.row(&row, &[field.to_owned()]);
        }
        merge.finish().into_iter().map(|(publication, fate)| (publication.ts, fate)).collect()
    }

    #[test]
    fn equal_rows_match_and_rows_of_others_do_not_matter() {
        let sent = [(10, 1.0), (20, 2.0), (20, 2.0), (30, 3.0)];
        assert_eq!(
            unmatched(&sent, &[(5, 9.0), (10, 1.0), (20, 2.0), (25, 9.0), (30, 3.0), (40, 9.0)], "laeq_db"),
            []
        );
    }

    #[test]
    fn missing_rows_are_noticed_wherever_they_are() {
        let sent = [(10, 1.0), (20, 2.0), (30, 3.0)];
        assert_eq!(unmatched(&sent, &[(20, 2.0)], "laeq_db"), [(10, Fate::Missing), (30, Fate::Missing)]);
        assert_eq!(unmatched(&sent, &[], "laeq_db").len(), 3);
    }

    #[test]
    fn other_values_do_not_match() {
        assert_eq!(unmatched(&[(10, 0.0)], &[(10, -0.0)], "laeq_db"), [(10, Fate::OtherValues)]);
        assert_eq!(unmatched(&[(10, 0.1 + 0.2)], &[(10, 0.3)], "laeq_db"), [(10, Fate::OtherValues)]);
        assert_eq!(unmatched(&[(10, 1.0)], &[(10, 1.0)], "zcr"), [(10, Fate::OtherValues)]);
        // Two publications of the same moment with different values: one can be stored, the other must be a dead letter.
        assert_eq!(unmatched(&[(10, 1.0), (10, 2.0)], &[(10, 1.0)], "laeq_db"), [(10, Fate::OtherValues)]);
    }
}
