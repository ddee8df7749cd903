//! Which fields of a sensor are scored. The detector keeps the readings of a *window*: first those of
//! the warm-up, later those after a field that is not scored and may be a measurement. At the end of
//! a window, a rule decides the fields. Outside of a window, no reading is kept.
//!
//! The rule, for the `length` readings of a window:
//!
//! - A field must be in at least [`LEAST_READINGS`] of them, and in one of [`RARE`] or in a quarter as
//!   many as the most frequent field: many values that come by turns are each rare, but alike.
//! - At the end of the warm-up, all of these fields are scored, whether they change or not.
//! - Later, a new field must change, and a field that was constant in an earlier window must change
//!   [`RESTLESS`] times: until then, its steps are judged without it. A scored field stays, whether it
//!   changes or not.
//! - If there are more than [`MAX_FIELDS`], the most frequent ones are scored.
//!
//! After a window without a new field, the next one may begin only after a pause, which doubles each
//! time. So a sensor with ever new names costs little.

use serde::{Deserialize, Serialize};

use crate::config::{DetectorConfig, MAX_FIELDS};
use crate::remark::remarks;
use crate::standing::{FieldReport, FieldStanding, Remark, Standing};
use crate::window::{Tally, Window, most_frequent, window_length};

/// A scored field is in at least this many readings of a window.
const LEAST_READINGS: usize = 4;
/// A scored field is in at least one of this many readings of a window, unless all are rare.
const RARE: usize = 16;
/// A scored field is in at least one of this many readings of the most frequent field, if it is
/// rare.
const RARE_AMONG_RARE: usize = 4;
/// A field that was constant joins if it changes this many times in a window. Until then, it is
/// watched, and the forest stays as it is.
const RESTLESS: usize = 8;
/// Fields whose names are kept although they are not scored.
const MAX_LEFT_OUT: usize = 256;
/// The longest pause between two windows, in windows.
const LONGEST_PAUSE: u64 = 64;

/// What a detector knows about the fields of its sensor, besides the scored ones.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Tracker {
    /// Fields that are not scored, sorted by name, at most [`MAX_LEFT_OUT`].
    left_out: Vec<LeftOut>,
    /// How often a reading had a field whose name was not kept, because there were too many.
    untracked: u64,
    /// Readings observed.
    seen: u64,
    /// The next window begins after this many observed readings at the earliest.
    pause_until: u64,
    /// Readings from the end of the next window without a new field to the window after it.
    pause: u64,
    window: Option<Window>,
    /// What is remarkable about the fields that were scored at the end of the last window, by name.
    remarks: Vec<(String, Remark)>,
}

/// A field that is not scored.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct LeftOut {
    name: String,
    why: Why,
}

/// Why a field is not scored.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
enum Why {
    Excluded,
    NotListed,
    /// It had this value in the last window.
    Constant(f64),
    Rare,
    Limit,
}

/// What the tracker found in a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Whether the window has kept the reading: it has a field that may be scored.
    pub(crate) kept: bool,
    /// Whether the report about the fields has changed.
    pub(crate) reports: bool,
}

impl Tracker {
    /// Creates the tracker of a new state. Its first window lasts as long as the warm-up.
    pub(crate) fn new(warm_up: u32) -> Self {
        Self { window: Some(Window::new(warm_up, true)), ..Self::default() }
    }

    /// Changes the length of the open window, if there is one.
    pub(crate) fn set_length(&mut self, warm_up: u32) {
        if let Some(window) = &mut self.window {
            window.length = window_length(warm_up);
        }
    }

