//! Reads the labelled series: `index.csv` and `<set>/<series>.csv.gz`. README.md describes them.

use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use csv::{Reader, StringRecord};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::stream::Readings;

/// One series and its labels.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name of the set that it belongs to.
    pub set: String,
    /// Its name within the set.
    pub name: String,
    /// The first row that counts. The rows before it are history to learn from.
    pub start: usize,
    /// Names of its fields, sorted.
    pub names: Vec<String>,
    /// Timestamp of each row, in microseconds since 1970.
    pub micros: Vec<i64>,
    /// Whether each row is labelled as anomalous.
    pub labels: Vec<bool>,
    /// Values, row by row: one value per name. NaN where a row lacks the field.
    pub values: Vec<f64>,
}

impl Series {
    /// Returns the readings, without the labels.
    pub fn readings(&self) -> Readings<'_> {
        Readings { names: &self.names, micros: &self.micros, values: &self.values }
    }

    /// Returns the time span of the rows that count, in weeks.
    pub fn weeks(&self) -> f64 {
        let span = self.micros[self.micros.len() - 1] - self.micros[self.start];
        span as f64 / (7.0 * 86_400e6)
    }
}

/// The columns of `index.csv` that are read. The others describe the series for people.
#[derive(Deserialize)]
struct IndexRow {
    set: String,
    series: String,
    first_row_that_counts: usize,
}

/// Reads the series of the given sets, in the order of the index. No set stands for all sets.
///
/// # Errors
/// A file is absent or breaks the layout, or a given set is not in the index.
pub fn read(folder: &Path, sets: &[String]) -> anyhow::Result<Vec<Series>> {
    let path = folder.join("index.csv");
    let mut index = Reader::from_path(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows = index.deserialize().collect::<Result<Vec<IndexRow>, _>>();
    let rows = rows.with_context(|| path.display().to_string())?;
    if let Some(unknown) = sets.iter().find(|&set| rows.iter().all(|row| row.set != *set)) {
        bail!("{} has no set `{unknown}`", path.display());
    }
    let rows = rows.into_iter().filter(|row| sets.is_empty() || sets.contains(&row.set));
    let all = rows.map(|row| {
        let path = folder.join(&row.set).join(format!("{}.csv.gz", row.series));
        read_series(&path, row).with_context(|| path.display().to_string())
    });
    let all = all.collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(!all.is_empty(), "{} lists no series", path.display());
    Ok(all)
}

/// The columns before the fields.
const FIRST_COLUMNS: [&str; 2] = ["micros", "label"];

fn read_series(path: &Path, row: IndexRow) -> anyhow::Result<Series> {
    let mut reader = Reader::from_reader(MultiGzDecoder::new(File::open(path)?));
    let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    let fields = header.get(FIRST_COLUMNS.len()..).unwrap_or_default();
    if !header.iter().zip(FIRST_COLUMNS).all(|(have, want)| have == want)
        || fields.is_empty()
        || !fields.is_sorted_by(|a, b| a < b)
    {
        bail!("the columns must be micros, label, and at least one field; the fields must be sorted");
    }
    let mut series = Series {
        set: row.set,
        name: row.series,
        start: row.first_row_that_counts,
        names: fields.to_vec(),
        micros: Vec::new(),
        labels: Vec::new(),
        values: Vec::new(),
    };
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        read_row(&record, &mut series).with_context(|| format!("line {line}"))?;
    }
    ensure!(
        series.start < series.micros.len(),
        "the first row that counts is {}, but there are only {} rows",
        series.start,
        series.micros.len()
    );
    Ok(series)
}

fn read_row(record: &StringRecord, series: &mut Series) -> anyhow::Result<()> {
    series.micros.push(record[0].parse().with_context(|| format!("`{}` is not a time", &record[0]))?);
    series.labels.push(match &record[1] {
        "0" => false,
        "1" => true,
        other => bail!("the label is `{other}`, but must be 0 or 1"),
    });
    for cell in record.iter().skip(FIRST_COLUMNS.len()) {
        let value = if cell.is_empty() { Ok(f64::NAN) } else { cell.parse::<f64>() };
        let value = value.with_context(|| format!("`{cell}` is not a number"))?;
        ensure!(!value.is_infinite(), "a value is infinite");
        series.values.push(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
