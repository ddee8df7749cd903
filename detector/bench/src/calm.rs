//! Checks the calibration of the grade on series in which nothing unusual happens: how rare are
//! their rarest readings, according to the grade?
//!
//! A grade g stands for a rarity of g / (1 − g). One reading in ten should reach a rarity of 1, one
//! in a hundred 2, one in a thousand 3, and the alarms in a week should equal `alarms_per_week`.
//! The general map from surprise to rarity was fitted on the kinds of the first table, and nothing was
//! fitted on those of the second one. A third table shows how often an outlier in one field is detected
//! while the other fields are as usual.

mod kinds;
mod others;

use std::io::Write;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use thicket_detector::{Detection, DetectorConfig};

use crate::numbers::rounded;
use crate::parallel::parallel;
use crate::series::{Noise, Sensor, alarms};
pub(crate) use kinds::{Kind, Past};

use kinds::KINDS;
use others::OTHERS;

/// Ten weeks at one reading per minute, for each seed.
const READINGS: usize = 100_800;
const WEEKS: f64 = 10.0;

/// Rarities are printed for one reading in so many.
const ONE_IN: [usize; 3] = [10, 100, 1_000];

/// Returns all kinds of calm series.
pub(crate) fn all_kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().chain(&OTHERS)
}

/// Measures one configuration, prints three tables, and returns the figures as JSON.
///
/// # Errors
/// No reading is graded, or the output cannot be written.
pub fn report(
    name: &str,
    config: &DetectorConfig,
    seeds: u64,
    out: &mut impl Write,
) -> anyhow::Result<Value> {
    let kinds = kinds_table(&format!("{name}: calm series"), &KINDS, config, seeds, out)?;
    let others = kinds_table(&format!("{name}: other calm series"), &OTHERS, config, seeds, out)?;
    let outliers = outliers(name, config, out).context("the table of outliers")?;
    Ok(json!({ "kinds": kinds, "other_kinds": others, "outliers_found": outliers }))
}

/// Measures these kinds of series, prints a table, and returns the figures as JSON.
fn kinds_table(
    title: &str,
    kinds: &[Kind],
    config: &DetectorConfig,
    seeds: u64,
    out: &mut impl Write,
) -> anyhow::Result<Value> {
    writeln!(out, "| {title} | one in 10 | one in 100 | one in 1,000 | alarms a week |")?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    let jobs: Vec<(&Kind, u64)> =
        kinds.iter().flat_map(|kind| (0..seeds).map(move |seed| (kind, seed))).collect();
    let runs = parallel(&jobs, |&(kind, seed)| run(kind, config, seed));
    let mut figures = Map::new();
    for (kind, runs) in kinds.iter().zip(runs.chunks(seeds as usize)) {
        let mut rarities: Vec<f64> = runs.iter().flat_map(|run| &run.rarities).copied().collect();
        rarities.sort_by(|a, b| b.total_cmp(a));
        let rarity = |one_in: usize| rarities.get(rarities.len() / one_in).copied();
        let [Some(often), Some(seldom), Some(rare)] = ONE_IN.map(rarity) else {
            anyhow::bail!("no reading was graded")
        };
        let alarms: usize = runs.iter().map(|run| run.alarms).sum();
        let a_week = alarms as f64 / (WEEKS * seeds as f64);
        writeln!(out, "| {} | {often:.2} | {seldom:.2} | {rare:.2} | {a_week:.1} |", kind.name)?;
        let [often, seldom, rare, a_week] = [often, seldom, rare, a_week].map(|figure| rounded(figure, 2));
        let figure =
            json!({ "one_in_10": often, "one_in_100": seldom, "one_in_1000": rare, "alarms_a_week": a_week });
        figures.insert(kind.name.to_owned(), figure);
    }
    writeln!(out)?;
    Ok(Value::Object(figures))
}

/// The result of one series.
struct Run {
    /// The rarities of all graded readings.
    rarities: Vec<f64>,
    alarms: usize,
}

fn run(kind: &Kind, config: &DetectorConfig, seed: u64) -> Run {
    let mut past = Past::default();
    let mut sensor = Sensor::new(config, kind.fields);
    sensor.noise = Noise::new(7 + seed);
    let detections = sensor.run(READINGS, |at, noise| (kind.values)(&mut past, at, noise));
    let graded = detections.iter().filter_map(|detection| detection.grade);
    Run { rarities: graded.map(|grade| grade / (1.0 - grade)).collect(), alarms: alarms(&detections) }
}

/// Number of outliers of each size. After each outlier, the detector returns to the state before
/// it.
const TRIALS: usize = 40;
/// Sizes of the outliers, in standard deviations.
const SIZES: [f64; 4] = [6.0, 8.0, 12.0, 20.0];
/// Numbers of fields, of which one has the outlier.
const FIELDS: [usize; 4] = [1, 3, 13, 50];

fn outliers(name: &str, config: &DetectorConfig, out: &mut impl Write) -> anyhow::Result<Value> {
    writeln!(out, "| {name}: fields | 6 σ | 8 σ | 12 σ | 20 σ |\n|---:|---:|---:|---:|---:|")?;
    let found = parallel(&FIELDS, |&fields| found(fields, config));
    let mut figures = Map::new();
    for (fields, found) in FIELDS.iter().zip(found) {
        let cells = found.map(|found| format!("{found} of {TRIALS}"));
        writeln!(out, "| {fields} | {} |", cells.join(" | "))?;
        let sizes = SIZES.iter().zip(found).map(|(size, found)| (size.to_string(), found.into()));
        figures.insert(fields.to_string(), Value::Object(sizes.collect()));
    }
    writeln!(out)?;
    Ok(Value::Object(figures))
}

/// Returns how many outliers of each size are detected in one of so many fields.
fn found(fields: usize, config: &DetectorConfig) -> [usize; SIZES.len()] {
    let names: Vec<String> = (0..fields).map(|field| format!("f{field:02}")).collect();
    let mut sensor = Sensor::new(config, &names.join(" "));
    let usual = |noise: &mut Noise| (0..fields).map(|_| noise.normal()).collect::<Vec<_>>();
    sensor.run(12_000, |_, noise| usual(noise));
    SIZES.map(|size| {
        let is_found = |_: &usize| {
            sensor.run(1, |_, noise| usual(noise));
            let before = (sensor.detector.clone(), sensor.now);
            let mut values = usual(&mut sensor.noise);
            values[0] = size;
            let detection: Detection = sensor.read(&values);
            (sensor.detector, sensor.now) = before;
            detection.anomaly
        };
        (0..TRIALS).filter(is_found).count()
    })
}
