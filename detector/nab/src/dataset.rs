//! Reads the files of the benchmark: `<corpus>/<file>.csv` with the columns timestamp and value,
//! and `combined_windows.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDateTime;
use csv::ReaderBuilder;

/// Labelled windows of anomalies, by file. A window is its first and its last timestamp.
type Windows = BTreeMap<String, Vec<[String; 2]>>;

/// One series and its labels.
#[derive(Debug)]
pub(crate) struct Series {
    /// `<corpus>/<file>.csv`.
    pub(crate) name: String,
    /// Timestamps as the file holds them.
    pub(crate) stamps: Vec<String>,
    /// The same timestamps in microseconds since 1970, read as UTC.
    pub(crate) micros: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// First and last row of each labelled window, in order.
    pub(crate) windows: Vec<(usize, usize)>,
}

impl Series {
    /// Returns the number of rows at the beginning that do not count.
    pub(crate) fn probation(&self) -> usize {
        (self.values.len() * 15 / 100).min(750)
    }

    /// Returns the time span of the rows that count, in weeks.
    pub(crate) fn weeks(&self) -> f64 {
        let span = self.micros[self.micros.len() - 1] - self.micros[self.probation()];
        span as f64 / (7.0 * 86_400e6)
    }
}

/// Reads all series of a folder, sorted by name.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Vec<Series>> {
    let path = folder.join("combined_windows.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut windows: Windows = serde_json::from_str(&text)
        .with_context(|| format!("{} does not hold windows by file", path.display()))?;
    let mut all = Vec::new();
    for corpus in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&corpus)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "csv"))
        {
            let relative = file.strip_prefix(folder).unwrap_or(&file);
            let name = relative.to_string_lossy().replace('\\', "/");
            let labels = windows.remove(&name).unwrap_or_default();
            all.push(read_series(&file, name, &labels).with_context(|| file.display().to_string())?);
        }
    }
    if all.is_empty() {
        bail!("no <corpus>/<file>.csv in {}", folder.display());
    }
    Ok(all)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listing = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = listing.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn read_series(file: &Path, name: String, labels: &[[String; 2]]) -> anyhow::Result<Series> {
    let mut series =
        Series { name, stamps: Vec::new(), micros: Vec::new(), values: Vec::new(), windows: Vec::new() };
    // Columns after the second are ignored, so rows may differ in length.
    for record in ReaderBuilder::new().flexible(true).from_path(file)?.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let (Some(stamp), Some(value)) = (record.get(0), record.get(1)) else {
            bail!("line {line} has fewer than two columns")
        };
        series.stamps.push(stamp.to_owned());
        series.micros.push(parse_micros(stamp).with_context(|| format!("line {line}"))?);
        series.values.push(value.parse().with_context(|| format!("line {line}"))?);
    }
    if series.values.len() < 10 {
        bail!("the file has fewer than ten rows");
    }
    for [first, last] in labels {
        let row = |stamp: &String| {
            let time = parse_micros(stamp)?;
            let found = series.micros.iter().position(|&at| at == time);
            found.with_context(|| format!("a window begins or ends at {stamp}, which no row has"))
        };
        let window = (row(first)?, row(last)?);
        series.windows.push(window);
    }
    series.windows.sort_unstable();
    Ok(series)
}

/// Returns a timestamp in microseconds since 1970, read as UTC.
fn parse_micros(stamp: &str) -> anyhow::Result<i64> {
    let time = NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(stamp, "%Y-%m-%dT%H:%M:%S%.f"))
        .with_context(|| format!("`{stamp}` is not a timestamp"))?;
    Ok(time.and_utc().timestamp_micros())
}
