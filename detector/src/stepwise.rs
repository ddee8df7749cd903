//! A field that takes few values and stays at each: a contact, a mode, a set point, an error count.
//! Such a field is *stepwise*. It is judged by how rare its value is, how rare the change to it, and
//! how rare so long a stay. The views are of little use for it: the usual value looks unusual to them
//! for a while after a single blip, because the moving means still remember the blip.
//!
//! Rarities are −log10 of a share of all readings, so they compare with those of
//! [`grade`](crate::grade). With N readings in the past:
//!
//! - *A new value*: log10(N + 1) at most if it is as near to a known value as new values have been
//!   before. A greater step is rarer. A step within the noise floor is none.
//! - *A known value*: by the share of the arrivals at it. A value that covers an eighth of all readings
//!   is never rare by itself.
//! - *A change*: by the share of this pair of values, if nearly all changes from the first value lead
//!   elsewhere. So the return from a blip is not rare, and a wrong order is.
//! - *A stay*: by the share of the stays that were as long. Beyond the longest one, the rarity grows
//!   with each doubling. Likewise, several changes within a shorter time than ever.

use serde::{Deserialize, Serialize};

use crate::durations::rarity_of_share;
use crate::new_values::{NewValues, Step};
use crate::pace::Pace;
use crate::value_table::{MOST_VALUES, ValueTable};

/// A value with at least this share of the readings is not rare by itself.
const FAMILIAR: f64 = 1.0 / 8.0;
/// An order of two values counts fully if it is as rare as one in 10 to this power among the changes
/// from the first value.
const SURE_ORDER: f64 = 2.0;
/// A value with at least this share of the readings is the one at which the field rests.
const RESTING: f64 = 0.5;
/// A value with at least this share of the readings is usual whatever the readings before are.
const REST: f64 = 7.0 / 8.0;
/// Ended stays that must be known before a stay at the resting value can be too long.
const KNOWN_STAYS: u64 = 32;

/// Readings after which a constant field is stepwise.
const CONSTANT_AFTER: u64 = 32;
/// Readings after which a field with two values is stepwise.
const TWO_VALUES_AFTER: u64 = 64;
/// Readings after which a field with more values may be stepwise.
const MORE_VALUES_AFTER: u64 = 256;
/// The number of values of a stepwise field that changes often.
const FEW_VALUES: usize = 6;
/// At most one reading in this many changes the value of a stepwise field with few values.
const FEW_CHANGES: u64 = 4;
/// At most one reading in this many changes the value of a stepwise field with any number of values.
const RARE_CHANGES: u64 = 64;
/// Readings that the share of arrivals at new values reaches back.
const NOVELTY_REACH: f64 = 64.0;
/// With this share of recent readings that arrive at new values, a field is not stepwise any more.
const MOST_NOVELTY: f64 = 0.5;
/// A value with fewer readings is new.
const NEW_READINGS: u64 = 4;
/// A field with this many short stays at new values is not stepwise any more ...
const MOST_STRAYS: u64 = 8;
/// ... if there was one in this many readings.
const RARE_STRAYS: u64 = 256;

/// Whether a field is stepwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
enum Kind {
    /// Its readings do not say it yet.
    #[default]
    Undecided,
    Stepwise,
    /// It takes many values.
    Continuous,
}

/// One field: its known values, and whether it is stepwise.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct FieldSteps {
    kind: Kind,
    table: ValueTable,
    /// Learnt readings when the last new value came.
    newest_value_at: u64,
    new_values: NewValues,
    /// Share of recent readings that arrive at new values.
    novelty: f64,
    /// Departures from values that were still new.
    strays: u64,
    pace: Pace,
    /// The value of the last reading.
    last: Option<Stay>,
}

/// The stay at the present value.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Stay {
    value: f64,
    /// Timestamps of its first and last reading, in microseconds since 1970.
    since: i64,
    until: i64,
    /// Whether the first reading is the arrival: no silence hides it.
    is_whole: bool,
    /// Rarity of the arrival.
    arrival: f64,
}

/// How rare a reading of a stepwise field is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StepRarity {
    /// Of the value, or of the arrival at it.
    pub(crate) value: f64,
    /// Of the change from the value before.
    pub(crate) change: f64,
    /// Of so long a stay, or of so many changes in so short a time.
    pub(crate) stay: f64,
}

impl StepRarity {
    /// Returns the greatest of the rarities.
    pub(crate) fn rarity(self) -> f64 {
        self.value.max(self.change).max(self.stay)
    }
}

/// A value of a field with its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepReading {
    /// In microseconds since 1970.
    pub(crate) ts: i64,
    /// A finite number.
    pub(crate) value: f64,
    /// Whether the reading comes after a silence.
    pub(crate) after_silence: bool,
}

