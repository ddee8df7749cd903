//! Decides at intake which readings may add a sensor, a set of fields or a day of rows. The
//! decision is made before the log, so it is the same in every replay: a refused reading is in the
//! log as a dead letter. No I/O: `registry` reads what is stored and what is in the log.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use thicket_schema::{FieldSet, Reading, Reason, SensorName};
use thicket_store::postgres::day_of;

use super::token_bucket::{Rate, TokenBucket};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// Readings that are not older make the tables of their days without a limit.
const PAST: i64 = 2 * DAY;
/// How long a sensor stays known that is not stored and sends nothing: its readings may wait in the
/// log while PostgreSQL is away.
const UNSTORED: i64 = DAY;
/// The names of one sensor's sets take at most this part of the bound on all names.
const SENSOR_PART: usize = 512;
/// Size of the longest names of a message with 64 fields, in bytes. Each sensor may have so many.
const LARGEST_SET: usize = 64 * FieldSet::MAX_NAME_BYTES;

/// How many sensors there may be, and of how many shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Maximum number of sensors.
    pub max_sensors: usize,
    /// New sensors per second, in the long run.
    pub new_per_second: u32,
    /// New sensors that may come at once.
    pub new_at_once: u32,
    /// Maximum number of different sets of fields of a sensor.
    pub max_field_sets: usize,
    /// Maximum number of different fields of a sensor.
    pub max_fields: usize,
    /// Maximum size of the names of all different sets of fields, in bytes. Each sensor has its part
    /// of as many bytes again, so that no sensor can use up the names of the others.
    pub max_name_bytes: usize,
    /// Tables of past days that one sensor may make per hour, in the long run.
    pub new_days_per_hour: u32,
    /// Tables of past days that one sensor may make at once: the backlog of a time offline.
    pub new_days_at_once: u32,
}

impl AdmissionLimits {
    const fn new_sensors(&self) -> Rate {
        Rate { count: self.new_per_second, period: SECOND, at_once: self.new_at_once }
    }

    const fn new_days(&self) -> Rate {
        Rate { count: self.new_days_per_hour, period: HOUR, at_once: self.new_days_at_once }
    }
}

/// Why a reading is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// What is stored already.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Every sensor, with the ids of its field sets.
    pub(super) sensors: Vec<(SensorName, Vec<i64>)>,
    pub(super) field_sets: Vec<FieldSet>,
    /// The days with a table, as [`day_of`] counts them.
    pub(super) days: Vec<i32>,
}

#[derive(Debug)]
struct Known {
    name: Arc<str>,
    field_sets: Vec<i64>,
    /// The names in its field sets; `None` until a new set is decided on.
    names: Option<Names>,
    /// When it last sent a reading; `None` if it is stored.
    admitted: Option<i64>,
    /// The tables of past days that it may make now.
    new_days: TokenBucket,
}

/// The names in the field sets of one sensor.
#[derive(Clone, Debug, Default)]
struct Names {
    /// The hashes of the different names, in ascending order. They are made with a random key, so
    /// that no device can choose names with the same hash.
    hashes: Vec<u64>,
    /// Size of the names of each set, in bytes.
    bytes: usize,
}

impl Names {
    fn add(&mut self, fields: &FieldSet, hasher: &RandomState) {
        self.hashes.extend(fields.names().iter().map(|name| hasher.hash_one(name)));
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.bytes += name_bytes(fields);
    }

    /// Returns the number of different names with the names of another set.
    fn with(&self, fields: &FieldSet, hasher: &RandomState) -> usize {
        let is_new = |name: &&String| self.hashes.binary_search(&hasher.hash_one(name)).is_err();
        self.hashes.len() + fields.names().iter().filter(is_new).count()
    }
}

/// The sensors, field sets and days that are known.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AdmissionLimits,
    sensors: HashMap<i64, Known>,
    field_sets: HashMap<i64, FieldSet>,
    name_bytes: usize,
    hasher: RandomState,
    days: BTreeSet<i32>,
    /// The new sensors that may come now.
    new_sensors: TokenBucket,
}

