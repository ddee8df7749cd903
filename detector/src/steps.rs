//! The [stepwise](crate::stepwise) fields of a sensor, and what they say about a reading.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction};
use crate::standing::Remark;
use crate::stepwise::{FieldSteps, StepRarity, StepReading};

/// A field is a cause of a step if its rarity is at least this part of the greatest one.
const CAUSE: f64 = 0.5;

/// The known values of a sensor's fields, in their order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct Steps {
    fields: Vec<FieldSteps>,
    /// Of the last reading: how rare each field is, and all of them together.
    #[serde(skip)]
    rarities: Vec<StepRarity>,
    #[serde(skip)]
    rarity: f64,
    /// Of the last reading: the greatest rarity of a field that had never changed before.
    #[serde(skip)]
    first_change: f64,
    /// Of the last reading: whether each value is one of the most usual ones of its field.
    #[serde(skip)]
    is_usual: bool,
}

/// The values of a reading, in the order of the fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepRow<'a> {
    /// In microseconds since 1970.
    pub(crate) ts: i64,
    /// One value per field; NaN for a missing one.
    pub(crate) values: &'a [f64],
    /// Whether the reading comes after a silence.
    pub(crate) after_silence: bool,
}

impl Steps {
    /// Creates the steps of this many fields, without a past.
    pub(crate) fn new(fields: usize) -> Self {
        Self { fields: vec![FieldSteps::default(); fields], ..Self::default() }
    }

    /// Judges a reading, and learns it if `learn` is true.
    pub(crate) fn observe(&mut self, row: StepRow<'_>, learn: bool) {
        let StepRow { ts, values, after_silence } = row;
        self.rarities.clear();
        self.first_change = 0.0;
        for (field, &value) in self.fields.iter_mut().zip(values) {
            let was_constant = field.is_stepwise() && !field.has_moved();
            let rarity = if value.is_nan() {
                StepRarity::default()
            } else {
                field.observe(StepReading { ts, value, after_silence }, learn)
            };
            if was_constant {
                self.first_change = self.first_change.max(rarity.rarity());
            }
            self.rarities.push(rarity);
        }
        let known = self.fields.iter().zip(values).filter(|(_, value)| !value.is_nan());
        self.is_usual = known.fold(true, |are_usual, (field, &value)| are_usual && field.is_usual(value));
        // Each field that has changed before is one more that may look rare by chance.
        let moving = self.fields.iter().filter(|field| field.is_stepwise() && field.has_moved()).count();
        let greatest = self.rarities.iter().map(|rarity| rarity.rarity()).fold(0.0, f64::max);
        self.rarity = (greatest - libm::log10(moving.max(1) as f64)).max(0.0);
    }

    /// Returns whether each value of the last reading is one of the most usual ones of its field.
    pub(crate) fn is_usual(&self) -> bool {
        self.is_usual
    }

    /// Returns how rare the last reading is by its steps. If all fields are stepwise, all of them count.
    /// Beside a field that takes many values, only the first change of a constant field does: the views
    /// judge the others.
    pub(crate) fn rarity(&self) -> f64 {
        if self.are_all_stepwise() { self.rarity } else { self.first_change }
    }

    /// Returns whether all fields are stepwise.
    pub(crate) fn are_all_stepwise(&self) -> bool {
        !self.fields.is_empty() && self.fields.iter().all(FieldSteps::is_stepwise)
    }

    /// Replaces the shares of the fields by their parts in the rarity of the last reading. Only the
    /// fields that are nearly as rare as the rarest one have a part. The shares sum to 1, or to 0 if
    /// no field is rare.
    pub(crate) fn set_shares(&self, causes: &mut [Cause]) {
        let greatest = self.rarities.iter().map(|rarity| rarity.rarity()).fold(0.0, f64::max);
        let part = |rarity: f64| if rarity > 0.0 && rarity >= CAUSE * greatest { rarity } else { 0.0 };
        let total: f64 = self.rarities.iter().map(|rarity| part(rarity.rarity())).sum();
        for (cause, rarity) in causes.iter_mut().zip(&self.rarities) {
            cause.share = if total > 0.0 { part(rarity.rarity()) / total } else { 0.0 };
        }
    }

    /// Sets what is expected of the stepwise fields: their usual values.
    pub(crate) fn set_expectations(&self, causes: &mut [Cause]) {
        for (cause, field) in causes.iter_mut().zip(&self.fields) {
            if let Some([low, expected, high]) = field.expected().filter(|_| field.is_stepwise()) {
                (cause.low, cause.expected, cause.high) = (low, expected, high);
                cause.direction = Direction::of(cause.actual, low, high);
            }
        }
    }

    /// Returns the most frequent value of a field.
    pub(crate) fn resting_value(&self, field: usize) -> Option<f64> {
        self.fields.get(field)?.expected().map(|[_, resting, _]| resting)
    }

    /// Returns how rare each field of the last reading is; `None` for a field that is not stepwise.
    pub(crate) fn rarities(&self) -> impl Iterator<Item = Option<StepRarity>> {
        self.fields.iter().zip(&self.rarities).map(|(field, &rarity)| field.is_stepwise().then_some(rarity))
    }

    /// Returns what is remarkable about each field.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = Option<Remark>> {
        self.fields.iter().map(|field| match field.has_moved() {
            _ if !field.is_stepwise() => None,
            false => Some(Remark::Constant),
            true => Some(Remark::Stepwise),
        })
    }

    /// Takes over what is known of the fields that were known before. `before` and `now` are the
    /// sorted names.
    pub(crate) fn take_over(&mut self, mut steps: Self, before: &[String], now: &[String]) {
        for (field, name) in self.fields.iter_mut().zip(now) {
            if let Ok(index) = before.binary_search(name)
                && let Some(known) = steps.fields.get_mut(index)
            {
                *field = std::mem::take(known);
            }
        }
    }

    /// Forgets how rare the last reading was.
    pub(crate) fn pass_over(&mut self) {
        self.rarities.clear();
        (self.rarity, self.first_change, self.is_usual) = (0.0, 0.0, false);
    }

    /// Forgets the last reading: the clock of the sensor has changed.
    pub(crate) fn begin_again(&mut self) {
        self.fields.iter_mut().for_each(FieldSteps::begin_again);
    }

    /// Returns whether these steps fit this number of fields.
    pub(crate) fn is_sound(&self, fields: usize) -> bool {
        self.fields.len() == fields && self.fields.iter().all(FieldSteps::is_sound)
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.fields.iter().map(FieldSteps::memory_usage).sum::<usize>()
            + self.fields.capacity() * size_of::<FieldSteps>()
            + self.rarities.capacity() * size_of::<StepRarity>()
    }
}

#[cfg(test)]
mod tests;
