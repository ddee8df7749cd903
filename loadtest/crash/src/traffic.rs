//! What is published: a pure function of a seed. Several sensors over all partitions, with late readings, repeated ones, ones that
//! contradict each other, missing fields, arrays, spikes, and messages that nobody can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thicket_loadtest::random::Key;
use thicket_schema::SensorName;

use crate::settings::PARTITIONS;

/// Sensors of each partition.
const SENSORS_EACH: usize = 2;
/// 2026-03-01T18:00:00Z, so that midnight falls into the traffic.
const START: i64 = 1_772_388_000;
/// Seconds from one reading of a sensor to the next.
const PERIOD: i64 = 60;
/// How many steps later a late reading comes.
const LATE_BY: usize = 3;
/// Readings of an array.
const ARRAY: usize = 3;
/// The first value of a reading that panics its detector, where the engine is told to let it.
const POISON: f64 = 9_001e6;

/// What shapes the traffic besides the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Readings of each sensor.
    pub steps: usize,
    /// Whether some readings panic their detector.
    pub poison: bool,
    /// Whether a message may hold two parts that cannot be read and look alike.
    pub twins: bool,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its place among all.
    pub number: usize,
    /// Which sensor it is of.
    pub sensor: usize,
    /// Where it is published.
    pub topic: String,
    /// What is published.
    pub payload: String,
    /// Readings and dead letters in it.
    pub records: u64,
    /// Seconds since the epoch of the readings that come for the first time with it.
    pub brings: Vec<i64>,
}

/// What must stand in the tables, as far as it follows from the messages alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Readings and dead letters that were published.
    pub records: u64,
    /// Readings that were scored, or skipped as poison.
    pub scored: u64,
    /// Readings that came late.
    pub late: u64,
    /// Readings that came twice.
    pub duplicates: u64,
    /// Dead letters.
    pub letters: u64,
}

/// Everything that is published in one run.
#[derive(Debug)]
pub struct Traffic {
    /// The sensors' names.
    pub sensors: Vec<SensorName>,
    /// In the order in which they are published.
    pub messages: Vec<Message>,
    /// A last reading of each sensor: whoever has committed it has committed all before.
    pub closing: Vec<Message>,
    /// What it comes to, the closing readings included.
    pub expected: Expected,
}

#[derive(Clone)]
struct Reading {
    step: usize,
    level: f64,
    pitch: Option<f64>,
}

/// A sensor while its messages are made.
#[derive(Default)]
struct Making {
    array: Option<Vec<Reading>>,
    delayed: Option<(usize, Reading)>,
    newest: Option<usize>,
    stored: BTreeMap<usize, (u64, Option<u64>)>,
}

impl Traffic {
    /// The traffic of a seed.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let sensors = sensors();
        let mut making: Vec<Making> = sensors.iter().map(|_| Making::default()).collect();
        let mut traffic =
            Self { sensors, messages: Vec::new(), closing: Vec::new(), expected: Expected::default() };
        let root = Key::root(seed, "crash traffic");
        for step in 0..shape.steps {
            for (sensor, making) in making.iter_mut().enumerate() {
                traffic.step(root.at(sensor as u64), shape, sensor, making, step);
            }
        }
        for (sensor, making) in making.iter_mut().enumerate() {
            traffic.finish(root.at(sensor as u64), shape, sensor, making);
        }
        traffic
    }

    fn step(&mut self, key: Key, shape: Shape, sensor: usize, making: &mut Making, step: usize) {
        let mut reading = reading(key, step);
        if shape.poison && sensor % 4 == 1 && (step == shape.steps / 3 || step == shape.steps * 2 / 3) {
            reading.level = POISON;
        }
        let dice = key.at(1).at(step as u64).unit();
        if let Some(array) = &mut making.array {
            array.push(reading);
            if array.len() == ARRAY {
                let array = making.array.take().unwrap_or_default();
                self.publish(sensor, making, &array);
            }
        } else if step > 0 && dice < 0.04 {
            making.array = Some(vec![reading]);
        } else if step > 0 && dice < 0.07 && making.delayed.is_none() {
            making.delayed = Some((step + LATE_BY, reading));
        } else {
            self.publish(sensor, making, std::slice::from_ref(&reading));
            if dice > 0.97 {
                self.publish(sensor, making, std::slice::from_ref(&reading));
            } else if dice > 0.95 {
                let other = Reading { level: reading.level + 1.5, ..reading };
                self.publish(sensor, making, std::slice::from_ref(&other));
            }
        }
        if let Some((_, late)) = making.delayed.take_if(|(due, _)| *due <= step && making.array.is_none()) {
            self.publish(sensor, making, std::slice::from_ref(&late));
        }
        match key.at(2).at(step as u64).unit() {
            dice if dice < 0.08 => {
                self.letter(sensor, format!("{{\"ts\":{},\"level\":oops {step}}}", seconds(step)), 1);
            }
            dice if dice < 0.09 => {
                let ahead = 7_258_118_400 + step as i64;
                self.letter(sensor, format!("{{\"ts\":{ahead},\"level\":1}}"), 1);
            }
            dice if dice < 0.16 && shape.twins => {
                self.letter(sensor, format!("[{{\"word\":\"{step}\"}},{{\"word\":\"{step}\"}}]"), 2);
            }
            _ => {}
        }
    }

    fn finish(&mut self, key: Key, shape: Shape, sensor: usize, making: &mut Making) {
        let rest: Vec<Reading> = making.array.take().into_iter().flatten().collect();
        if !rest.is_empty() {
            self.publish(sensor, making, &rest);
        }
        if let Some((_, late)) = making.delayed.take() {
            self.publish(sensor, making, std::slice::from_ref(&late));
        }
        let closing = self.message(sensor, making, &[reading(key, shape.steps)]);
        self.closing.push(closing);
    }

    fn publish(&mut self, sensor: usize, making: &mut Making, readings: &[Reading]) {
        let message = self.message(sensor, making, readings);
        self.messages.push(message);
    }

    fn message(&mut self, sensor: usize, making: &mut Making, readings: &[Reading]) -> Message {
        let mut brings = Vec::new();
        for reading in readings {
            if making.account(reading, &mut self.expected) {
                brings.push(seconds(reading.step));
            }
        }
        let objects: Vec<String> = readings.iter().map(object).collect();
        let payload = if let [one] = &objects[..] { one.clone() } else { format!("[{}]", objects.join(",")) };
        let records = readings.len() as u64;
        Message { number: self.messages.len(), sensor, topic: self.topic(sensor), payload, records, brings }
    }

    fn letter(&mut self, sensor: usize, payload: String, records: u64) {
        self.expected.letters += records;
        self.expected.records += records;
        let topic = self.topic(sensor);
        let number = self.messages.len();
        self.messages.push(Message { number, sensor, topic, payload, records, brings: Vec::new() });
    }

    fn topic(&self, sensor: usize) -> String {
        format!("sensors/{}", self.sensors[sensor])
    }
}