    /// Observes a reading. `fields` are the scored fields, sorted.
    ///
    /// The caller may leave out a reading that has only scored fields while no window is
    /// [open](Self::is_watching).
    pub(crate) fn observe<'a>(
        &mut self,
        ts: i64,
        reading: (&'a [String], &[f64]),
        fields: &[String],
        config: &DetectorConfig,
        warm_up: u32,
    ) -> Observed {
        self.seen += 1;
        let mut observed = Observed::default();
        let finite = |(name, &value): (&'a String, &f64)| value.is_finite().then_some((name, value));
        let named = || reading.0.iter().zip(reading.1).filter_map(finite);
        let is_scored = |name: &String| fields.binary_search(name).is_ok();
        if self.window.is_none() {
            let mut finds_candidate = false;
            for (name, value) in named().filter(|(name, _)| !is_scored(name)) {
                finds_candidate |= self.is_candidate(name, value, config, &mut observed.reports);
            }
            let is_paused = self.seen <= self.pause_until || fields.len() >= MAX_FIELDS;
            if !finds_candidate || is_paused {
                return observed;
            }
            self.window = Some(Window::new(warm_up, false));
        }
        let mut values = Vec::new();
        for (name, value) in named() {
            let known = self.window.as_ref().and_then(|window| window.index_of(name, values.len()));
            let index = known.or_else(|| {
                let may_be_scored =
                    is_scored(name) || self.is_candidate(name, value, config, &mut observed.reports);
                let window = self.window.as_mut().filter(|_| may_be_scored)?;
                let index = window.add(name);
                observed.reports |= index.is_none() && count(&mut self.untracked);
                index
            });
            values.extend(index.map(|index| (index, value)));
        }
        if let Some(window) = &mut self.window
            && !values.is_empty()
        {
            observed.kept = true;
            window.keep(ts, values);
        }
        observed
    }

    /// Returns whether a name that is not scored may become so. Keeps the name of a field that may
    /// not.
    fn is_candidate(&mut self, name: &str, value: f64, config: &DetectorConfig, reports: &mut bool) -> bool {
        let at = match self.left_out.binary_search_by(|left_out| left_out.name.as_str().cmp(name)) {
            Ok(index) => {
                return match self.left_out[index].why {
                    Why::Excluded | Why::NotListed => false,
                    Why::Constant(constant) => self.window.is_some() || constant.to_bits() != value.to_bits(),
                    Why::Rare | Why::Limit => true,
                };
            }
            Err(at) => at,
        };
        let why = if !config.fields.is_empty() {
            if config.fields.iter().any(|field| field == name) {
                return true;
            }
            Why::NotListed
        } else if config.counters.iter().any(|counter| counter == name)
            || config.exclude.matching(name).is_none()
        {
            return true;
        } else {
            Why::Excluded
        };
        if self.left_out.len() < MAX_LEFT_OUT {
            self.left_out.insert(at, LeftOut { name: name.to_owned(), why });
            *reports = true;
        } else {
            *reports |= count(&mut self.untracked);
        }
        false
    }

    /// Returns whether a window is open, so that every reading must be observed.
    pub(crate) fn is_watching(&self) -> bool {
        self.window.is_some()
    }

    /// Returns whether the window is full, so that the fields can be decided.
    pub(crate) fn is_full(&self) -> bool {
        self.window.as_ref().is_some_and(Window::is_full)
    }

    /// Returns whether the open window is the first one of the state.
    pub(crate) fn is_in_first_window(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.is_first)
    }

    /// Returns the number of readings that the window has kept.
    pub(crate) fn kept(&self) -> usize {
        self.window.as_ref().map_or(0, Window::kept)
    }

    /// Marks the reading with this timestamp as one after a silence, if the window has kept it.
    pub(crate) fn mark_silence(&mut self, ts: i64) {
        if let Some(window) = &mut self.window {
            window.mark_silence(ts);
        }
    }

    /// Returns the names of the fields that are not scored because they did not change, sorted.
    pub(crate) fn constants(&self) -> Vec<String> {
        let constants = self.left_out.iter().filter(|left_out| matches!(left_out.why, Why::Constant(_)));
        constants.map(|left_out| left_out.name.clone()).collect()
    }

    /// Ends the window without a decision.
    pub(crate) fn close(&mut self) {
        self.window = None;
    }

    /// Returns the window, if one is open.
    pub(crate) fn window(&self) -> Option<&Window> {
        self.window.as_ref()
    }

    /// Decides the fields by the readings of the full window. Returns the new fields, sorted, or
    /// `None` if they stay as they are. The window stays open.
    #[allow(clippy::float_cmp, reason = "a change of any size is a change")]
    pub(crate) fn decide(&mut self, fields: &[String], config: &DetectorConfig) -> Option<Vec<String>> {
        let window = self.window.as_ref()?;
        let tallies = window.tallies();
        let most = tallies.values().map(|tally| tally.readings).max().unwrap_or(0);
        let enough = LEAST_READINGS.max((window.kept() / RARE).min(most / RARE_AMONG_RARE));
        let is_frequent = |tally: &Tally| tally.readings >= enough;
        let is_current = |name: &str| fields.binary_search_by(|field| field.as_str().cmp(name)).is_ok();
        let moves = |name: &str, tally: &Tally| {
            let is_named = config.counters.iter().any(|counter| counter == name);
            is_named
                || match self.constant(name) {
                    Some(constant) => {
                        let first = window.first_value(name);
                        let changes =
                            tally.changes + usize::from(first.is_some_and(|first| first != constant));
                        changes >= RESTLESS
                    }
                    None => tally.changes >= 1,
                }
        };
        let chooses = |name: &str, tally: &Tally| {
            is_frequent(tally) && (window.is_first || moves(name, tally) || is_current(name))
        };
        let chosen: Vec<_> = tallies
            .iter()
            .filter(|(name, tally)| chooses(name, tally))
            .map(|(&name, t)| (name, t.readings))
            .collect();
        let mut decided = most_frequent(chosen);
        if decided.is_empty() && window.is_first {
            let frequent = tallies.iter().filter(|(_, tally)| is_frequent(tally));
            decided = most_frequent(frequent.map(|(&name, tally)| (name, tally.readings)).collect());
        }
        let grows = decided.iter().any(|name| !is_current(name));
        let changes = !decided.is_empty() && (grows || window.is_first && decided != fields);
        let scored = if changes { decided.as_slice() } else { fields };

        let mut left_out: Vec<LeftOut> = tallies
            .iter()
            .filter(|(name, _)| scored.binary_search_by(|field| field.as_str().cmp(name)).is_err())
            .map(|(&name, tally)| {
                let why = match () {
                    () if !is_frequent(tally) => Why::Rare,
                    () if moves(name, tally) => Why::Limit,
                    () => Why::Constant(tally.last),
                };
                LeftOut { name: name.to_owned(), why }
            })
            .collect();
        let is_in_window = |name: &str| tallies.contains_key(name);
        let is_kept = |other: &&LeftOut| {
            matches!(other.why, Why::Excluded | Why::NotListed | Why::Constant(_))
                && !is_in_window(&other.name)
        };
        left_out.extend(self.left_out.iter().filter(is_kept).cloned());
        // Of too many names, those of fields that may still become scored are forgotten first.
        left_out.sort_by_key(|left_out| matches!(left_out.why, Why::Rare | Why::Limit));
        let forgotten = left_out.len().saturating_sub(MAX_LEFT_OUT);
        left_out.truncate(MAX_LEFT_OUT);
        left_out.sort_by(|a, b| a.name.cmp(&b.name));

        let length = u64::from(window.length);
        let pause = if changes || window.is_first { 0 } else { self.pause.max(length) };
        self.pause_until = self.seen + pause;
        self.pause = if pause == 0 { length } else { (2 * pause).min(LONGEST_PAUSE * length) };
        self.untracked += forgotten as u64;
        self.left_out = left_out;
        self.remarks = remarks_of(scored, window, config);
        changes.then_some(decided)
    }

