//! The published side: what the ledgers say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use chrono::{DateTime, Utc};
use thicket_schema::Timestamp;

use crate::ledger::{Disposition, Label, LedgerError, LedgerReader, Record, SensorRecord, labels};

/// Readings that are held in memory at once.
const GROUP_READINGS: u64 = 500_000;

/// What the ledgers say of one sensor.
#[derive(Clone, Debug)]
pub(super) struct PublishedSensor {
    pub(super) topic: String,
    pub(super) period_micros: i64,
    /// Publications of its readings.
    pub(super) publications: u64,
    pub(super) first_ts: i64,
    pub(super) last_ts: i64,
}

/// A message without meaning, and how often it was published.
#[derive(Clone, Debug)]
pub(super) struct MalformedMessage {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) count: u64,
}

/// One publication of a reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PublishedReading {
    pub(super) ts: i64,
    pub(super) fields: Arc<[String]>,
    pub(super) values: Box<[f64]>,
}

/// A summary of some ledgers; the readings themselves are loaded by group.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    ledgers: Vec<PathBuf>,
    pub(super) sensors: BTreeMap<String, PublishedSensor>,
    pub(super) malformed: BTreeMap<u128, MalformedMessage>,
    pub(super) labels: BTreeMap<String, Vec<Label>>,
    /// Publications of all kinds.
    pub(super) publications: u64,
    /// Readings that must each have a row or a dead letter: publications without the repetitions.
    pub(super) identities: u64,
    pub(super) torn: Vec<PathBuf>,
    seconds: f64,
}

/// What a ledger holds, for callers that only want to know that.
#[derive(Clone, Debug, PartialEq)]
pub struct LedgerSummary {
    /// Publications of all kinds.
    pub publications: u64,
    /// Sensors with at least one reading.
    pub sensors: usize,
}

impl LedgerSummary {
    /// Reads some ledgers.
    pub fn read(ledgers: &[PathBuf]) -> Result<Self, LedgerError> {
        let published = Published::scan(ledgers)?;
        Ok(Self { publications: published.publications, sensors: published.sensors.len() })
    }
}

impl Published {
    /// Reads all ledgers once.
    pub(super) fn scan(ledgers: &[PathBuf]) -> Result<Self, LedgerError> {
        let mut published = Self { ledgers: ledgers.to_vec(), ..Self::default() };
        for path in ledgers {
            let mut reader = LedgerReader::open(path)?;
            let mut introduced: HashMap<u32, SensorRecord> = HashMap::new();
            let mut clocks: Option<(i64, i64)> = None;
            for record in reader.by_ref() {
                match record? {
                    Record::Sensor(sensor) => {
                        introduced.insert(sensor.index, sensor);
                    }
                    Record::Message { disposition, sensor, readings } => {
                        let Some(sensor) = introduced.get(&sensor) else { continue };
                        published.note(sensor, disposition, readings.iter().map(|reading| reading.ts));
                    }
                    Record::Malformed { topic, payload } => published.note_malformed(topic, payload),
                    Record::Clock(micros) => {
                        clocks = Some((clocks.map_or(micros, |(first, _)| first), micros));
                    }
                }
            }
            if reader.torn() {
                published.torn.push(path.clone());
            }
            published.seconds += clocks.map_or(0.0, |(first, last)| (last - first) as f64 / 1e6);
            published.add_labels(labels::read(path)?);
        }
        Ok(published)
    }

    fn note(&mut self, sensor: &SensorRecord, disposition: Disposition, times: impl Iterator<Item = i64>) {
        let known = self.sensors.entry(sensor.name.clone()).or_insert_with(|| PublishedSensor {
            topic: sensor.topic.clone(),
            period_micros: sensor.period_micros,
            publications: 0,
            first_ts: i64::MAX,
            last_ts: i64::MIN,
        });
        for ts in times {
            known.publications += 1;
            known.first_ts = known.first_ts.min(ts);
            known.last_ts = known.last_ts.max(ts);
            self.publications += 1;
            self.identities += u64::from(disposition != Disposition::Duplicate);
        }
    }

    fn note_malformed(&mut self, topic: String, payload: Vec<u8>) {
        self.publications += 1;
        let key = letter_key(&topic, &payload, payload.len() as u64);
        self.malformed.entry(key).or_insert(MalformedMessage { topic, payload, count: 0 }).count += 1;
    }

    /// The same event may stand in several ledgers of one scenario.
    fn add_labels(&mut self, labels: Vec<Label>) {
        for label in labels {
            let known = self.labels.entry(label.sensor.clone()).or_default();
            if !known.contains(&label) {
                known.push(label);
            }
        }
    }

