//! Measures the cost of a sensor: memory, size of the checkpoint, and processor time per reading.
//!
//! Half the fields are smooth and half are noise. The forests are full before the time is measured.
//! *In cache*, one detector gets all readings. *In turn*, readings of many sensors alternate, as
//! they do in an engine, so that a sensor's forests are not in the processor's cache.

use std::io::Write;

use cpu_time::ThreadTime;
use serde_json::{Map, Value, json};
use thicket_detector::{Detector, DetectorConfig, Rejected};

use crate::numbers::{median, rounded};
use crate::series::{Noise, SECOND};

/// The cost of one sensor.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Memory of the detector, in bytes.
    pub memory: usize,
    /// Size of its checkpoint, in bytes.
    pub checkpoint: usize,
    /// Processor time of a reading if the detector is in the cache, in microseconds.
    pub in_cache: f64,
    /// Processor time of a reading if readings of many sensors alternate, in microseconds.
    pub in_turn: f64,
}

/// Readings that fill the forests before the time is measured.
const BEFORE: usize = 6_000;
/// Readings of a round in the cache.
const ROUND: usize = 500;
/// Number of rounds. Their median is robust against other programs on the machine.
const ROUNDS: usize = 9;
/// Readings after which a copied detector has as much spare capacity as the original.
const SETTLING: usize = 100;
/// The copies have had up to so many readings more. Otherwise all forests would insert the same
/// readings, and a round would be either cheap or costly.
const STAGGER: usize = 50;
/// Memory of all copied detectors together, in bytes: more than most caches hold.
const TOGETHER: usize = 250_000_000;

/// Measures the cost of one profile for some numbers of fields, prints the table, and returns the
/// figures as JSON.
///
/// # Errors
/// The detector rejects a reading, or the output cannot be written.
pub fn report(
    name: &str,
    config: &DetectorConfig,
    fields: &[u16],
    out: &mut impl Write,
) -> anyhow::Result<Value> {
    writeln!(
        out,
        "| {name}: fields | memory | checkpoint | in cache | in turn |\n|---:|---:|---:|---:|---:|"
    )?;
    let mut figures = Map::new();
    for &fields in fields {
        let cost = measure(config, usize::from(fields))?;
        writeln!(
            out,
            "| {fields} | {} KB | {} KB | {:.1} µs | {:.1} µs |",
            cost.memory / 1_000,
            cost.checkpoint / 1_000,
            cost.in_cache,
            cost.in_turn
        )?;
        let figure = json!({
            "memory_bytes": cost.memory,
            "checkpoint_bytes": cost.checkpoint,
            "micros_in_cache": rounded(cost.in_cache, 1),
            "micros_in_turn": rounded(cost.in_turn, 1),
        });
        figures.insert(fields.to_string(), figure);
    }
    writeln!(out)?;
    Ok(Value::Object(figures))
}

/// Measures a sensor with so many fields.
///
/// # Errors
/// The detector rejects a reading.
pub fn measure(config: &DetectorConfig, fields: usize) -> Result<Cost, Rejected> {
    let names: Vec<String> = (0..fields).map(|field| format!("f{field:03}")).collect();
    let mut source = Source { values: vec![0.0; fields], noise: Noise::new(7), now: 0 };
    let mut detector = Detector::new("a", config);
    feed(&mut detector, &names, &source.readings(BEFORE))?;
    let mut warm = Vec::new();
    for _ in 0..ROUNDS {
        let readings = source.readings(ROUND);
        let begin = ThreadTime::now();
        feed(&mut detector, &names, &readings)?;
        warm.push(micros(begin, ROUND));
    }
    let (memory, checkpoint) = (detector.memory_usage(), detector.snapshot().len());
    let mut sensors = vec![(source, detector); TOGETHER.div_ceil(memory)];
    for (number, (source, detector)) in sensors.iter_mut().enumerate() {
        feed(detector, &names, &source.readings(SETTLING + number % STAGGER))?;
    }
    let mut cold = Vec::new();
    for _ in 0..ROUNDS {
        let readings: Vec<_> = sensors.iter_mut().map(|(source, _)| source.readings(1)).collect();
        let begin = ThreadTime::now();
        for ((_, detector), readings) in sensors.iter_mut().zip(&readings) {
            feed(detector, &names, readings)?;
        }
        cold.push(micros(begin, sensors.len()));
    }
    Ok(Cost { memory, checkpoint, in_cache: median(&warm), in_turn: median(&cold) })
}

/// A timestamp in microseconds since 1970, and the values of the fields.
type Reading = (i64, Vec<f64>);

fn feed(detector: &mut Detector, names: &[String], readings: &[Reading]) -> Result<(), Rejected> {
    for (ts, values) in readings {
        detector.apply(*ts, names, values)?;
    }
    Ok(())
}

/// Returns the processor time per reading, in microseconds.
fn micros(begin: ThreadTime, readings: usize) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6 / readings as f64
}

/// A source of readings.
#[derive(Clone)]
struct Source {
    values: Vec<f64>,
    noise: Noise,
    now: i64,
}

impl Source {
    /// Returns the next readings, one a minute.
    fn readings(&mut self, count: usize) -> Vec<Reading> {
        let next = |_| {
            self.now += 60 * SECOND;
            for (field, value) in self.values.iter_mut().enumerate() {
                let memory = if field % 2 == 0 { 0.8 } else { 0.0 };
                *value = memory * *value + self.noise.normal();
            }
            (self.now, self.values.clone())
        };
        (0..count).map(next).collect()
    }
}