impl FieldSteps {
    /// Judges a reading, and learns it if `learn` is true. The rarity is 0 if the field is not
    /// stepwise.
    pub(crate) fn observe(&mut self, reading: StepReading, learn: bool) -> StepRarity {
        let StepReading { ts, value, after_silence } = reading;
        if self.kind == Kind::Continuous {
            return StepRarity::default();
        }
        let before = self.last.filter(|last| !after_silence && ts > last.until);
        let mut stay = match before {
            #[allow(clippy::float_cmp, reason = "a stay is at one value, to the bit")]
            Some(stay) if stay.value == value => Stay { until: ts, ..stay },
            _ => Stay { value, since: ts, until: ts, is_whole: before.is_some(), arrival: 0.0 },
        };
        let rarity =
            if self.kind == Kind::Stepwise { self.judge(before, stay) } else { StepRarity::default() };
        if stay.is_arrival() {
            stay.arrival = rarity.rarity();
        }
        self.follow_novelty(stay);
        if learn {
            self.learn(before, stay);
        }
        if before.is_none() {
            self.pace.begin_again();
        } else if stay.is_arrival() {
            self.pace.follow(ts, learn);
        }
        self.last = Some(stay);
        self.decide();
        rarity
    }

    /// Returns whether the field is stepwise.
    pub(crate) fn is_stepwise(&self) -> bool {
        self.kind == Kind::Stepwise
    }

    /// Returns whether the field has taken more than one value.
    pub(crate) fn has_moved(&self) -> bool {
        self.table.values().len() > 1
    }

    /// Returns the number of known values.
    pub(crate) fn known_values(&self) -> usize {
        self.table.values().len()
    }

    /// Returns whether a value is one of the most usual ones.
    pub(crate) fn is_usual(&self, value: f64) -> bool {
        let is_rest = || {
            let share = self.table.find(value).map_or(0.0, |index| self.table.share(index));
            share >= REST || share >= FAMILIAR && self.is_at_rest()
        };
        self.kind == Kind::Stepwise && is_rest()
    }