    /// The time from the first to the last reading.
    pub(super) fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let first = self.sensors.values().map(|sensor| sensor.first_ts).min()?;
        let last = self.sensors.values().map(|sensor| sensor.last_ts).max()?;
        Some((Timestamp(first).to_datetime(), Timestamp(last).to_datetime()))
    }

    /// The mean rate of confirmation.
    pub(super) fn readings_per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.publications as f64 / self.seconds)
    }

    /// The sensors, in groups whose readings fit into memory.
    pub(super) fn groups(&self) -> Vec<BTreeSet<&str>> {
        let mut groups: Vec<BTreeSet<&str>> = Vec::new();
        let mut held = u64::MAX;
        for (name, sensor) in &self.sensors {
            if held.saturating_add(sensor.publications) > GROUP_READINGS {
                groups.push(BTreeSet::new());
                held = 0;
            }
            held += sensor.publications;
            if let Some(group) = groups.last_mut() {
                group.insert(name);
            }
        }
        groups
    }

    /// All publications of a group of sensors, per sensor by time.
    pub(super) fn load(
        &self,
        group: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Vec<PublishedReading>>, LedgerError> {
        let mut loaded: BTreeMap<String, Vec<PublishedReading>> = BTreeMap::new();
        let mut field_sets: BTreeMap<Vec<String>, Arc<[String]>> = BTreeMap::new();
        for path in &self.ledgers {
            let mut wanted: HashMap<u32, (String, Arc<[String]>)> = HashMap::new();
            for record in LedgerReader::open(path)? {
                match record? {
                    Record::Sensor(sensor) if group.contains(sensor.name.as_str()) => {
                        let fields =
                            field_sets.entry(sensor.fields.clone()).or_insert_with(|| sensor.fields.into());
                        wanted.insert(sensor.index, (sensor.name, Arc::clone(fields)));
                    }
                    Record::Message { sensor, readings, .. } => {
                        let Some((name, fields)) = wanted.get(&sensor) else { continue };
                        let publications = loaded.entry(name.clone()).or_default();
                        publications.extend(readings.into_iter().map(|reading| PublishedReading {
                            ts: reading.ts,
                            fields: Arc::clone(fields),
                            values: reading.values.into_boxed_slice(),
                        }));
                    }
                    _ => {}
                }
            }
        }
        for publications in loaded.values_mut() {
            publications.sort_by_key(|reading| reading.ts);
        }
        Ok(loaded)
    }
}

/// By what a dead letter is recognised: its topic, the kept part of its payload, the payload's whole length.
pub(super) fn letter_key(topic: &str, payload: &[u8], payload_bytes: u64) -> u128 {
    /// As much of a payload as a dead letter keeps.
    const KEPT_BYTES: usize = 4_096;
    let kept = &payload[..payload.len().min(KEPT_BYTES)];
    let text = [&payload_bytes.to_le_bytes()[..], topic.as_bytes(), b"\0", kept].concat();
    xxhash_rust::xxh3::xxh3_128(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerWriter;

    fn sensor(index: u32, name: &str) -> SensorRecord {
        SensorRecord {
            index,
            period_micros: 1_000_000,
            name: name.to_owned(),
            topic: format!("sensors/{name}"),
            fields: vec!["laeq_db".to_owned()],
        }
    }

    #[test]
    fn several_ledgers_are_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let ledgers = [folder.path().join("a"), folder.path().join("b")];
        // The second ledger gives the same sensor another index.
        for (n, path) in ledgers.iter().enumerate() {
            let mut writer = LedgerWriter::create(path).unwrap();
            writer.sensor(&sensor(n as u32, "x")).unwrap();
            writer.sensor(&sensor(1 - n as u32, "y")).unwrap();
            writer.clock(0).unwrap();
            let (ts, values) = (n as i64 * 100, [n as f64]);
            writer.message(Disposition::Plain, n as u32, [(ts, &values[..])].into_iter()).unwrap();
            writer.message(Disposition::Duplicate, n as u32, [(ts, &values[..])].into_iter()).unwrap();
            writer.malformed("sensors/x", b"{").unwrap();
            writer.clock(2_000_000).unwrap();
            writer.flush().unwrap();
        }
        let published = Published::scan(&ledgers).unwrap();
        assert_eq!((published.publications, published.identities), (6, 2));
        assert_eq!(published.sensors.keys().collect::<Vec<_>>(), ["x"]);
        assert_eq!(published.malformed.values().map(|message| message.count).collect::<Vec<_>>(), [2]);
        assert_eq!(published.readings_per_second(), Some(1.5));
        let groups = published.groups();
        assert_eq!(groups.len(), 1);
        let loaded = published.load(&groups[0]).unwrap();
        let times: Vec<(i64, f64)> =
            loaded["x"].iter().map(|reading| (reading.ts, reading.values[0])).collect();
        assert_eq!(times, [(0, 0.0), (0, 0.0), (100, 1.0), (100, 1.0)]);
        assert_eq!(LedgerSummary::read(&ledgers).unwrap(), LedgerSummary { publications: 6, sensors: 1 });
    }

    #[test]
    fn groups_are_bounded_and_complete() {
        let mut published = Published::default();
        for n in 0..10 {
            let record = sensor(0, &format!("s{n}"));
            published.note(&record, Disposition::Plain, 0..180_000);
        }
        let groups = published.groups();
        assert_eq!(groups.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2, 2, 2, 2]);
        let names: BTreeSet<&str> = groups.into_iter().flatten().collect();
        assert!(names.into_iter().eq(published.sensors.keys()));
    }
}
