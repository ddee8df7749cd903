//! The order of one sensor's readings in time. Pure: decides for each reading, in the order of the
//! log, whether it is next in time, late, a duplicate or a conflict, and at which time it is
//! stored.
//!
//! Several readings of one written time are kept in order: each is stored at the next free
//! microsecond. After some late readings in a row that are in order among themselves, the sensor's
//! time begins again: its clock has gone back. It begins again at once with a reading that has its
//! arrival time and is far behind: the engine's own clock has gone back. An era is the time between
//! two such moments.

use std::collections::BTreeMap;

use thicket_schema::{FieldSet, Reading, Timestamp};
use thicket_store::postgres::{ClockState, NearRow, TimeFacts};
use xxhash_rust::xxh3::Xxh3;

/// Maximum number of readings with one written time: each is stored less than a millisecond later.
pub const MAX_AT_ONE_TIME: i64 = 1_000;

/// Number of the newest stored readings of a sensor that are remembered, and those of the newest
/// written time. After a reconnect, the broker delivers thousands of messages again: a sensor's
/// last readings are recognised as duplicates without a question to the database.
const RECENT: usize = if cfg!(test) { 8 } else { 128 };

/// Maximum number of stored readings of a sensor that are remembered.
const MAX_RECENT: usize = RECENT + MAX_AT_ONE_TIME as usize;

const MICROS_OF_SECOND: i64 = 1_000_000;

/// How far a reading with its arrival time may be behind the newest one without a new era. A row of
/// such readings is not waited for: a sensor that sends one in ten minutes would wait for hours.
const ARRIVAL_BEHIND: i64 = 60 * MICROS_OF_SECOND;

/// Where a reading is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time at which it is stored.
    pub ts: Timestamp,
    /// Whether that is not its written time.
    pub shifted: bool,
    /// How often the sensor's time had begun again.
    pub era: i32,
}

/// The decision on a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The next reading in time.
    Next {
        /// Where it is stored.
        place: Place,
        /// Whether the sensor's time begins again with it.
        begins: bool,
    },
    /// It is older than another reading.
    Late(Place),
    /// The same reading is stored already.
    Duplicate,
    /// Another reading is stored at its time, and no rule allows both.
    Conflict,
    /// The stored rows near its time must be known to decide.
    Unknown,
}

/// A stored reading, without its time.
#[derive(Clone, Debug)]
struct Occupant {
    content: u64,
    fields: FieldSet,
    shifted: bool,
}

/// Stored readings of one sensor by their time, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Occupied(BTreeMap<i64, Occupant>);

/// The result of looking for a free time.
enum Slot {
    Free(i64),
    Duplicate,
    Conflict,
}

impl Occupied {
    /// Adds a stored reading. The first reading at a time stays.
    pub fn insert(&mut self, place: Place, fields: &FieldSet, values: &[f64]) {
        let content = content_of(fields, values);
        let occupant = Occupant { content, fields: fields.clone(), shifted: place.shifted };
        self.0.entry(place.ts.0).or_insert(occupant);
    }

    /// Adds a row of the database.
    pub fn insert_row(&mut self, row: &NearRow) {
        let place = Place { ts: row.ts, shifted: row.shifted, era: 0 };
        self.insert(place, &row.fields, &row.values);
    }

    /// Looks for the time at which a reading can be stored.
    fn slot(&self, reading: &Reading) -> Slot {
        let written = reading.ts.0;
        let content = content_of(&reading.fields, &reading.values);
        let near = || self.0.range(written..=written + MAX_AT_ONE_TIME);
        // A shifted row exactly at the written time belongs to an earlier written time.
        let is_of_this_time = |(ts, row): &(&i64, &Occupant)| (**ts == written) != row.shifted;
        if near().filter(is_of_this_time).any(|(_, row)| row.content == content) {
            return Slot::Duplicate;
        }
        let has_own = self.0.get(&written).is_some_and(|row| !row.shifted);
        let is_joined =
            || near().filter(is_of_this_time).all(|(_, row)| are_disjoint(&row.fields, &reading.fields));
        if has_own && written.rem_euclid(MICROS_OF_SECOND) != 0 && !is_joined() {
            return Slot::Conflict;
        }
        let free = (written..written + MAX_AT_ONE_TIME).find(|ts| !self.0.contains_key(ts));
        free.map_or(Slot::Conflict, Slot::Free)
    }
}

/// The time of one sensor: what decides on its next reading.
#[derive(Clone, Debug, Default)]
pub struct TimeOrder {
    era: i32,
    /// The newest stored time of this era.
    newest: Option<i64>,
    /// The newest stored time of all eras.
    highest: Option<i64>,
    /// All stored readings at or after `recent_from`.
    recent: Occupied,
    /// `None` until a reading is newer than all that are stored: then `recent` is unknown.
    recent_from: Option<i64>,
    /// Late readings in a row, each newer than the one before.
    late: u32,
    last_late: i64,
}

impl TimeOrder {
    /// Restores the order of a sensor. `newest` is the newest time that its detector knows.
    pub fn restore(facts: &TimeFacts, newest: Option<i64>) -> Self {
        let newest = facts.newest.map(|ts| ts.0).or(newest);
        let (mut highest, mut late, mut last_late) = (facts.highest.map(|ts| ts.0).max(newest), 0, 0);
        if let Some(state) = &facts.state {
            highest = highest.max(state.ahead_of.map(|ts| ts.0));
            (late, last_late) = (state.late, state.last_late.0);
        }
        Self {
            era: facts.era,
            newest,
            highest,
            late,
            last_late,
            recent: Occupied::default(),
            recent_from: None,
        }
    }

