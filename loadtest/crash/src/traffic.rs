//! The messages that are published: a pure function of a seed. Several sensors over all partitions,
//! with late and repeated readings, several readings of one second, clocks that go back, missing
//! fields, arrays, spikes, and malformed messages. Some sensors speak Sparkplug B, with aliases
//! that change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use thicket_codecs::formats::sparkplug::{DataType, Metric, MetricValue, Payload};
use thicket_loadtest::random::Key;
use thicket_schema::SensorName;

use crate::settings::PARTITIONS;

/// Sensors of each partition.
const SENSORS_EACH: usize = 2;
/// 2026-03-01T18:00:00Z: the traffic crosses midnight.
const START: i64 = 1_772_388_000;
/// Seconds from one reading of a sensor to the next.
const PERIOD: i64 = 60;
/// By how many steps a late reading is late.
const LATE_BY: usize = 3;
/// Late readings in a row after which a sensor's time begins again: the default of
/// `detector.begin_again_after`.
const BEGIN_AGAIN_AFTER: u32 = 20;
/// Readings of an array.
const ARRAY: usize = 3;
/// One sensor in this number speaks Sparkplug B.
const SPARKPLUG_EACH: usize = 5;
/// Births of such a sensor. Each swaps the aliases of the two fields. Fewer than the engine keeps:
/// after a loss of the broker, all messages since are published again, without the mark of a
/// redelivery.
const BIRTHS: usize = 6;
/// One sensor in this number ends with readings that are anomalous.
const OPEN_EACH: usize = 4;
/// By how much the value of such readings is off. No other value of the sensor is near it, so that the
/// anomaly is found with every seed.
const FINAL_SHIFT: f64 = -600.0;
/// How many readings are off before the closing one.
const FINAL_READINGS: usize = 4;
/// The height of a spike, and after how many readings the next one comes.
const SPIKE: f64 = 60.0;
const SPIKE_EVERY: usize = 211;
/// Readings of a spike.
const SPIKE_READINGS: usize = 3;
/// The first value of a reading that panics its detector if the fail point `poison` is set.
const POISON: f64 = 9_001e6;

/// The parameters of the traffic beside the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Readings of each sensor.
    pub steps: usize,
    /// Whether some readings panic their detector.
    pub poison: bool,
    /// Whether a message may hold two equal parts that are not readings.
    pub twins: bool,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its place among all messages.
    pub number: usize,
    /// The index of its sensor.
    pub sensor: usize,
    /// Where it is published.
    pub topic: String,
    /// What is published.
    pub payload: Vec<u8>,
    /// Readings and dead letters in it.
    pub records: u64,
    /// The times of the readings that no earlier message holds, in seconds since the Unix epoch.
    pub brings: Vec<i64>,
}

/// The expected outcome, as far as the messages alone determine it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Readings and dead letters that were published.
    pub records: u64,
    /// Readings that were scored, or skipped as poison.
    pub scored: u64,
    /// Late readings.
    pub late: u64,
    /// Repeated readings.
    pub duplicates: u64,
    /// Dead letters.
    pub dead_letters: u64,
}

/// Everything that is published in one run.
#[derive(Debug)]
pub struct Traffic {
    /// The sensors' names.
    pub sensors: Vec<SensorName>,
    /// In the order in which they are published.
    pub messages: Vec<Message>,
    /// A last reading of each sensor: once it is committed, all readings before it are.
    pub closing: Vec<Message>,
    /// The expected outcome, the closing readings included.
    pub expected: Expected,
}

#[derive(Clone)]
struct Reading {
    /// Its time, in seconds since the Unix epoch.
    time: i64,
    level: f64,
    pitch: Option<f64>,
}

/// The state of a sensor while its messages are generated.
#[derive(Default)]
struct SensorState {
    array: Option<Vec<Reading>>,
    delayed: Option<(usize, Reading)>,
    /// The newest time since the sensor's time began again.
    newest: Option<i64>,
    /// Late readings in a row, each newer than the one before, and the time of the last one.
    late: (u32, i64),
    stored: BTreeMap<i64, Vec<(u64, Option<u64>)>>,
    /// Births that a Sparkplug sensor has sent.
    births: u64,
}

