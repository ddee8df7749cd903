//! The files of the benchmark: `<corpus>/<file>.csv` with the columns timestamp and value, and `combined_windows.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDateTime;

/// Labelled windows of anomalies, by file: the first and the last timestamp of each.
type Windows = BTreeMap<String, Vec<[String; 2]>>;

/// One series and its labels.
#[derive(Debug)]
pub(crate) struct Series {
    /// `<corpus>/<file>.csv`.
    pub(crate) name: String,
    /// As they stand in the file.
    pub(crate) stamps: Vec<String>,
    /// The same in microseconds since 1970, taken as UTC.
    pub(crate) micros: Vec<i64>,
    pub(crate) values: Vec<f64>,
    /// First and last row of each labelled window, in order.
    pub(crate) windows: Vec<(usize, usize)>,
}

impl Series {
    /// Rows at the beginning that do not count.
    pub(crate) fn probation(&self) -> usize {
        (self.values.len() * 15 / 100).min(750)
    }

    /// Weeks that the rows that count span.
    pub(crate) fn weeks(&self) -> f64 {
        let span = self.micros[self.micros.len() - 1] - self.micros[self.probation()];
        span as f64 / (7.0 * 86_400e6)
    }
}

/// Reads every series of a folder, in the order of their names.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Vec<Series>> {
    let path = folder.join("combined_windows.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut windows: Windows =
        serde_json::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))?;
    let mut all = Vec::new();
    for corpus in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&corpus)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "csv"))
        {
            let relative = file.strip_prefix(folder).unwrap_or(&file);
            let name = relative.to_string_lossy().replace('\\', "/");
            let labels = windows.remove(&name).unwrap_or_default();
            all.push(series(&file, name, &labels).with_context(|| file.display().to_string())?);
        }
    }
    if all.is_empty() {
        bail!("no <corpus>/<file>.csv in {}", folder.display());
    }
    Ok(all)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn series(file: &Path, name: String, labels: &[[String; 2]]) -> anyhow::Result<Series> {
    let text = fs::read_to_string(file)?;
    let mut series =
        Series { name, stamps: Vec::new(), micros: Vec::new(), values: Vec::new(), windows: Vec::new() };
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.is_empty()) {
        let mut cells = line.split(',');
        let (Some(stamp), Some(value)) = (cells.next(), cells.next()) else {
            bail!("line {} has no two columns", number + 1)
        };
        series.stamps.push(stamp.to_owned());
        series.micros.push(micros(stamp).with_context(|| format!("line {}", number + 1))?);
        series.values.push(value.parse().with_context(|| format!("line {}", number + 1))?);
    }
    if series.values.len() < 10 {
        bail!("fewer than ten rows");
    }
    for [first, last] in labels {
        let row = |stamp: &String| {
            let time = micros(stamp)?;
            let found = series.micros.iter().position(|&at| at == time);
            found.with_context(|| format!("the window's edge {stamp} is none of its rows"))
        };
        let window = (row(first)?, row(last)?);
        series.windows.push(window);
    }
    series.windows.sort_unstable();
    Ok(series)
}

fn micros(stamp: &str) -> anyhow::Result<i64> {
    let time = NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(stamp, "%Y-%m-%dT%H:%M:%S%.f"))
        .with_context(|| format!("`{stamp}` is no time"))?;
    Ok(time.and_utc().timestamp_micros())
}