    /// Decides on a reading. `near` has the stored rows near its time; it is needed if the reading
    /// is not newer than all that are stored. After `begin_again_after` late readings in a row, the
    /// next one begins the sensor's time again, and one with its arrival time does so at once if it
    /// is more than a minute behind; never with 0.
    pub fn decide(&self, reading: &Reading, begin_again_after: u32, near: Option<&Occupied>) -> Step {
        let (written, era) = (reading.ts.0, self.era);
        if self.highest.is_none_or(|highest| written > highest) {
            return Step::Next { place: Place { ts: reading.ts, shifted: false, era }, begins: false };
        }
        let is_recent = self.recent_from.is_some_and(|from| written >= from);
        let Some(occupied) = (if is_recent { Some(&self.recent) } else { near }) else {
            return Step::Unknown;
        };
        let ts = match occupied.slot(reading) {
            Slot::Free(ts) => ts,
            Slot::Duplicate => return Step::Duplicate,
            Slot::Conflict => return Step::Conflict,
        };
        let place = Place { ts: Timestamp(ts), shifted: ts != written, era };
        if self.newest.is_none_or(|newest| ts > newest) {
            return Step::Next { place, begins: false };
        }
        let follows = self.late >= begin_again_after && ts > self.last_late;
        let clock_went_back =
            reading.stamped && self.newest.is_some_and(|newest| newest.saturating_sub(ts) > ARRIVAL_BEHIND);
        let begins = begin_again_after > 0 && (follows || clock_went_back);
        if begins && let Some(era) = era.checked_add(1) {
            return Step::Next { place: Place { era, ..place }, begins: true };
        }
        Step::Late(place)
    }

    /// Records that a reading is stored as [`Step::Next`] or [`Step::Late`] said.
    pub fn store(&mut self, step: Step, reading: &Reading) {
        let (place, is_late) = match step {
            Step::Next { place, .. } => (place, false),
            Step::Late(place) => (place, true),
            Step::Duplicate | Step::Conflict | Step::Unknown => return,
        };
        let ts = place.ts.0;
        if self.highest.is_none_or(|highest| reading.ts.0 > highest) {
            if self.recent_from.is_none() {
                self.recent.0.clear();
                self.recent_from = Some(ts);
            }
            while self.recent.0.len() >= RECENT
                && let Some((oldest, _)) = self.recent.0.pop_first()
            {
                self.recent_from = Some(oldest + 1);
            }
        }
        if self.recent_from.is_some_and(|from| ts >= from) {
            self.recent.insert(place, &reading.fields, &reading.values);
        }
        // Readings that are not newer than all others add to the recent ones, too.
        while self.recent.0.len() > MAX_RECENT
            && let Some((oldest, _)) = self.recent.0.pop_first()
        {
            self.recent_from = Some(oldest + 1);
        }
        self.highest = self.highest.max(Some(ts));
        if is_late {
            self.late = if self.late > 0 && ts > self.last_late { self.late.saturating_add(1) } else { 1 };
            self.last_late = ts;
        } else {
            (self.era, self.newest, self.late) = (place.era, Some(ts), 0);
        }
    }

    /// Returns whether a time is newer than all that are stored.
    fn is_ahead_of_all(&self, ts: Timestamp) -> bool {
        self.highest.is_none_or(|highest| ts.0 > highest)
    }

    /// Returns whether the stored rows near a reading are needed to decide on it.
    pub fn needs_near(&self, reading: &Reading) -> bool {
        self.decide(reading, 0, None) == Step::Unknown
    }

    /// Returns the times of readings whose decision needs the rows near them.
    pub fn unknown_times(&self, readings: &[Reading]) -> Vec<Timestamp> {
        let mut times: Vec<Timestamp> =
            readings.iter().map(|reading| reading.ts).filter(|&ts| !self.is_ahead_of_all(ts)).collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Returns the newest stored time of the present era.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest.map(Timestamp)
    }

    /// Returns how often the sensor's time has begun again.
    pub fn era(&self) -> i32 {
        self.era
    }

    /// Returns the part of the state that the rows of late readings cannot give back to a restore.
    pub fn state(&self) -> ClockState {
        let ahead_of = self.highest.filter(|&highest| self.newest.is_some_and(|newest| newest < highest));
        let last_late = if self.late > 0 { self.last_late } else { 0 };
        ClockState { late: self.late, last_late: Timestamp(last_late), ahead_of: ahead_of.map(Timestamp) }
    }
}

/// Returns a hash of the names and the bits of the values of a reading.
fn content_of(fields: &FieldSet, values: &[f64]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&fields.id().to_le_bytes());
    for value in values {
        hasher.update(&value.to_bits().to_le_bytes());
    }
    hasher.digest()
}

/// Whether two field sets have no name in common.
fn are_disjoint(a: &FieldSet, b: &FieldSet) -> bool {
    // Both are sorted.
    let mut others = b.names().iter().peekable();
    a.names().iter().all(|name| {
        while others.next_if(|other| *other < name).is_some() {}
        others.peek() != Some(&name)
    })
}

#[cfg(test)]
mod tests;