impl Traffic {
    /// The traffic of a seed.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let sensors = sensors();
        let mut state: Vec<SensorState> = sensors.iter().map(|_| SensorState::default()).collect();
        let mut traffic =
            Self { sensors, messages: Vec::new(), closing: Vec::new(), expected: Expected::default() };
        let root = Key::root(seed, "crash traffic");
        for step in 0..shape.steps {
            for (sensor, state) in state.iter_mut().enumerate() {
                traffic.step(root.at(sensor as u64), shape, sensor, state, step);
            }
        }
        for (sensor, state) in state.iter_mut().enumerate() {
            traffic.finish(root.at(sensor as u64), shape, sensor, state);
        }
        traffic
    }

    fn step(&mut self, key: Key, shape: Shape, sensor: usize, state: &mut SensorState, step: usize) {
        if is_sparkplug(sensor) && step.is_multiple_of((shape.steps / BIRTHS).max(1)) {
            self.birth(sensor, state);
        }
        let mut reading = reading(key, step, ends_open(sensor) && step + FINAL_READINGS >= shape.steps);
        if sensor % 4 == 2 && (shape.steps / 2..shape.steps * 3 / 4).contains(&step) {
            // Its clock goes back, onto times that are stored already.
            reading.time -= PERIOD * (shape.steps / 4) as i64;
        }
        if shape.poison && sensor % 4 == 1 && (step == shape.steps / 3 || step == shape.steps * 2 / 3) {
            reading.level = POISON;
        }
        let dice = key.at(1).at(step as u64).unit();
        if let Some(array) = &mut state.array {
            array.push(reading);
            if array.len() == ARRAY {
                let array = state.array.take().unwrap_or_default();
                self.publish(sensor, state, &array);
            }
        } else if step > 0 && dice < 0.04 {
            state.array = Some(vec![reading]);
        } else if step > 0 && dice < 0.07 && state.delayed.is_none() {
            state.delayed = Some((step + LATE_BY, reading));
        } else {
            self.publish(sensor, state, std::slice::from_ref(&reading));
            if dice > 0.97 {
                self.publish(sensor, state, std::slice::from_ref(&reading));
            } else if dice > 0.95 {
                let other = Reading { level: reading.level + 1.5, ..reading };
                self.publish(sensor, state, std::slice::from_ref(&other));
            }
        }
        if let Some((_, late)) = state.delayed.take_if(|(due, _)| *due <= step && state.array.is_none()) {
            self.publish(sensor, state, std::slice::from_ref(&late));
        }
        match key.at(2).at(step as u64).unit() {
            dice if dice < 0.08 => {
                self.dead_letter(sensor, format!("{{\"ts\":{},\"level\":oops {step}}}", seconds(step)), 1);
            }
            dice if dice < 0.09 => {
                let ahead = 7_258_118_400 + step as i64;
                self.dead_letter(sensor, format!("{{\"ts\":{ahead},\"level\":1}}"), 1);
            }
            dice if dice < 0.16 && shape.twins => {
                self.dead_letter(
                    sensor,
                    format!("[{{\"word\":\"step {step}\"}},{{\"word\":\"step {step}\"}}]"),
                    2,
                );
            }
            _ => {}
        }
    }

    fn finish(&mut self, key: Key, shape: Shape, sensor: usize, state: &mut SensorState) {
        let rest: Vec<Reading> = state.array.take().into_iter().flatten().collect();
        if !rest.is_empty() {
            self.publish(sensor, state, &rest);
        }
        if let Some((_, late)) = state.delayed.take() {
            self.publish(sensor, state, std::slice::from_ref(&late));
        }
        let closing = self.message(sensor, state, &[reading(key, shape.steps, ends_open(sensor))]);
        self.closing.push(closing);
    }

    fn publish(&mut self, sensor: usize, state: &mut SensorState, readings: &[Reading]) {
        let message = self.message(sensor, state, readings);
        self.messages.push(message);
    }

    fn message(&mut self, sensor: usize, state: &mut SensorState, readings: &[Reading]) -> Message {
        let mut brings = Vec::new();
        for reading in readings {
            if state.account(reading, &mut self.expected) {
                brings.push(reading.time);
            }
        }
        let number = self.messages.len();
        let (topic, payload) = if is_sparkplug(sensor) {
            let metrics = readings.iter().flat_map(|reading| metrics(reading, state.births)).collect();
            (self.sparkplug_topic("NDATA", sensor), sparkplug(number, metrics))
        } else {
            (self.topic(sensor), json(readings).into_bytes())
        };
        Message { number, sensor, topic, payload, records: readings.len() as u64, brings }
    }

    /// Publishes a birth without values, so that it is no reading.
    fn birth(&mut self, sensor: usize, state: &mut SensorState) {
        state.births += 1;
        let metric = |(name, alias): (&str, u64)| Metric {
            name: Some(name.to_owned()),
            alias: Some(alias),
            datatype: Some(DataType::Double as u32),
            is_null: Some(true),
            ..Metric::default()
        };
        let metrics = ["level", "pitch"].into_iter().zip(aliases(state.births)).map(metric).collect();
        let (number, topic) = (self.messages.len(), self.sparkplug_topic("NBIRTH", sensor));
        let payload = sparkplug(number, metrics);
        self.messages.push(Message { number, sensor, topic, payload, records: 0, brings: Vec::new() });
    }

    fn dead_letter(&mut self, sensor: usize, payload: String, records: u64) {
        self.expected.dead_letters += records;
        self.expected.records += records;
        let topic = self.topic(sensor);
        let number = self.messages.len();
        let payload = payload.into_bytes();
        self.messages.push(Message { number, sensor, topic, payload, records, brings: Vec::new() });
    }

    /// Returns the topic of a sensor, whose name has two levels: the group and the node.
    fn sparkplug_topic(&self, kind: &str, sensor: usize) -> String {
        format!("spBv1.0/{}", self.sensors[sensor].as_str().replacen('/', &format!("/{kind}/"), 1))
    }

    fn topic(&self, sensor: usize) -> String {
        format!("sensors/{}", self.sensors[sensor])
    }
}

