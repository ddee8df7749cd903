//! Streams the series through detectors as the engine does.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use thicket_detector::DetectorConfig;
use thicket_detector_bench::parallel::parallel;
use thicket_detector_bench::stream::{Readings, Scored, stream};

use crate::dataset::Series;

/// Scores all series on all processors. The seed is part of each sensor's name, so each seed gives
/// other random cuts.
pub(crate) fn run_all(all: &[Series], config: &DetectorConfig, seed: u64) -> anyhow::Result<Vec<Scored>> {
    let names = ["value".to_owned()];
    let run = |series: &Series| {
        let readings = Readings { names: &names, micros: &series.micros, values: &series.values };
        stream(&format!("{}/{seed}", series.name), config, readings)
    };
    parallel(all, run).into_iter().collect()
}

/// Writes the scores of a series in the benchmark's layout.
pub(crate) fn write(folder: &Path, series: &Series, scored: &Scored) -> anyhow::Result<()> {
    let path = folder.join(&series.name);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let mut file = std::io::BufWriter::new(fs::File::create(&path)?);
    writeln!(file, "timestamp,anomaly_score")?;
    for (stamp, onset) in series.stamps.iter().zip(&scored.onsets) {
        writeln!(file, "{stamp},{onset}")?;
    }
    Ok(file.flush()?)
}