    /// Returns what becomes of each field. `fields` are the scored ones.
    pub(crate) fn report(&self, fields: &[String], config: &DetectorConfig) -> FieldReport {
        let scored = fields.iter().map(|name| {
            let remark = self.remarks.binary_search_by(|(other, _)| other.cmp(name));
            let remark = remark.ok().map(|index| self.remarks[index].1.clone());
            FieldStanding { name: name.clone(), standing: Standing::Scored, remark }
        });
        let left_out = self.left_out.iter().map(|LeftOut { name, why }| {
            let standing = match why {
                Why::Excluded => Standing::Excluded {
                    pattern: config.exclude.matching(name).unwrap_or_default().to_owned(),
                },
                Why::NotListed => Standing::NotListed,
                Why::Constant(_) => Standing::Constant,
                Why::Rare => Standing::Rare,
                Why::Limit => Standing::Limit,
            };
            FieldStanding { name: name.clone(), standing, remark: None }
        });
        let mut standings: Vec<FieldStanding> = scored.chain(left_out).collect();
        standings.sort_by(|a, b| a.name.cmp(&b.name));
        FieldReport { standings, untracked: highest_power_of_two(self.untracked) }
    }

    /// Returns the value that a field had in the last window, if it was constant.
    fn constant(&self, name: &str) -> Option<f64> {
        let index = self.left_out.binary_search_by(|left_out| left_out.name.as_str().cmp(name)).ok()?;
        match self.left_out[index].why {
            Why::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Returns whether this tracker can be continued by a detector that has a model, or has none
    /// yet.
    pub(crate) fn is_sound(&self, has_model: bool) -> bool {
        let window_fits = self.window.as_ref().is_none_or(Window::is_sound);
        window_fits
            && (has_model || self.window.is_some())
            && self.left_out.len() <= MAX_LEFT_OUT
            && self.remarks.len() <= MAX_FIELDS
    }

    pub(crate) fn memory_usage(&self) -> usize {
        let left_out: usize = self.left_out.iter().map(|left_out| left_out.name.capacity()).sum();
        let remarks = self.remarks.iter().map(|(name, remark)| name.capacity() + remark.repeated().len());
        left_out
            + remarks.sum::<usize>()
            + self.remarks.capacity() * size_of::<(String, Remark)>()
            + self.left_out.capacity() * size_of::<LeftOut>()
            + self.window.as_ref().map_or(0, Window::memory_usage)
    }
}

/// Returns what is remarkable about the scored fields, by the readings of a window, sorted by name. A
/// field that is configured as a counter may count.
fn remarks_of(scored: &[String], window: &Window, config: &DetectorConfig) -> Vec<(String, Remark)> {
    let found = scored.iter().zip(remarks(scored, &window.rows(scored)));
    let found = found.filter_map(|(name, remark)| Some((name.clone(), remark?)));
    found.filter(|(name, remark)| *remark != Remark::Counts || !config.counters.contains(name)).collect()
}

/// Increments a count. Returns whether it is a power of two now, so that it is reported seldom.
fn count(counter: &mut u64) -> bool {
    *counter = counter.saturating_add(1);
    counter.is_power_of_two()
}

/// Returns the greatest power of two that is not above a number, or 0.
fn highest_power_of_two(number: u64) -> u64 {
    number.checked_ilog2().map_or(0, |exponent| 1 << exponent)
}

#[cfg(test)]
mod tests;