impl Making {
    /// Counts what must become of a reading; true if it is the first with its time.
    fn account(&mut self, reading: &Reading, expected: &mut Expected) -> bool {
        expected.records += 1;
        let bits = (reading.level.to_bits(), reading.pitch.map(f64::to_bits));
        match self.stored.get(&reading.step) {
            Some(&stored) if stored == bits => expected.duplicates += 1,
            Some(_) => expected.letters += 1,
            None if self.newest.is_none_or(|newest| newest < reading.step) => expected.scored += 1,
            None => expected.late += 1,
        }
        if self.stored.contains_key(&reading.step) {
            return false;
        }
        self.stored.insert(reading.step, bits);
        self.newest = self.newest.max(Some(reading.step));
        true
    }
}

/// Names such that every partition has the same number of them.
fn sensors() -> Vec<SensorName> {
    let mut counts = vec![0; usize::from(PARTITIONS)];
    let mut sensors = Vec::new();
    for number in 0.. {
        if sensors.len() == SENSORS_EACH * usize::from(PARTITIONS) {
            break;
        }
        let Ok(sensor) = SensorName::new(&format!("crash/s-{number}")) else { continue };
        let count = &mut counts[usize::from(sensor.partition(PARTITIONS).0)];
        if *count < SENSORS_EACH {
            *count += 1;
            sensors.push(sensor);
        }
    }
    sensors
}

fn seconds(step: usize) -> i64 {
    START + PERIOD * step as i64
}

fn reading(key: Key, step: usize) -> Reading {
    let time = step as f64;
    let spike = if step % 211 >= 208 { 60.0 } else { 0.0 };
    let level = 50.0 + 8.0 * key.at(3).drift(time / 40.0) + key.at(4).at(step as u64).gauss() + spike;
    let pitch = 400.0 + 20.0 * key.at(5).drift(time / 25.0) + 5.0 * key.at(6).at(step as u64).gauss();
    let is_whole = step == 0 || key.at(7).at(step as u64).unit() > 0.02;
    Reading { step, level: round(level), pitch: is_whole.then(|| round(pitch)) }
}

/// Three decimals, as a sensor would send.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn object(reading: &Reading) -> String {
    let mut text = format!("{{\"ts\":{},\"level\":{}", seconds(reading.step), reading.level);
    if let Some(pitch) = reading.pitch {
        let _ = write!(text, ",\"pitch\":{pitch}");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { steps: 300, poison: false, twins: false };

    #[test]
    fn the_same_seed_gives_the_same_traffic_and_another_seed_another() {
        let payloads = |seed| Traffic::new(seed, SHAPE).messages.into_iter().map(|m| m.payload);
        assert!(payloads(1).eq(payloads(1)));
        assert!(payloads(1).ne(payloads(2)));
    }

    #[test]
    fn everything_that_can_happen_to_a_reading_happens_and_every_record_has_one_outcome() {
        let Traffic { sensors, messages, closing, expected } = Traffic::new(7, SHAPE);
        let Expected { records, scored, late, duplicates, letters } = expected;
        assert_eq!(sensors.len(), closing.len());
        assert_eq!(records, messages.iter().chain(&closing).map(|m| m.records).sum::<u64>());
        assert_eq!(records, scored + late + duplicates + letters);
        assert!(late > 20 && duplicates > 20 && letters > 100, "{expected:?}");
        assert!(scored as usize > 280 * sensors.len(), "{expected:?}");
    }

    #[test]
    fn no_two_dead_letters_are_alike_so_that_one_that_comes_again_is_known() {
        let traffic = Traffic::new(3, SHAPE);
        let letters = traffic.messages.iter().filter(|message| message.brings.is_empty());
        let unreadable: Vec<_> = letters.filter(|m| m.payload.contains("oops")).collect();
        let distinct: std::collections::BTreeSet<_> =
            unreadable.iter().map(|m| (&m.topic, &m.payload)).collect();
        assert_eq!(distinct.len(), unreadable.len());
    }
}
