//! Joins single values to measurements: all values of one device at one time are one measurement.

use std::collections::HashMap;

use thicket_schema::text::excerpt;
use thicket_schema::{FieldSet, Timestamp};

use crate::payload::{Measurement, PayloadError, PayloadLimits};
use crate::timestamp::{TimestampError, parse_epoch};

/// The time of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Time {
    /// A time since the Unix epoch.
    At(Timestamp),
    /// Microseconds from the arrival of the message.
    Offset(i64),
}

impl Time {
    /// Reads a number since the Unix epoch. A time before the floor is no time, as in JSON: the device
    /// has not set its clock, and the arrival counts.
    pub(super) fn since_epoch(number: &str, floor: Timestamp) -> Result<Self, TimestampError> {
        if number.starts_with('-') {
            return Ok(Self::Offset(0));
        }
        let time = parse_epoch(number)?;
        Ok(if time < floor { Self::Offset(0) } else { Self::At(time) })
    }
}

/// Collects values, in the order of the message.
pub(super) struct Rows<'a> {
    limits: &'a PayloadLimits,
    list: Vec<Row>,
    /// For each device and time the index of its newest row.
    newest: HashMap<(Option<Box<str>>, Time), usize>,
    errors: Vec<PayloadError>,
}

struct Row {
    device: Option<Box<str>>,
    time: Time,
    values: Vec<(String, f64)>,
    /// Whether the row has more fields than the limit.
    overflow: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(limits: &'a PayloadLimits) -> Self {
        Self { limits, list: Vec::new(), newest: HashMap::new(), errors: Vec::new() }
    }

    /// Adds a value. If the row of its device and time has the field already, the value begins a new
    /// row: the message then holds several measurements of that time.
    pub(super) fn add(&mut self, device: Option<&str>, time: Time, field: String, value: f64) {
        if !value.is_finite() {
            return self.fail(PayloadError::NotFinite { field: excerpt(&field) });
        }
        let key = (device.map(Box::from), time);
        let known = self.newest.get(&key).copied();
        let index = known.filter(|&index| self.list[index].values.iter().all(|(name, _)| *name != field));
        let index = index.unwrap_or_else(|| {
            self.list.push(Row { device: key.0.clone(), time, values: Vec::new(), overflow: false });
            self.newest.insert(key, self.list.len() - 1);
            self.list.len() - 1
        });
        let row = &mut self.list[index];
        if row.values.len() < self.limits.max_fields {
            row.values.push((field, value));
        } else {
            row.overflow = true;
        }
    }

    /// Adds the error of a part of the message.
    pub(super) fn fail(&mut self, error: PayloadError) {
        self.errors.push(error);
    }

    /// Whether there is neither a value nor an error.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.errors.is_empty()
    }

    /// Returns the measurements in the order of their times, then the errors.
    pub(super) fn finish(mut self) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        let (readings, limit) = (self.list.len() + self.errors.len(), self.limits.max_readings);
        if readings > limit {
            return Err(PayloadError::TooManyReadings { readings, limit });
        }
        if readings == 0 {
            return Err(PayloadError::NoNumericField { found: String::new() });
        }
        self.list.sort_by_key(|row| row.time);
        let limit = self.limits.max_fields;
        let measurements = self.list.into_iter().map(|row| row.measurement(limit));
        Ok(measurements.chain(self.errors.into_iter().map(Err)).collect())
    }
}

impl Row {
    fn measurement(mut self, max_fields: usize) -> Result<Measurement, PayloadError> {
        if self.overflow {
            return Err(PayloadError::TooManyFields { limit: max_fields });
        }
        self.values.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (names, values): (Vec<String>, Vec<f64>) = self.values.into_iter().unzip();
        let (ts, offset_micros) = match self.time {
            Time::At(ts) => (Some(ts), 0),
            Time::Offset(micros) => (None, micros),
        };
        Ok(Measurement {
            device: self.device,
            offset_micros,
            ts,
            fields: FieldSet::new(names)?,
            values,
            labels: Vec::new(),
        })
    }
}