impl SensorState {
    /// Counts the outcome of a reading. Returns whether it is the first with its time.
    fn account(&mut self, reading: &Reading, expected: &mut Expected) -> bool {
        expected.records += 1;
        let bits = (reading.level.to_bits(), reading.pitch.map(f64::to_bits));
        let (time, stored) = (reading.time, self.stored.entry(reading.time).or_default());
        if stored.contains(&bits) {
            expected.duplicates += 1;
            return false;
        }
        stored.push(bits);
        let (late, last_late) = self.late;
        let is_in_order = late > 0 && time >= last_late;
        if self.newest.is_none_or(|newest| newest <= time) || is_in_order && late >= BEGIN_AGAIN_AFTER {
            expected.scored += 1;
            (self.newest, self.late) = (Some(time), (0, 0));
        } else {
            expected.late += 1;
            self.late = (if is_in_order { late + 1 } else { 1 }, time);
        }
        stored.len() == 1
    }
}

/// Returns names of sensors such that every partition has the same number of them.
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

/// Whether the last readings of a sensor are anomalous, so that its last anomaly goes on.
fn ends_open(sensor: usize) -> bool {
    sensor % OPEN_EACH == 3
}

fn reading(key: Key, step: usize, is_anomalous: bool) -> Reading {
    let time = step as f64;
    let is_spike = step % SPIKE_EVERY >= SPIKE_EVERY - SPIKE_READINGS;
    let shift = match () {
        () if is_anomalous => FINAL_SHIFT,
        () if is_spike => SPIKE,
        () => 0.0,
    };
    let level = 50.0 + 8.0 * key.at(3).drift(time / 40.0) + key.at(4).at(step as u64).gauss() + shift;
    let pitch = 400.0 + 20.0 * key.at(5).drift(time / 25.0) + 5.0 * key.at(6).at(step as u64).gauss();
    let is_whole = step == 0 || key.at(7).at(step as u64).unit() > 0.02;
    Reading { time: seconds(step), level: round(level), pitch: is_whole.then(|| round(pitch)) }
}

/// Rounds to three decimals, as a sensor would.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn is_sparkplug(sensor: usize) -> bool {
    sensor % SPARKPLUG_EACH == 2
}

/// Returns the aliases of level and pitch.
fn aliases(births: u64) -> [u64; 2] {
    if births.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

/// Returns a Sparkplug message. Its time is in the order of the messages.
fn sparkplug(number: usize, metrics: Vec<Metric>) -> Vec<u8> {
    let timestamp = Some((START * 1_000).cast_unsigned() + number as u64);
    Payload { timestamp, metrics, seq: None }.to_bytes()
}

/// Returns the metrics of a reading, by their aliases.
fn metrics(reading: &Reading, births: u64) -> impl Iterator<Item = Metric> {
    let timestamp = Some((reading.time * 1_000).cast_unsigned());
    let values = [Some(reading.level), reading.pitch].into_iter().zip(aliases(births));
    values.filter_map(move |(value, alias)| {
        let value = Some(MetricValue::Double(value?));
        Some(Metric { alias: Some(alias), timestamp, value, ..Metric::default() })
    })
}

fn json(readings: &[Reading]) -> String {
    let objects: Vec<String> = readings.iter().map(object).collect();
    if let [one] = &objects[..] { one.clone() } else { format!("[{}]", objects.join(",")) }
}

fn object(reading: &Reading) -> String {
    let mut text = format!("{{\"ts\":{},\"level\":{}", reading.time, reading.level);
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
    fn every_outcome_occurs_and_every_record_has_one() {
        let Traffic { sensors, messages, closing, expected } = Traffic::new(7, SHAPE);
        let Expected { records, scored, late, duplicates, dead_letters } = expected;
        assert_eq!(sensors.len(), closing.len());
        assert_eq!(records, messages.iter().chain(&closing).map(|m| m.records).sum::<u64>());
        assert_eq!(records, scored + late + duplicates + dead_letters);
        assert!(late > 20 && duplicates > 20 && dead_letters > 80, "{expected:?}");
        assert!(scored as usize > 280 * sensors.len(), "{expected:?}");
    }

    #[test]
    fn no_two_dead_letters_are_equal_so_that_a_repeated_one_is_known() {
        let traffic = Traffic::new(3, SHAPE);
        let dead_letters = traffic.messages.iter().filter(|message| message.brings.is_empty());
        let unreadable: Vec<_> =
            dead_letters.filter(|m| String::from_utf8_lossy(&m.payload).contains("oops")).collect();
        let distinct: std::collections::BTreeSet<_> =
            unreadable.iter().map(|m| (&m.topic, &m.payload)).collect();
        assert_eq!(distinct.len(), unreadable.len());
    }
}