    /// Returns whether the field is stepwise and hardly ever changes.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.kind == Kind::Stepwise && RARE_CHANGES * self.table.moves() <= self.readings()
    }

    /// Returns what is expected of the field: the lowest, the most frequent and the greatest of the
    /// values that cover nearly all readings.
    pub(crate) fn expected(&self) -> Option<[f64; 3]> {
        let values = self.table.values();
        let dominant = values[self.table.dominant()?].value;
        let usual = (0..values.len()).filter(|&index| self.table.share(index) >= FAMILIAR);
        let usual = usual.map(|index| values[index].value);
        let low = usual.clone().fold(dominant, f64::min);
        Some([low, dominant, usual.fold(dominant, f64::max)])
    }

    /// Returns whether every part is within its bound.
    pub(crate) fn is_sound(&self) -> bool {
        self.table.is_sound()
            && self.new_values.is_sound()
            && (0.0..=1.0).contains(&self.novelty)
            && self.pace.is_sound()
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.table.memory_usage() + self.pace.memory_usage() + self.new_values.memory_usage()
    }

    /// Forgets the last reading: the clock of the sensor has changed.
    pub(crate) fn begin_again(&mut self) {
        self.last = None;
        self.pace.begin_again();
    }

    fn judge(&self, before: Option<Stay>, stay: Stay) -> StepRarity {
        let Some(index) = self.table.find(stay.value) else {
            let value = if stay.is_arrival() {
                self.new_values.rarity(self.step_to(stay.value), self.readings())
            } else {
                stay.arrival
            };
            return StepRarity { value, ..StepRarity::default() };
        };
        let readings = self.readings();
        let known = &self.table.values()[index];
        let unfamiliarity = (1.0 - self.table.share(index) / FAMILIAR).max(0.0);
        if !stay.is_arrival() {
            // A reading of a stay is as rare as the value, but begins no anomaly.
            let value = (unfamiliarity * rarity_of_share(known.readings, readings)).min(stay.arrival);
            return StepRarity { value, change: 0.0, stay: self.rarity_of_stay(index, before, stay) };
        }
        let from = before.and_then(|before| self.table.find(before.value));
        StepRarity {
            value: unfamiliarity * rarity_of_share(self.table.visits_as_rare(index), readings),
            change: from.map_or(0.0, |from| self.rarity_of_change(from, index)),
            stay: self.rarity_of_pace(index, stay),
        }
    }

    /// Returns the rarity of a change between two known values.
    fn rarity_of_change(&self, from: usize, to: usize) -> f64 {
        let followed = self.table.followed(from, to);
        let of_all = rarity_of_share(followed, self.readings());
        let of_changes = rarity_of_share(followed, self.table.left(from));
        of_all * (of_changes / SURE_ORDER).min(1.0)
    }

    /// Returns the rarity of so long a stay. At the value at which the field rests, only the first
    /// reading after each doubling of the longest stay is rare: the readings themselves are the most
    /// usual ones.
    fn rarity_of_stay(&self, index: usize, before: Option<Stay>, stay: Stay) -> f64 {
        let known = &self.table.values()[index];
        if !stay.is_whole {
            return 0.0;
        }
        if self.table.share(index) >= FAMILIAR {
            let now = known.stays.doublings(stay.length());
            let earlier = before.map_or(f64::NEG_INFINITY, |before| known.stays.doublings(before.length()));
            if known.stays.count() < KNOWN_STAYS || now < 1.0 || earlier >= now.floor() {
                return 0.0;
            }
        }
        let among_stays = known.stays.rarity_of_long(stay.length());
        among_stays + among_stays.min(1.0) * rarity_of_share(known.visits, self.readings())
    }

    /// Returns the rarity of so many changes in so short a time. An arrival at the value at which the
    /// field rests is none of them.
    fn rarity_of_pace(&self, index: usize, stay: Stay) -> f64 {
        if self.table.share(index) >= RESTING {
            return 0.0;
        }
        let among_changes = self.pace.rarity(stay.since);
        among_changes + among_changes.min(1.0) * rarity_of_share(self.table.moves(), self.readings())
    }

    fn learn(&mut self, before: Option<Stay>, stay: Stay) {
        let known = self.table.find(stay.value);
        let index = if let Some(index) = known.filter(|_| !stay.is_arrival()) {
            index
        } else {
            if known.is_none() {
                self.newest_value_at = self.readings();
                self.new_values.learn(self.step_to(stay.value));
            }
            let from = before.and_then(|before| self.table.find(before.value));
            if from.is_some_and(|from| self.table.values()[from].readings < NEW_READINGS) {
                self.strays += 1;
            }
            if let Some((from, ended)) = from.zip(before).filter(|(_, ended)| ended.is_whole) {
                self.table.end_stay(from, stay.since.abs_diff(ended.since));
            }
            self.table.arrive(stay.value, from)
        };
        self.table.count(index);
    }

    fn follow_novelty(&mut self, stay: Stay) {
        let index = self.table.find(stay.value);
        let is_known = index.is_some_and(|index| self.table.values()[index].readings >= NEW_READINGS);
        let is_new = stay.is_arrival() && !is_known;
        self.novelty += (f64::from(u8::from(is_new)) - self.novelty) / NOVELTY_REACH;
    }

    /// Decides what kind of field this is.
    fn decide(&mut self) {
        let (readings, moves, values) = (self.table.readings(), self.table.moves(), self.known_values());
        let settled = readings >= MORE_VALUES_AFTER;
        let is_stepwise = || match values {
            0 => false,
            1 => readings >= CONSTANT_AFTER,
            2 => readings >= TWO_VALUES_AFTER,
            _ => {
                let is_known = values <= FEW_VALUES && 2 * self.newest_value_at <= readings;
                settled && (is_known && FEW_CHANGES * moves <= readings || RARE_CHANGES * moves <= readings)
            }
        };
        let has_many = || settled && values > FEW_VALUES && RARE_CHANGES * moves > readings;
        match self.kind {
            Kind::Undecided if values >= MOST_VALUES && RARE_CHANGES * moves > readings => {
                self.be_continuous();
            }
            Kind::Undecided if is_stepwise() => self.kind = Kind::Stepwise,
            Kind::Stepwise if self.novelty > MOST_NOVELTY || self.has_strays() || has_many() => {
                self.be_continuous();
            }
            _ => {}
        }
    }

    /// Returns whether the field often visits values that it has never had, for a short time.
    fn has_strays(&self) -> bool {
        self.strays >= MOST_STRAYS && RARE_STRAYS * self.strays > self.table.readings()
    }

    fn be_continuous(&mut self) {
        *self = Self { kind: Kind::Continuous, novelty: self.novelty, ..Self::default() };
    }

    /// Measures the step from the known values to a new one; `None` if there is no known value.
    fn step_to(&self, value: f64) -> Option<Step> {
        Step::measure(self.table.values().iter().map(|known| known.value), value)
    }

    fn readings(&self) -> u64 {
        self.table.readings()
    }
}

impl Stay {
    /// Returns whether its last reading is its first one.
    fn is_arrival(self) -> bool {
        self.since == self.until
    }

    fn length(self) -> u64 {
        self.until.abs_diff(self.since)
    }
}

#[cfg(test)]
mod tests;
