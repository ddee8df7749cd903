//! Which faults are found: each fault of a sensor, added to each kind of calm series.
//!
//! A sensor runs without a fault for three weeks. Then its first field fails at several times, for a
//! while each, and after each fault the detector returns to the state before it. Sizes are in units of
//! the field's standard deviation in the last week. The detector was not tuned with these faults.

use std::io::Write;

use serde_json::{Map, Value, json};
use thicket_detector::DetectorConfig;

use crate::calm::{Kind, Past, all_kinds};
use crate::numbers::rounded;
use crate::parallel::parallel;
use crate::series::{Noise, Sensor};

/// Three weeks at one reading a minute, before the first fault.
const SETTLED: usize = 30_240;
/// The last week of them.
const WEEK: usize = 10_080;
/// Each kind of series has each fault so many times.
const TRIALS: usize = 8;
/// Readings between two faults: the times of day of the trials differ.
const BETWEEN: usize = 613;

/// A fault of the first field.
struct Fault {
    name: &'static str,
    /// Number of readings.
    lasts: usize,
    /// Returns the value that the failed sensor sends.
    value: fn(Failure, &mut Noise) -> f64,
}

/// What a fault changes.
#[derive(Clone, Copy)]
struct Failure {
    /// The value without the fault.
    value: f64,
    /// The last value before the fault.
    held: f64,
    /// The standard deviation in the last week.
    deviation: f64,
    /// The part of the fault that has passed, 0 to 1.
    passed: f64,
}

const FAULTS: [Fault; 6] = [
    Fault { name: "spike, 8 σ", lasts: 1, value: |failure, _| failure.value + 8.0 * failure.deviation },
    Fault { name: "burst, 5 σ", lasts: 20, value: |failure, _| failure.value + 5.0 * failure.deviation },
    Fault { name: "shift, 3 σ", lasts: 120, value: |failure, _| failure.value - 3.0 * failure.deviation },
    Fault {
        name: "drift to 6 σ",
        lasts: 240,
        value: |failure, _| failure.value + 6.0 * failure.passed * failure.deviation,
    },
    Fault {
        name: "noise, 3 σ",
        lasts: 60,
        value: |failure, noise| failure.value + 3.0 * failure.deviation * noise.normal(),
    },
    Fault { name: "stuck", lasts: 240, value: |failure, _| failure.held },
];

/// Measures one configuration, prints a table with the faults found of each kind of series, and returns
/// the figures as JSON.
///
/// # Errors
/// The output cannot be written.
pub fn report(
    name: &str,
    config: &DetectorConfig,
    seeds: u64,
    out: &mut impl Write,
) -> anyhow::Result<Value> {
    let names: Vec<&str> = FAULTS.iter().map(|fault| fault.name).collect();
    let trials = TRIALS * seeds as usize;
    writeln!(out, "| {name}: found of {trials} | {} |", names.join(" | "))?;
    writeln!(out, "|---|{}", "---:|".repeat(FAULTS.len()))?;
    let kinds: Vec<&Kind> = all_kinds().collect();
    let jobs: Vec<(&Kind, u64)> =
        kinds.iter().flat_map(|&kind| (0..seeds).map(move |seed| (kind, seed))).collect();
    let runs = parallel(&jobs, |&(kind, seed)| found(kind, config, seed));
    let mut figures = Map::new();
    let mut totals = [0_usize; FAULTS.len()];
    for (kind, runs) in kinds.iter().zip(runs.chunks(seeds as usize)) {
        let mut sums = [0_usize; FAULTS.len()];
        for (fault, sum) in sums.iter_mut().enumerate() {
            *sum = runs.iter().map(|run: &[usize; FAULTS.len()]| run[fault]).sum();
            totals[fault] += *sum;
        }
        writeln!(out, "| {} | {} |", kind.name, sums.map(|sum: usize| sum.to_string()).join(" | "))?;
        figures.insert(kind.name.to_owned(), by_fault(sums.map(Value::from)));
    }
    let of_all = (trials * kinds.len()) as f64;
    let percent = totals.map(|total| format!("{:.0} %", 100.0 * total as f64 / of_all));
    writeln!(out, "| **all** | {} |\n", percent.join(" | "))?;
    let shares = totals.map(|total| Value::from(rounded(total as f64 / of_all, 3)));
    Ok(json!({ "trials": trials, "found": figures, "share": by_fault(shares) }))
}

/// Returns an object with the figure of each fault.
fn by_fault(figures: [Value; FAULTS.len()]) -> Value {
    Value::Object(FAULTS.iter().map(|fault| fault.name.to_owned()).zip(figures).collect())
}

/// Returns how many trials of each fault raise an alarm.
fn found(kind: &Kind, config: &DetectorConfig, seed: u64) -> [usize; FAULTS.len()] {
    let mut past = Past::default();
    let mut sensor = Sensor::new(config, kind.fields);
    sensor.noise = Noise::new(7 + seed);
    let mut last_week = Vec::with_capacity(WEEK);
    for reading in 0..SETTLED {
        let values = (kind.values)(&mut past, sensor.now + sensor.every, &mut sensor.noise);
        if reading >= SETTLED - WEEK {
            last_week.push(values[0]);
        }
        sensor.read(&values);
    }
    let deviation = deviation_of(&last_week);
    let mut found = [0_usize; FAULTS.len()];
    for _ in 0..TRIALS {
        let mut held = 0.0;
        for _ in 0..BETWEEN {
            let values = (kind.values)(&mut past, sensor.now + sensor.every, &mut sensor.noise);
            held = values[0];
            sensor.read(&values);
        }
        let before = (sensor.detector.clone(), sensor.now, sensor.noise.clone(), past);
        for (fault, found) in FAULTS.iter().zip(&mut found) {
            let begin = sensor.now;
            let is_found = (0..fault.lasts).any(|reading| {
                let mut values = (kind.values)(&mut past, sensor.now + sensor.every, &mut sensor.noise);
                let passed = reading as f64 / fault.lasts as f64;
                let failure = Failure { value: values[0], held, deviation, passed };
                values[0] = (fault.value)(failure, &mut sensor.noise);
                let detection = sensor.read(&values);
                detection.event.is_some_and(|event| event.started > begin)
            });
            *found += usize::from(is_found);
            (sensor.detector, sensor.now, sensor.noise, past) = before.clone();
        }
    }
    found
}

fn deviation_of(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use thicket_detector::Profile;

    use super::*;

    #[test]
    fn faults_of_a_calm_series_are_found() {
        let config = DetectorConfig { profile: Profile::Small, ..DetectorConfig::default() };
        let normal = all_kinds().find(|kind| kind.name == "normal").unwrap();
        let [spike, burst, shift, .., noise, stuck] = found(normal, &config, 0);
        assert!(spike >= TRIALS / 2 && noise >= TRIALS / 2, "{spike} {noise}");
        assert_eq!([burst, shift, stuck], [TRIALS; 3]);
    }

    #[test]
    fn the_deviation_is_that_of_the_population() {
        assert_eq!(deviation_of(&[1.0, 3.0, 1.0, 3.0]), 1.0);
    }
}
