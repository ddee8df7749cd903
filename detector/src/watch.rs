//! Watches the fields that did not change in the readings that decided the fields, such as a leak
//! that a thermometer also reports. They are no part of the point, but a step of one of them is
//! judged like that of any [stepwise](crate::stepwise) field.

use serde::{Deserialize, Serialize};

use crate::cause::{Cause, Direction};
use crate::steps::{StepRow, Steps};
use crate::window::WindowRow;

/// The constant fields of a sensor.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Watch {
    /// Sorted.
    names: Vec<String>,
    steps: Steps,
    /// Values of the last reading, in the order of the names; NaN for a missing one.
    #[serde(skip)]
    row: Vec<f64>,
}

impl Watch {
    /// Replaces the fields. `names` are sorted. A field that was not watched before is learnt from
    /// the rows of a window, which have the values of these names.
    pub(crate) fn renew(&mut self, names: Vec<String>, rows: &[WindowRow]) {
        let mut steps = Steps::new(names.len());
        for WindowRow { ts, values, after_silence } in rows {
            steps.observe(StepRow { ts: *ts, values, after_silence: *after_silence }, true);
        }
        let (known, known_names) = self.known();
        steps.take_over(known, &known_names, &names);
        *self = Self { names, steps, row: Vec::new() };
    }

    /// Returns the value at which a watched field rests; `None` if the field is not watched.
    pub(crate) fn constant(&self, name: &str) -> Option<f64> {
        let index = self.names.binary_search_by(|watched| watched.as_str().cmp(name)).ok()?;
        self.steps.resting_value(index)
    }

    /// Copies the values of the watched fields. Both lists of names are sorted.
    pub(crate) fn take(&mut self, names: &[String], values: &[f64]) {
        self.row.clear();
        let mut named = names.iter().zip(values).peekable();
        for field in &self.names {
            while named.next_if(|(name, _)| *name < field).is_some() {}
            let value = named.next_if(|(name, _)| *name == field).map(|(_, &value)| value);
            self.row.push(value.filter(|value| value.is_finite()).unwrap_or(f64::NAN));
        }
    }

    /// Judges the values that were taken last, and learns them if `learn` is true.
    pub(crate) fn observe(&mut self, ts: i64, after_silence: bool, learn: bool) {
        self.steps.observe(StepRow { ts, values: &self.row, after_silence }, learn);
    }

    /// Returns the fields whose step makes the last reading rare.
    pub(crate) fn causes(&self) -> Vec<Cause> {
        let causes = self.names.iter().zip(&self.row).map(|(name, &actual)| Cause {
            field: name.clone(),
            share: 0.0,
            actual,
            expected: actual,
            low: actual,
            high: actual,
            direction: Direction::Within,
            is_counter: false,
            repeated: 0,
            away: 0,
        });
        let mut causes: Vec<Cause> = causes.collect();
        self.steps.set_expectations(&mut causes);
        self.steps.set_shares(&mut causes);
        causes.retain(|cause| cause.share > 0.0);
        causes
    }

    /// Returns what is known of the watched fields, with their sorted names.
    pub(crate) fn known(&self) -> (Steps, Vec<String>) {
        (self.steps.clone(), self.names.clone())
    }

    /// Passes over readings that are not watched: nothing is rare about them.
    pub(crate) fn pass_over(&mut self) {
        self.row.clear();
        self.steps.pass_over();
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Forgets the last reading: the clock of the sensor has changed.
    pub(crate) fn begin_again(&mut self) {
        self.steps.begin_again();
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.steps.is_sound(self.names.len())
    }

    pub(crate) fn memory_usage(&self) -> usize {
        self.names.iter().map(|name| name.capacity() + size_of::<String>()).sum::<usize>()
            + self.steps.memory_usage()
            + self.row.capacity() * size_of::<f64>()
    }
}
