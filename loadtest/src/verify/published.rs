//! The published side of the comparison: the contents of the manifests.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use thicket_schema::Timestamp;

use crate::manifest::{
    Disposition, InjectedEvent, ManifestError, ManifestReader, Record, SensorRecord, events,
};

/// The most readings that are held in memory at once.
const GROUP_READINGS: u64 = 500_000;

/// Summary of a sensor's publications.
#[derive(Clone, Debug)]
pub(super) struct PublishedSensor {
    pub(super) topic: String,
    pub(super) period_micros: i64,
    /// The number of times that its readings were published.
    pub(super) publications: u64,
    pub(super) first_ts: i64,
    pub(super) last_ts: i64,
}

/// A malformed message, and how often it was published.
#[derive(Clone, Debug)]
pub(super) struct MalformedMessage {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) count: u64,
}

/// One publication of a reading.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Publication {
    pub(super) ts: i64,
    pub(super) fields: Arc<[String]>,
    pub(super) values: Box<[f64]>,
}

/// Summary of all manifests. The readings are loaded later, by group of sensors.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    manifests: Vec<PathBuf>,
    /// The sensors by name.
    pub(super) sensors: BTreeMap<String, PublishedSensor>,
    /// The malformed messages by [`dead_letter_key`].
    pub(super) malformed: BTreeMap<u128, MalformedMessage>,
    /// The injected events by sensor name.
    pub(super) events: BTreeMap<String, Vec<InjectedEvent>>,
    /// The number of readings and malformed messages that were published, copies included.
    pub(super) publications: u64,
    /// The number of published readings without the deliberate copies. Each must have a row or a
    /// dead letter.
    pub(super) identities: u64,
    /// The manifests that end within a record.
    pub(super) torn: Vec<PathBuf>,
    /// The time between the first and the last clock of each manifest, summed.
    seconds: f64,
}

/// What some manifests hold, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestSummary {
    /// The number of readings and malformed messages that were published, copies included.
    pub publications: u64,
    /// The number of sensors with at least one reading.
    pub sensors: usize,
}

impl ManifestSummary {
    /// Reads the manifests.
    pub fn read(manifests: &[PathBuf]) -> Result<Self, ManifestError> {
        let published = Published::scan(manifests)?;
        Ok(Self { publications: published.publications, sensors: published.sensors.len() })
    }
}

impl Published {
    /// Reads all manifests and summarises them.
    pub(super) fn scan(manifests: &[PathBuf]) -> Result<Self, ManifestError> {
        let mut published = Self { manifests: manifests.to_vec(), ..Self::default() };
        for path in manifests {
            let mut reader = ManifestReader::open(path)?;
            let mut described: HashMap<u32, SensorRecord> = HashMap::new();
            let mut clocks: Option<(i64, i64)> = None;
            for record in reader.by_ref() {
                match record? {
                    Record::Sensor(sensor) => {
                        described.insert(sensor.index, sensor);
                    }
                    Record::Message { disposition, sensor, readings } => {
                        let Some(sensor) = described.get(&sensor) else { continue };
                        published.add(sensor, disposition, readings.iter().map(|reading| reading.ts));
                    }
                    Record::Malformed { topic, payload } => published.add_malformed(topic, payload),
                    Record::Clock(micros) => {
                        clocks = Some((clocks.map_or(micros, |(first, _)| first), micros));
                    }
                }
            }
            if reader.torn() {
                published.torn.push(path.clone());
            }
            published.seconds += clocks.map_or(0.0, |(first, last)| (last - first) as f64 / 1e6);
            published.add_events(events::read(path)?);
        }
        Ok(published)
    }

    /// Adds the readings of a message, given by their event times.
    fn add(&mut self, sensor: &SensorRecord, disposition: Disposition, times: impl Iterator<Item = i64>) {
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

    fn add_malformed(&mut self, topic: String, payload: Vec<u8>) {
        self.publications += 1;
        let key = dead_letter_key(&topic, &payload, payload.len() as u64);
        self.malformed.entry(key).or_insert(MalformedMessage { topic, payload, count: 0 }).count += 1;
    }

    /// Adds events, each only once: several manifests of one scenario may hold the same event.
    fn add_events(&mut self, events: Vec<InjectedEvent>) {
        for event in events {
            let known = self.events.entry(event.sensor.clone()).or_default();
            if !known.contains(&event) {
                known.push(event);
            }
        }
    }

    /// Returns the event times of the first and the last reading; `None` without readings.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.sensors.values().map(|sensor| sensor.first_ts).min()?;
        let last = self.sensors.values().map(|sensor| sensor.last_ts).max()?;
        Some((Timestamp(first), Timestamp(last)))
    }

    /// Returns the mean number of confirmed publications per second; `None` if no time passed.
    pub(super) fn readings_per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.publications as f64 / self.seconds)
    }

    /// Splits the sensors into groups whose readings fit into memory.
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

    /// Loads all publications of a group of sensors, by sensor name, sorted by event time.
    pub(super) fn load(
        &self,
        group: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Vec<Publication>>, ManifestError> {
        let mut loaded: BTreeMap<String, Vec<Publication>> = BTreeMap::new();
        let mut field_sets: BTreeMap<Vec<String>, Arc<[String]>> = BTreeMap::new();
        for path in &self.manifests {
            let mut wanted: HashMap<u32, (String, Arc<[String]>)> = HashMap::new();
            for record in ManifestReader::open(path)? {
                match record? {
                    Record::Sensor(sensor) if group.contains(sensor.name.as_str()) => {
                        let fields =
                            field_sets.entry(sensor.fields.clone()).or_insert_with(|| sensor.fields.into());
                        wanted.insert(sensor.index, (sensor.name, Arc::clone(fields)));
                    }
                    Record::Message { sensor, readings, .. } => {
                        let Some((name, fields)) = wanted.get(&sensor) else { continue };
                        let publications = loaded.entry(name.clone()).or_default();
                        publications.extend(readings.into_iter().map(|reading| Publication {
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

/// Returns a hash by which a dead letter is recognised: of its topic, the stored part of its
/// payload, and the length of the whole payload.
pub(super) fn dead_letter_key(topic: &str, payload: &[u8], payload_bytes: u64) -> u128 {
    /// The number of payload bytes that a dead letter stores.
    const STORED_BYTES: usize = 4_096;
    let stored = &payload[..payload.len().min(STORED_BYTES)];
    let text = [&payload_bytes.to_le_bytes()[..], topic.as_bytes(), b"\0", stored].concat();
    xxhash_rust::xxh3::xxh3_128(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ManifestWriter;

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
    fn several_manifests_are_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let manifests = [folder.path().join("a"), folder.path().join("b")];
        // The second manifest gives the same sensor another index.
        for (n, path) in manifests.iter().enumerate() {
            let mut writer = ManifestWriter::create(path).unwrap();
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
        let published = Published::scan(&manifests).unwrap();
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
        assert_eq!(
            ManifestSummary::read(&manifests).unwrap(),
            ManifestSummary { publications: 6, sensors: 1 }
        );
    }

    #[test]
    fn groups_are_bounded_and_complete() {
        let mut published = Published::default();
        for n in 0..10 {
            let record = sensor(0, &format!("s{n}"));
            published.add(&record, Disposition::Plain, 0..180_000);
        }
        let groups = published.groups();
        assert_eq!(groups.iter().map(BTreeSet::len).collect::<Vec<_>>(), [2, 2, 2, 2, 2]);
        let names: BTreeSet<&str> = groups.into_iter().flatten().collect();
        assert!(names.into_iter().eq(published.sensors.keys()));
    }
}
