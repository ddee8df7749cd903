//! A window: the readings from which the fields of a sensor are decided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::MAX_FIELDS;
use crate::scale::CALIBRATION_ROWS;

/// Upper bound of the readings of a window.
pub(crate) const LONGEST_WINDOW: u32 = 1_024;
/// Fields of the readings of a window. Later ones are not kept.
const MAX_WINDOW_FIELDS: usize = 2 * MAX_FIELDS;

/// The readings that the next decision is made from.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Window {
    /// Readings that it lasts.
    pub(crate) length: u32,
    /// Whether it is the first one of the state.
    pub(crate) is_first: bool,
    /// Names of the fields, in the order of their first appearance.
    names: Vec<String>,
    readings: Vec<Kept>,
}

/// A reading of a window.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Kept {
    ts: i64,
    after_silence: bool,
    /// The values, each with the index of its name.
    values: Vec<(u16, f64)>,
}

/// A reading of a window, in the order of the chosen fields. A missing value is NaN.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WindowRow {
    pub(crate) ts: i64,
    pub(crate) after_silence: bool,
    pub(crate) values: Vec<f64>,
}

/// Counts of a field in a window.
pub(crate) struct Tally {
    /// Readings that have the field.
    pub(crate) readings: usize,
    /// Readings whose value differs from the one before.
    pub(crate) changes: usize,
    /// The last value.
    pub(crate) last: f64,
}

impl Window {
    pub(crate) fn new(warm_up: u32, is_first: bool) -> Self {
        Self { length: window_length(warm_up), is_first, names: Vec::new(), readings: Vec::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.readings.len() >= self.length as usize
    }

    /// Returns the index of a name. In most readings, the name stands where it is expected.
    pub(crate) fn index_of(&self, name: &str, expected: usize) -> Option<u16> {
        let index = if self.names.get(expected).is_some_and(|other| other == name) {
            Some(expected)
        } else {
            self.names.iter().position(|other| other == name)
        };
        index.map(|index| index as u16)
    }

    /// Adds a name. Returns its index, or `None` if there are too many names.
    pub(crate) fn add(&mut self, name: &str) -> Option<u16> {
        if self.names.len() >= MAX_WINDOW_FIELDS {
            return None;
        }
        self.names.push(name.to_owned());
        Some((self.names.len() - 1) as u16)
    }

    pub(crate) fn first_value(&self, name: &str) -> Option<f64> {
        let column = self.index_of(name, 0)?;
        let values = self.readings.iter().flat_map(|kept| &kept.values);
        values.into_iter().find(|(index, _)| *index == column).map(|&(_, value)| value)
    }

    #[allow(clippy::float_cmp, reason = "a change of any size is a change")]
    pub(crate) fn tallies(&self) -> BTreeMap<&str, Tally> {
        let empty = || Tally { readings: 0, changes: 0, last: f64::NAN };
        let mut tallies: Vec<Tally> = self.names.iter().map(|_| empty()).collect();
        for &(index, value) in self.readings.iter().flat_map(|kept| &kept.values) {
            let tally = &mut tallies[usize::from(index)];
            tally.changes += usize::from(tally.readings > 0 && tally.last != value);
            tally.readings += 1;
            tally.last = value;
        }
        self.names.iter().map(String::as_str).zip(tallies).filter(|(_, tally)| tally.readings > 0).collect()
    }

    /// Returns the number of readings.
    pub(crate) fn kept(&self) -> usize {
        self.readings.len()
    }

    /// Keeps a reading, unless the window is full. `values` has at least one value, each with the
    /// index of its name.
    pub(crate) fn keep(&mut self, ts: i64, values: Vec<(u16, f64)>) {
        if !self.is_full() {
            self.readings.push(Kept { ts, after_silence: false, values });
        }
    }

    /// Marks the reading with this timestamp as one after a silence, if it is the last one.
    pub(crate) fn mark_silence(&mut self, ts: i64) {
        if let Some(kept) = self.readings.last_mut().filter(|kept| kept.ts == ts) {
            kept.after_silence = true;
        }
    }

    /// Returns the fields with which the scales are calibrated: those in at least two of the
    /// readings so far, or all if there are none.
    pub(crate) fn first_fields(&self) -> Vec<String> {
        let tallies = self.tallies();
        let mut chosen: Vec<_> = tallies.iter().filter(|(_, tally)| tally.readings >= 2).collect();
        if chosen.is_empty() {
            chosen = tallies.iter().collect();
        }
        most_frequent(chosen.into_iter().map(|(&name, tally)| (name, tally.readings)).collect())
    }

    /// Returns the readings that have at least one of the fields, oldest first.
    pub(crate) fn rows(&self, fields: &[String]) -> Vec<WindowRow> {
        let columns: Vec<Option<usize>> =
            self.names.iter().map(|name| fields.binary_search(name).ok()).collect();
        let rows = self.readings.iter().filter_map(|kept| {
            let mut values = vec![f64::NAN; fields.len()];
            let mut known = 0;
            for &(index, value) in &kept.values {
                if let Some(column) = columns[usize::from(index)] {
                    values[column] = value;
                    known += 1;
                }
            }
            (known > 0).then_some(WindowRow { ts: kept.ts, after_silence: kept.after_silence, values })
        });
        rows.collect()
    }

    /// Returns whether every part is within its bound.
    pub(crate) fn is_sound(&self) -> bool {
        let names = self.names.len();
        let is_kept_sound = |kept: &Kept| {
            !kept.values.is_empty() && kept.values.iter().all(|&(index, _)| usize::from(index) < names)
        };
        names <= MAX_WINDOW_FIELDS
            && self.length <= LONGEST_WINDOW
            && self.readings.len() <= LONGEST_WINDOW as usize
            && self.readings.iter().all(is_kept_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.capacity() + size_of::<String>()).sum();
        let readings = self.readings.iter().map(|kept| kept.values.capacity() * size_of::<(u16, f64)>());
        names + readings.sum::<usize>() + self.readings.capacity() * size_of::<Kept>()
    }
}

/// Returns how many readings a window lasts.
pub(crate) fn window_length(warm_up: u32) -> u32 {
    warm_up.clamp(CALIBRATION_ROWS as u32, LONGEST_WINDOW)
}

/// Returns the names of the most frequent fields, sorted, at most as many as a point may have. Of
/// equally frequent fields, the first by name are taken.
pub(crate) fn most_frequent(mut fields: Vec<(&str, usize)>) -> Vec<String> {
    fields.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    fields.truncate(MAX_FIELDS);
    let mut names: Vec<String> = fields.into_iter().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}
