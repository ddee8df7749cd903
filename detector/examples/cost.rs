//! Measures the cost of a sensor: memory, size of the snapshot, and processor time per reading, by
//! profile and number of fields.
//!
//! ```text
//! cargo run --release -p thicket-detector --example cost
//! ```
//!
//! Prints the table of docs/detection.md. Half the fields are smooth and half are noise. The
//! forests are full before the time is measured. The column `in turn` is the time when readings of
//! many sensors alternate, as they do in an engine, so that a sensor's forests are not in the
//! processor's cache.

use std::error::Error;
use std::time::Duration;

use cpu_time::ThreadTime;
use thicket_detector::{Detector, DetectorConfig, Profile};

#[path = "../tests/series/mod.rs"]
mod series;

use series::{Noise, SECOND};

/// Readings that fill the forests before the time is measured.
const BEFORE: usize = 6_000;
/// Readings whose time is measured.
const TIMED: usize = 4_000;
/// Readings after which a copied detector has as much spare capacity as the original.
const SETTLING: usize = 100;
/// Memory of all copied detectors together, in bytes: more than any cache holds.
const TOGETHER: usize = 200_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!("| profile | fields | memory | snapshot | a reading | in turn |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, profile) in [("small", Profile::Small), ("medium", Profile::Medium), ("large", Profile::Large)]
    {
        for fields in [1, 3, 13] {
            let config = DetectorConfig { profile, ..DetectorConfig::default() };
            let mut source = Source::new(fields);
            let mut detector = Detector::new("a", &config);
            source.feed(&mut detector, BEFORE)?;
            let warm = source.feed(&mut detector, TIMED)?;
            let (memory, snapshot) = (detector.memory_usage(), detector.snapshot().len());
            let mut others = vec![detector; TOGETHER.div_ceil(memory)];
            // A copy has no spare capacity. It allocates it during its first readings.
            let before = source.clone();
            for other in &mut others {
                source = before.clone();
                source.feed(other, SETTLING)?;
            }
            let mut cold = Duration::ZERO;
            for _ in 0..TIMED.div_ceil(others.len()) {
                let before = source.clone();
                for other in &mut others {
                    source = before.clone();
                    cold += source.feed(other, 1)?;
                }
            }
            let readings = others.len() * TIMED.div_ceil(others.len());
            let micros = |spent: Duration, readings: usize| spent.as_secs_f64() * 1e6 / readings as f64;
            println!(
                "| {name} | {fields} | {} KB | {} KB | {:.0} µs | {:.0} µs |",
                memory / 1_000,
                snapshot / 1_000,
                micros(warm, TIMED),
                micros(cold, readings)
            );
        }
    }
    Ok(())
}

/// A source of readings.
#[derive(Clone)]
struct Source {
    names: Vec<String>,
    values: Vec<f64>,
    noise: Noise,
    now: i64,
}

impl Source {
    fn new(fields: usize) -> Self {
        let mut names: Vec<String> = (0..fields).map(|field| format!("f{field}")).collect();
        names.sort();
        Self { names, values: vec![0.0; fields], noise: Noise::new(7), now: 0 }
    }

    /// Applies the next `readings` readings to a detector. Returns the processor time that it took.
    fn feed(&mut self, detector: &mut Detector, readings: usize) -> Result<Duration, Box<dyn Error>> {
        let mut spent = Duration::ZERO;
        for _ in 0..readings {
            self.now += 60 * SECOND;
            for (field, value) in self.values.iter_mut().enumerate() {
                let memory = if field % 2 == 0 { 0.8 } else { 0.0 };
                *value = memory * *value + self.noise.normal();
            }
            let begin = ThreadTime::now();
            detector.apply(self.now, &self.names, &self.values)?;
            spent += begin.elapsed();
        }
        Ok(spent)
    }
}
