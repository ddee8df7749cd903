//! Checks the calibration of the grade on series in which nothing unusual happens: how rare are
//! their rarest readings, according to the grade?
//!
//! ```text
//! cargo run --release -p thicket-detector --example calibration
//! ```
//!
//! Prints two tables of docs/detection.md. In the first, a grade g stands for a rarity of g / (1 −
//! g). One reading in ten should reach a rarity of 1, one in a hundred 2, one in a thousand 3, and
//! the alarms in a week should equal `alarms_per_week`. The second table shows how often an outlier
//! in one field is detected while the other fields are as usual.

use std::error::Error;

use thicket_detector::{Detection, DetectorConfig, Profile};

#[path = "../tests/series/mod.rs"]
mod series;

use series::{DAY, Noise, Sensor, alarms};

/// Ten weeks at one reading per minute.
const READINGS: usize = 100_800;
const WEEKS: f64 = 10.0;

/// A kind of series that has no anomalies.
struct Kind {
    name: &'static str,
    fields: &'static str,
    /// Returns the values at a time, in microseconds since 1970. The first argument is the state
    /// that the series keeps between readings.
    values: fn(&mut f64, i64, &mut Noise) -> Vec<f64>,
}

const KINDS: [Kind; 6] = [
    Kind { name: "normal", fields: "a", values: |_, _, noise| vec![noise.normal()] },
    Kind { name: "exponential", fields: "a", values: |_, _, noise| vec![-libm::log(1.0 - noise.uniform())] },
    Kind {
        name: "quantised: round(3 × normal)",
        fields: "a",
        values: |_, _, noise| vec![(3.0 * noise.normal()).round()],
    },
    Kind {
        name: "AR(1), φ = 0.8",
        fields: "a",
        values: |level, _, noise| {
            *level = 0.8 * *level + noise.normal();
            vec![*level]
        },
    },
    Kind {
        name: "daily wave of 10 σ, normal noise",
        fields: "a",
        values: |_, at, noise| {
            let angle = core::f64::consts::TAU * at as f64 / DAY as f64;
            vec![10.0 * libm::sin(angle) + noise.normal()]
        },
    },
    Kind {
        name: "three fields of different units",
        fields: "a b c",
        values: |_, _, noise| vec![noise.normal(), 1e6 + 1e3 * noise.normal(), 1e-6 * noise.normal()],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("| profile | smoothing | series | one in 10 | one in 100 | one in 1,000 | alarms a week |");
    println!("|---|---:|---|---:|---:|---:|---:|");
    for (name, profile) in [("medium", Profile::Medium), ("small", Profile::Small)] {
        for smoothing in [20, 0] {
            let config = DetectorConfig { profile, smoothing, ..DetectorConfig::default() };
            for kind in &KINDS {
                let detections = run(kind, &config);
                let rarities = sorted_rarities(&detections).ok_or("no reading was graded")?;
                let rarity = |one_in: usize| rarities[rarities.len() / one_in];
                let (often, seldom, rare) = (rarity(10), rarity(100), rarity(1_000));
                let a_week = alarms(&detections) as f64 / WEEKS;
                println!(
                    "| {name} | {smoothing} | {} | {often:.2} | {seldom:.2} | {rare:.2} | {a_week:.1} |",
                    kind.name
                );
            }
        }
    }
    print_dilution();
    Ok(())
}

fn run(kind: &Kind, config: &DetectorConfig) -> Vec<Detection> {
    let mut memory = 0.0;
    Sensor::new(config, kind.fields).run(READINGS, |at, noise| (kind.values)(&mut memory, at, noise))
}

/// Returns the rarities of all graded readings, the greatest first, or `None` if no reading is
/// graded.
fn sorted_rarities(detections: &[Detection]) -> Option<Vec<f64>> {
    let graded = detections.iter().filter_map(|detection| detection.grade);
    let mut rarities: Vec<f64> = graded.map(|grade| grade / (1.0 - grade)).collect();
    rarities.sort_by(|a, b| b.total_cmp(a));
    (!rarities.is_empty()).then_some(rarities)
}

/// Number of outliers of each size. After each outlier, the detector returns to the state before
/// it.
const TRIALS: usize = 40;
/// Sizes of the outliers, in standard deviations.
const SIZES: [f64; 4] = [6.0, 8.0, 12.0, 20.0];

fn print_dilution() {
    println!("\n| fields | 6 σ | 8 σ | 12 σ | 20 σ |\n|---:|---:|---:|---:|---:|");
    for fields in [1, 3, 13, 50] {
        let names: Vec<String> = (0..fields).map(|field| format!("f{field:02}")).collect();
        let mut sensor = Sensor::new(&DetectorConfig::default(), &names.join(" "));
        let usual = |noise: &mut Noise| (0..fields).map(|_| noise.normal()).collect::<Vec<_>>();
        sensor.run(12_000, |_, noise| usual(noise));
        let found = SIZES.map(|size| {
            let is_found = |_: &usize| {
                sensor.run(1, |_, noise| usual(noise));
                let before = (sensor.detector.clone(), sensor.now);
                let mut values = usual(&mut sensor.noise);
                values[0] = size;
                let detection = sensor.read(&values);
                (sensor.detector, sensor.now) = before;
                detection.anomaly
            };
            (0..TRIALS).filter(is_found).count()
        });
        let found = found.map(|found| format!("{found} of {TRIALS}"));
        println!("| {fields} | {} |", found.join(" | "));
    }
}
