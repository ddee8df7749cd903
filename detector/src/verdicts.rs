//! What people said about past anomalies. A label may come hours after the end of an anomaly, and
//! it also applies to the next anomaly of the same pattern:
//!
//! - `false` or `maintenance`: an anomaly of the same pattern is not announced.
//! - `true`: a reading of the same pattern begins an anomaly, however often the pattern has come.
//!
//! The pattern of an anomaly is how far its fields were off, and in which direction, or that they repeated
//! their values, or were away from those at which they rest.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction};
use crate::label::Label;

/// Anomalies without a label that are remembered, and anomalies with one: the newest of each.
const REMEMBERED: usize = 16;
/// Fields and directions of one pattern.
const MOST_DEVIATIONS: usize = 8;
/// A field is part of a pattern if its share of the causes is this, or the greatest.
const PART: f64 = 0.25;
/// A reading may be off by this much more than the pattern was, and has the pattern nevertheless.
const MARGIN: f64 = 1.25;
/// A reading of which no field is off has the pattern if it is rarer than the anomaly by less than
/// this.
const RARER: f64 = 0.5;

/// An anomaly that lasts for more than this many times the readings of a false one is another one ...
const LONGER: u32 = 4;
/// ... if it has more readings than this.
const LEAST_LONGER: u32 = 16;

/// In which way a field is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
enum Way {
    High,
    Low,
    Within,
    /// It repeats its value far longer than before.
    Repeated,
    /// It is away from the value at which it rests for far longer than before.
    Away,
}

impl Way {
    fn of(cause: &Cause) -> Self {
        match cause.direction {
            _ if cause.repeated > 0 => Self::Repeated,
            _ if cause.away > 0 => Self::Away,
            Direction::High => Self::High,
            Direction::Low => Self::Low,
            Direction::Within => Self::Within,
        }
    }
}

/// How far a field was off in one way.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Deviation {
    field: String,
    way: Way,
    /// The greatest distance of a value from the expected one, in the unit of the field.
    distance: f64,
}

/// How far the rarest reading of an alarm is above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum AlarmKind {
    /// Less than [`CLEAR`].
    Near,
    /// At least [`CLEAR`].
    Clear,
}

/// A clear alarm has a reading ten times as rare as the threshold asks for.
const CLEAR: f64 = 1.0;

/// Whether an anomaly counts as an alarm that has been raised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum AlarmCount {
    /// It never did: its pattern was known.
    #[default]
    Exempt,
    /// It does.
    Counted(AlarmKind),
    /// It did, until a person said that it was a true anomaly.
    TakenBack(AlarmKind),
}

/// The change of the number of raised alarms that a label causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlarmChange {
    None,
    TakeBack(AlarmKind),
    CountAgain(AlarmKind),
}

/// The pattern of an anomaly, and its label.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Pattern {
    /// Timestamp of the anomaly's first reading, in microseconds since 1970.
    started: i64,
    /// Rarity of its rarest reading.
    pub(crate) rarest: f64,
    alarm: AlarmCount,
    /// Number of its readings. If a label has ended it, nobody knows how many more there would have been,
    /// and this is the greatest number.
    readings: u32,
    /// The rarity from which the alarm is a clear one.
    clear_from: f64,
    label: Option<Label>,
    /// How far its fields were off at most, over all its readings.
    deviations: Vec<Deviation>,
    /// The main cause of the reading that is rarest by itself, and the rarity of that reading.
    peak: Option<(Deviation, f64)>,
}

impl Pattern {
    /// Creates the pattern of an anomaly that begins at `started`.
    pub(crate) fn begin(started: i64) -> Self {
        Self { started, ..Self::default() }
    }

    /// Adds a reading of the anomaly: its causes, its rarity, and its rarity by itself.
    pub(crate) fn extend(&mut self, causes: &[Cause], rarity: f64, instantaneous: f64) {
        self.readings = self.readings.saturating_add(1);
        self.rarest = self.rarest.max(rarity);
        for cause in parts(causes) {
            let distance = distance(cause);
            if let Some(known) = self.deviations.iter_mut().find(|known| known.is_of(cause)) {
                known.distance = known.distance.max(distance);
            } else if self.deviations.len() < MOST_DEVIATIONS {
                self.deviations.push(Deviation::of(cause));
            }
        }
        let is_peak = self.peak.as_ref().is_none_or(|(_, rarest)| instantaneous > *rarest);
        if let Some(main) = main_of(causes).filter(|_| is_peak) {
            self.peak = Some((Deviation::of(main), instantaneous));
        }
    }

    /// Returns the number of its readings.
    pub(crate) fn readings(&self) -> u32 {
        self.readings
    }

    /// Says that a label has ended the anomaly, not its own end.
    pub(crate) fn end_by_label(&mut self) {
        self.readings = u32::MAX;
    }

    /// Counts the anomaly as an alarm. `threshold` is the rarity that begins an event.
    pub(crate) fn count_alarm(&mut self, threshold: f64) {
        self.alarm = AlarmCount::Counted(AlarmKind::Near);
        self.clear_from = threshold + CLEAR;
    }

    /// Returns whether the alarm has become a clear one since the last call.
    pub(crate) fn becomes_clear(&mut self) -> bool {
        let becomes = self.alarm == AlarmCount::Counted(AlarmKind::Near) && self.rarest >= self.clear_from;
        if becomes {
            self.alarm = AlarmCount::Counted(AlarmKind::Clear);
        }
        becomes
    }