impl Admission {
    pub(super) fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            sensors: HashMap::new(),
            field_sets: HashMap::new(),
            name_bytes: 0,
            hasher: RandomState::new(),
            days: BTreeSet::new(),
            new_sensors: TokenBucket::full(limits.new_sensors()),
        }
    }

    /// Returns the number of known sensors.
    #[cfg(test)]
    fn sensors(&self) -> usize {
        self.sensors.len()
    }

    /// Returns the size of the names of all field sets, in bytes.
    pub(super) const fn name_bytes(&self) -> usize {
        self.name_bytes
    }

    /// Takes over what is stored. Forgets sensors that are not stored and have sent nothing lately,
    /// and field sets that are not stored and that no sensor has.
    pub(super) fn refresh(&mut self, stored: Stored, now: i64) {
        let mut before = std::mem::take(&mut self.sensors);
        let mut sets_before = std::mem::take(&mut self.field_sets);
        self.name_bytes = 0;
        for fields in &stored.field_sets {
            self.remember(fields);
        }
        for (name, mut field_sets) in stored.sensors {
            let id = name.id().0;
            let known = before.remove(&id);
            let full = TokenBucket::full(self.limits.new_days());
            let new_days = known.as_ref().map_or(full, |known| known.new_days);
            // Readings of newer field sets may wait in the log.
            let newer = known.map_or_else(Vec::new, |known| known.field_sets);
            field_sets.extend(newer);
            field_sets.sort_unstable();
            field_sets.dedup();
            let name = name.as_str().into();
            self.sensors.insert(id, Known { name, field_sets, names: None, admitted: None, new_days });
        }
        before.retain(|_, known| known.admitted.is_some_and(|admitted| now - admitted < UNSTORED));
        self.sensors.extend(before);
        let ids = self.sensors.values().flat_map(|known| &known.field_sets);
        let waiting: Vec<FieldSet> = ids.filter_map(|id| sets_before.remove(id)).collect();
        for fields in &waiting {
            self.remember(fields);
        }
        self.days.extend(stored.days);
    }

    /// Takes over a sensor with its fields from the log, where an earlier holder of the
    /// subscription has admitted it.
    pub(super) fn note(&mut self, sensor: &SensorName, fields: &FieldSet, now: i64) {
        self.know(sensor, fields, now);
    }

    /// Admits a reading that arrived at `now`, in µs since the Unix epoch, or refuses it.
    pub(super) fn admit(&mut self, reading: &Reading, now: i64) -> Result<(), Refusal> {
        let (id, set) = (reading.sensor.id().0, reading.fields.id());
        let day = day_of(reading.ts);
        let is_new_day = !self.days.contains(&day);
        let is_past_day = is_new_day && now.saturating_sub(reading.ts.0) > PAST;
        if let Some(known) = self.sensors.get_mut(&id)
            && &*known.name == reading.sensor.as_str()
            && !is_past_day
            && known.field_sets.contains(&set)
            && self.field_sets.get(&set) == Some(&reading.fields)
        {
            if let Some(admitted) = &mut known.admitted {
                *admitted = now.max(*admitted);
            }
            if is_new_day {
                self.days.insert(day);
            }
            return Ok(());
        }
        self.check_sensor(reading, now)?;
        self.check_fields(reading)?;
        let new_days = self.check_day(reading, is_past_day, now)?;
        self.days.insert(day);
        if !self.sensors.contains_key(&id) {
            self.new_sensors.take(self.limits.new_sensors());
        }
        self.know(&reading.sensor, &reading.fields, now).new_days = new_days;
        Ok(())
    }

    /// Returns what is known of a sensor, which may be new, after adding a field set to it. Another
    /// sensor with its id stays as it is.
    fn know(&mut self, sensor: &SensorName, fields: &FieldSet, now: i64) -> &mut Known {
        self.remember(fields);
        let known = self.sensors.entry(sensor.id().0).or_insert_with(|| Known {
            name: sensor.as_str().into(),
            field_sets: Vec::new(),
            names: None,
            admitted: Some(now),
            new_days: TokenBucket::full(self.limits.new_days()),
        });
        if &*known.name == sensor.as_str() && !known.field_sets.contains(&fields.id()) {
            known.field_sets.push(fields.id());
            if let Some(names) = &mut known.names {
                names.add(fields, &self.hasher);
            }
        }
        known
    }

    /// Refuses a sensor with the id of another one, and a new sensor beyond the limits.
    fn check_sensor(&mut self, reading: &Reading, now: i64) -> Result<(), Refusal> {
        let name = &reading.sensor;
        if let Some(known) = self.sensors.get(&name.id().0) {
            let owner = &known.name;
            return check(&**owner == name.as_str(), Reason::SensorIdTaken, || {
                format!("the id of the sensor {name} is that of the sensor {owner}; rename the sensor")
            });
        }
        let AdmissionLimits { max_sensors, new_per_second, .. } = self.limits;
        check(self.sensors.len() < max_sensors, Reason::TooManySensors, || {
            format!("{name} is new, and there are {max_sensors} sensors already (sensors.max)")
        })?;
        let may_come = self.new_sensors.raise(self.limits.new_sensors(), now);
        check(may_come, Reason::TooManySensors, || {
            format!(
                "{name} is new, and there are more than {new_per_second} new sensors per second (sensors.new_per_second, sensors.new_at_once)"
            )
        })
    }

    /// Refuses fields whose id is that of other fields, and new fields beyond the limits.
    fn check_fields(&mut self, reading: &Reading) -> Result<(), Refusal> {
        let (name, fields) = (&reading.sensor, &reading.fields);
        let stored = self.field_sets.get(&fields.id());
        check(stored.is_none_or(|stored| stored == fields), Reason::SensorIdTaken, || {
            format!("the id of the fields of {name} is that of other fields; rename a field")
        })?;
        let of_sensor = self.sensors.get(&name.id().0).map_or(&[][..], |known| &known.field_sets);
        if of_sensor.contains(&fields.id()) {
            return Ok(());
        }
        let AdmissionLimits { max_field_sets, max_fields, .. } = self.limits;
        check(of_sensor.len() < max_field_sets, Reason::TooManyShapes, || {
            format!(
                "{name} has sent {max_field_sets} different sets of fields already (sensors.max_field_sets)"
            )
        })?;
        let is_stored = stored.is_some();
        let (count, bytes) = self.names_with(reading);
        check(count <= max_fields, Reason::TooManyShapes, || {
            format!("{name} would have {count} different fields (sensors.max_fields is {max_fields})")
        })?;
        if is_stored { Ok(()) } else { self.check_names(reading, bytes) }
    }

    /// Returns how many different fields the sensor of a reading would have with the reading, and
    /// the size of the names of its field sets, in bytes.
    fn names_with(&mut self, reading: &Reading) -> (usize, usize) {
        let fields = &reading.fields;
        let Some(known) = self.sensors.get_mut(&reading.sensor.id().0) else {
            return (fields.len(), name_bytes(fields));
        };
        // Kept, since a device can send a new set with each message.
        let names = known.names.get_or_insert_with(|| {
            let mut names = Names::default();
            for fields in known.field_sets.iter().filter_map(|id| self.field_sets.get(id)) {
                names.add(fields, &self.hasher);
            }
            names
        });
        (names.with(fields, &self.hasher), names.bytes + name_bytes(fields))
    }

    /// Refuses new names beyond the bound on all names, of which each sensor has its part. `bytes`
    /// is the size of the names of the sensor with the new ones.
    fn check_names(&self, reading: &Reading, bytes: usize) -> Result<(), Refusal> {
        let (name, AdmissionLimits { max_name_bytes, max_sensors, .. }) = (&reading.sensor, self.limits);
        let part = max_name_bytes / max_sensors.max(1);
        if bytes <= part {
            return Ok(());
        }
        let most = (max_name_bytes / SENSOR_PART).max(LARGEST_SET);
        check(bytes <= most, Reason::TooManyShapes, || {
            format!(
                "the names in the sets of fields of {name} would have {bytes} bytes, and one sensor may have {most}: a {SENSOR_PART}th of sensors.max_name_bytes"
            )
        })?;
        let all = self.name_bytes + name_bytes(&reading.fields);
        check(all <= max_name_bytes, Reason::TooManyShapes, || {
            format!(
                "the fields of {name} are new, and the names of all sets of fields would have {all} bytes (sensors.max_name_bytes is {max_name_bytes})"
            )
        })
    }

    /// Refuses a past day without a table if the sensor has made enough of them lately. Returns
    /// those that it may make after this reading.
    fn check_day(&self, reading: &Reading, is_past_day: bool, now: i64) -> Result<TokenBucket, Refusal> {
        let (name, rate) = (&reading.sensor, self.limits.new_days());
        let known = self.sensors.get(&name.id().0);
        let mut new_days = known.map_or_else(|| TokenBucket::full(rate), |known| known.new_days);
        if !is_past_day {
            return Ok(new_days);
        }
        check(new_days.raise(rate, now), Reason::TooManyDays, || {
            format!(
                "no other reading is of the day of {}, and {name} has been the first on {} past days at once, or on more than {} per hour (sensors.new_days_at_once, sensors.new_days_per_hour)",
                reading.ts, rate.at_once, rate.count
            )
        })?;
        new_days.take(rate);
        Ok(new_days)
    }

    fn remember(&mut self, fields: &FieldSet) {
        if !self.field_sets.contains_key(&fields.id()) {
            self.name_bytes += name_bytes(fields);
            self.field_sets.insert(fields.id(), fields.clone());
        }
    }
}

/// Returns the size of the names of a field set, in bytes.
fn name_bytes(fields: &FieldSet) -> usize {
    fields.names().iter().map(String::len).sum()
}

fn check(is_admitted: bool, reason: Reason, detail: impl FnOnce() -> String) -> Result<(), Refusal> {
    if is_admitted { Ok(()) } else { Err(Refusal { reason, detail: detail() }) }
}

#[cfg(test)]
mod tests;