    /// Sets the label. Returns what it changes in the number of raised alarms: a true anomaly is
    /// no false alarm.
    pub(crate) fn set_label(&mut self, label: Label) -> AlarmChange {
        self.label = Some(label);
        match (label == Label::True, self.alarm) {
            (true, AlarmCount::Counted(kind)) => {
                self.alarm = AlarmCount::TakenBack(kind);
                AlarmChange::TakeBack(kind)
            }
            (false, AlarmCount::TakenBack(kind)) => {
                self.alarm = AlarmCount::Counted(kind);
                AlarmChange::CountAgain(kind)
            }
            _ => AlarmChange::None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.label == Some(Label::True)
    }

    /// Returns whether a reading is off in no other way than this anomaly was, hardly farther, and not for
    /// far longer. `before` is the number of readings that its anomaly has so far. After the first one,
    /// the direction is not compared: values that return to the usual ones may go a little beyond them.
    /// How often a field repeats its value, or is away from its rest, is not compared either.
    fn covers(&self, causes: &[Cause], rarity: f64, before: u32) -> bool {
        let is_first = before == 0;
        let is_longer = before >= self.readings.saturating_mul(LONGER).max(LEAST_LONGER);
        let is_known = |cause: &Cause| {
            let way = Way::of(cause);
            self.deviations.iter().any(|known| {
                known.field == cause.field
                    && (known.way == way || !is_first)
                    && match way {
                        Way::High | Way::Low => !is_longer && distance(cause) <= MARGIN * known.distance,
                        Way::Within => !is_longer && rarity <= self.rarest + RARER,
                        Way::Repeated | Way::Away => known.way == way,
                    }
            })
        };
        !causes.is_empty() && parts(causes).all(is_known)
    }

    /// Returns whether the main cause of a reading is off as at the peak of this anomaly, and nearly
    /// as far.
    fn recurs_in(&self, main: &Cause) -> bool {
        let is_alike = |(peak, _): &(Deviation, f64)| {
            peak.is_of(main) && distance(main) > 0.0 && distance(main) * MARGIN >= peak.distance
        };
        matches!(Way::of(main), Way::High | Way::Low) && self.peak.as_ref().is_some_and(is_alike)
    }

    fn memory_usage(&self) -> usize {
        let peak = self.peak.iter().map(|(peak, _)| peak);
        let names = self.deviations.iter().chain(peak).map(|known| known.field.capacity()).sum::<usize>();
        self.deviations.capacity() * size_of::<Deviation>() + names
    }
}

impl Deviation {
    fn of(cause: &Cause) -> Self {
        Self { field: cause.field.clone(), way: Way::of(cause), distance: distance(cause) }
    }

    fn is_of(&self, cause: &Cause) -> bool {
        self.field == cause.field && self.way == Way::of(cause)
    }
}

/// Returns the causes that are parts of a pattern.
fn parts(causes: &[Cause]) -> impl Iterator<Item = &Cause> {
    let greatest = main_of(causes).map_or(0.0, |cause| cause.share);
    causes.iter().filter(move |cause| cause.share >= PART.min(greatest))
}

/// Returns the cause with the greatest share. Of equal ones, the last.
fn main_of(causes: &[Cause]) -> Option<&Cause> {
    causes.iter().max_by(|a, b| a.share.total_cmp(&b.share))
}

/// Returns the distance of a value from the expected one. It is 0 if there is no value.
fn distance(cause: &Cause) -> f64 {
    let distance = (cause.actual - cause.expected).abs();
    if distance.is_nan() { 0.0 } else { distance }
}

/// The newest anomalies that have ended, each with its label.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Verdicts {
    /// In the order of their ends. At most [`REMEMBERED`] with a label, and as many without.
    past: Vec<Pattern>,
}

impl Verdicts {
    /// Remembers an anomaly that has ended.
    pub(crate) fn remember(&mut self, pattern: Pattern) {
        self.past.push(pattern);
        self.forget_oldest();
    }

    /// Labels an anomaly that has ended. Returns the change of the number of raised alarms, or
    /// `None` if the anomaly is not remembered.
    pub(crate) fn label(&mut self, started: i64, label: Label) -> Option<AlarmChange> {
        let pattern = self.past.iter_mut().rev().find(|pattern| pattern.started == started)?;
        let change = pattern.set_label(label);
        self.forget_oldest();
        Some(change)
    }

    /// Returns whether people said of an anomaly of this pattern that it was none. `before` is the number
    /// of readings that the anomaly of this reading has so far.
    pub(crate) fn is_normal(&self, causes: &[Cause], rarity: f64, before: u32) -> bool {
        let is_none = |label: Label| matches!(label, Label::False | Label::Maintenance);
        let is_normal =
            |pattern: &Pattern| pattern.label.is_some_and(is_none) && pattern.covers(causes, rarity, before);
        self.past.iter().any(is_normal)
    }

    /// Returns whether there is a true anomaly, so that [`recurs`](Self::recurs) can be true.
    pub(crate) fn has_true(&self) -> bool {
        self.past.iter().any(Pattern::is_true)
    }

    /// Returns whether people said of an anomaly of this pattern that it was true.
    pub(crate) fn recurs(&self, causes: &[Cause]) -> bool {
        let is_true = |main| self.past.iter().any(|pattern| pattern.is_true() && pattern.recurs_in(main));
        main_of(causes).is_some_and(is_true)
    }

    /// Returns the memory on the heap, in bytes.
    pub(crate) fn memory_usage(&self) -> usize {
        let patterns = self.past.iter().map(Pattern::memory_usage).sum::<usize>();
        self.past.capacity() * size_of::<Pattern>() + patterns
    }

    fn forget_oldest(&mut self) {
        for is_labelled in [false, true] {
            let is_alike = |pattern: &Pattern| pattern.label.is_some() == is_labelled;
            while self.past.iter().filter(|pattern| is_alike(pattern)).count() > REMEMBERED {
                let Some(oldest) = self.past.iter().position(is_alike) else { break };
                self.past.remove(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests;
