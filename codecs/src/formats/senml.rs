//! `SenML` packs (RFC 8428), as JSON or CBOR.
//!
//! The field of a record is its name without the base name. If there is no name beside the base
//! name, it is the base name. The sum of a record is the field `<name>.sum`. Booleans are 0 and 1;
//! strings, data and whole numbers beyond 2^53 are left out. If the values of a pack have several
//! base names, each base name is a device. Records of one device and time are one measurement.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

use super::rows::{Rows, Time};
use crate::payload::{
    LeftOutReason, MAX_EXACT, Measurement, PayloadError, PayloadLimits, Text, records, value_of,
};

/// The newest version of `SenML` that is known.
const VERSION: f64 = 10.0;
/// Times below this number of seconds are relative to now (section 4.5.3).
const ABSOLUTE_FROM: f64 = 268_435_456.0;
/// From this number on, a time does not count seconds.
const SECONDS_BELOW: f64 = 1e11;
/// Characters between a base name and a name.
const SEPARATORS: [char; 6] = ['/', ':', '.', '-', '_', ';'];
/// Members that hold a value.
const VALUES: [&str; 5] = ["v", "vs", "vb", "vd", "s"];
/// Members that hold for the records after them too.
const BASES: [&str; 6] = ["bn", "bt", "bu", "bv", "bs", "bver"];
const OTHERS: [&str; 4] = ["n", "u", "t", "ut"];
/// The integers that are the members of a record in CBOR (section 6).
const CBOR_LABELS: [(&str, &str); 15] = [
    ("-6", "bs"),
    ("-5", "bv"),
    ("-4", "bu"),
    ("-3", "bt"),
    ("-2", "bn"),
    ("-1", "bver"),
    ("0", "n"),
    ("1", "u"),
    ("2", "v"),
    ("3", "vs"),
    ("4", "vb"),
    ("5", "s"),
    ("6", "t"),
    ("7", "ut"),
    ("8", "vd"),
];

/// The encoding of a pack. It decides the names of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    /// CBOR, rewritten as JSON text.
    Cbor,
}

type Record = serde_json::Map<String, Value>;

/// Returns whether a text of JSON is read as `SenML`, if no setting names its format.
pub fn is_senml(text: &str) -> bool {
    Pack::recognise(text, Encoding::Json).is_some()
}

/// The records of a pack.
pub(super) struct Pack(Vec<Record>);

impl Pack {
    /// Returns the pack if the JSON text is an array that only `SenML` explains:
    ///
    /// - every element is an object with a value (`v`, `vs`, `vb`, `vd`, `s`), a base member or `n`,
    ///   and at least one has a value;
    /// - names (`n`, `bn`) are texts, and at least one record has a name;
    /// - without `bn` and `bver`, no element has a member that RFC 8428 does not define.
    pub(super) fn recognise(text: &str, encoding: Encoding) -> Option<Self> {
        let text = text.trim_ascii();
        let names: &[&str] = match encoding {
            Encoding::Json => &["\"n\"", "\"bn\""],
            Encoding::Cbor => &["\"n\"", "\"bn\"", "\"0\"", "\"-2\""],
        };
        // The fast way out for arrays of other objects.
        if !text.starts_with('[') || !names.iter().any(|name| text.contains(name)) {
            return None;
        }
        let pack = Self::parse(text, encoding).ok()?;
        let occurs = |members: &[&str]| pack.0.iter().any(|record| has_any(record, members));
        let is_surely_senml = occurs(&["bn", "bver"]);
        let fits = |record: &Record| {
            let is_name = |name: &str| record.get(name).is_none_or(Value::is_string);
            (has_any(record, &VALUES) || has_any(record, &BASES) || record.contains_key("n"))
                && is_name("n")
                && is_name("bn")
                && (is_surely_senml || record.keys().all(|member| is_defined(member)))
        };
        let has_content = occurs(&["n", "bn"]) && occurs(&VALUES);
        (has_content && pack.0.iter().all(fits)).then_some(pack)
    }

    /// Parses an array of records, or a single record.
    pub(super) fn parse(text: &str, encoding: Encoding) -> Result<Self, PayloadError> {
        let text = text.trim_ascii();
        let parsed = if text.starts_with('{') {
            serde_json::from_str(text).map(|record| vec![record])
        } else {
            serde_json::from_str::<Vec<Record>>(text)
        };
        // Otherwise a bare NaN would make plain JSON of a pack, with other names.
        let mut records =
            parsed.or_else(|error| records(text).ok_or_else(|| malformed(error.to_string())))?;
        if records.is_empty() {
            return Err(PayloadError::Empty);
        }
        if encoding == Encoding::Cbor {
            records = records.into_iter().map(with_text_labels).collect();
        }
        Ok(Self(records))
    }

    /// Checks the names of a pack whose foreign bytes were replaced: two names could become one.
    pub(super) fn with_names_from(self, text: &Text<'_>) -> Result<Self, PayloadError> {
        for (index, record) in self.0.iter().enumerate() {
            let mut names = ["bn", "n"].into_iter().filter_map(|member| record.get(member)?.as_str());
            names
                .try_for_each(|name| text.check_name(name))
                .map_err(|_| malformed(format!("in record {}, the name is not UTF-8", index + 1)))?;
        }
        Ok(self)
    }

    /// Returns the JSON text of the pack with a base time, if none of its records has a time. Absolute
    /// times before the floor are no times.
    pub(super) fn with_base_time(mut self, time: Timestamp, floor: Timestamp) -> Option<String> {
        let is_no_time = |value: &Value| {
            value.as_f64().is_some_and(|seconds| seconds >= ABSOLUTE_FROM && micros(seconds) < floor.0)
        };
        for record in &mut self.0 {
            for member in ["t", "bt"] {
                if record.get(member).is_some_and(is_no_time) {
                    record.remove(member);
                }
            }
        }
        if self.0.iter().any(|record| has_any(record, &["t", "bt"])) {
            return None;
        }
        let micros = time.0.rem_euclid(1_000_000);
        let seconds: serde_json::Number =
            format!("{}.{micros:06}", time.0.div_euclid(1_000_000)).parse().ok()?;
        self.0.first_mut()?.insert("bt".to_owned(), Value::Number(seconds));
        serde_json::to_string(&self.0).ok()
    }

    /// Resolves the records to measurements. Absolute times before the floor are no times.
    pub(super) fn decode(
        self,
        limits: &PayloadLimits,
        floor: Timestamp,
    ) -> Result<Vec<Result<Measurement, PayloadError>>, PayloadError> {
        let mut base = Base::new(floor);
        let mut values = Vec::new();
        let mut rows = Rows::new(limits);
        for (index, record) in self.0.iter().enumerate() {
            let number = index + 1;
            base.update(record, number)?;
            if let Err(error) = base.resolve(record, number, &mut values) {
                rows.fail(error);
            }
        }
        let base_names: HashSet<&str> = values.iter().map(|value| value.base_name.as_ref()).collect();
        let has_devices = base_names.len() > 1;
        let with_units = fields_of_several_units(&values);
        for value in &values {
            let device = value.base_name.trim_end_matches(SEPARATORS);
            let device = (has_devices && !device.is_empty()).then_some(device);
            let field = match value.unit {
                Some(unit) if with_units.contains(&value.name()) => format!("{}.{unit}", value.field),
                _ => value.field.clone(),
            };
            rows.add(device, value.time, field, value.value);
        }
        rows.finish()
    }
}

fn has_any(record: &Record, members: &[&str]) -> bool {
    members.iter().any(|member| record.contains_key(*member))
}

/// Whether RFC 8428 gives a member of this name a meaning.
fn is_defined(member: &str) -> bool {
    VALUES.contains(&member) || BASES.contains(&member) || OTHERS.contains(&member) || member.ends_with('_')
}

fn with_text_labels(record: Record) -> Record {
    let text_label = |label: String| {
        let known = CBOR_LABELS.iter().find(|(integer, _)| *integer == label);
        known.map_or(label, |(_, text)| (*text).to_owned())
    };
    record.into_iter().map(|(label, value)| (text_label(label), value)).collect()
}

/// Returns the fields, each with its base name, whose values have several units: they are several
/// quantities under one name, as in the example of section 5.1.3.
fn fields_of_several_units<'v>(values: &'v [Resolved<'_>]) -> HashSet<(&'v str, &'v str)> {
    let mut units = HashMap::new();
    let with_unit = values.iter().filter_map(|value| Some((value.name(), value.unit?)));
    with_unit
        .filter(|(name, unit)| *units.entry(*name).or_insert(*unit) != *unit)
        .map(|(name, _)| name)
        .collect()
}

/// A resolved value.
struct Resolved<'p> {
    base_name: Rc<str>,
    field: String,
    unit: Option<&'p str>,
    time: Time,
    value: f64,
}

impl Resolved<'_> {
    /// Returns what the value is called, as far as names say it.
    fn name(&self) -> (&str, &str) {
        (&self.base_name, &self.field)
    }
}

/// The base members that are in force.
struct Base<'p> {
    name: Rc<str>,
    unit: Option<&'p str>,
    time: f64,
    /// Absolute times before this one are no times.
    floor: Timestamp,
    value: Option<f64>,
    sum: Option<f64>,
}

impl<'p> Base<'p> {
    fn new(floor: Timestamp) -> Self {
        Self { name: Rc::default(), unit: None, time: 0.0, floor, value: None, sum: None }
    }

    /// Takes over the base members of a record. A pack of an unknown version, or with a member that
    /// must be understood, has no measurement.
    fn update(&mut self, record: &'p Record, number: usize) -> Result<(), PayloadError> {
        if let Some(member) = record.keys().find(|member| member.ends_with('_')) {
            return Err(malformed(format!(
                "record {number} has the member {}, which must be understood and is not known here",
                excerpt(member)
            )));
        }
        if let Some(version) = number_of(record, "bver", number)?
            && version > VERSION
        {
            return Err(malformed(format!("version {version} (bver) is not known; at most {VERSION} is")));
        }
        if let Some(name) = text_of(record, "bn", number)? {
            self.name = Rc::from(name);
        }
        self.unit = unit_of(record, "bu").or(self.unit);
        if let Some(time) = number_of(record, "bt", number)? {
            self.time = time;
        }
        if let Some(member) = ["bv", "bs"].into_iter().find(|member| would_round(record, member)) {
            return Err(malformed(format!(
                "in record {number}, {member} is beyond 2^53: a 64-bit float would round the values"
            )));
        }
        self.value = number_of(record, "bv", number)?.or(self.value);
        self.sum = number_of(record, "bs", number)?.or(self.sum);
        Ok(())
    }

    /// Appends the values of a record.
    fn resolve(
        &self,
        record: &'p Record,
        number: usize,
        values: &mut Vec<Resolved<'p>>,
    ) -> Result<(), PayloadError> {
        let name = text_of(record, "n", number)?.unwrap_or_default();
        let has_value = has_any(record, &VALUES);
        if name.is_empty() && !has_value {
            // Only base members.
            return Ok(());
        }
        let time = self.time(record, number)?;
        let exact = |member| {
            number_of(record, member, number).map(|found| found.filter(|_| !would_round(record, member)))
        };
        let mut value = exact("v")?.map(|value| value + self.value.unwrap_or(0.0));
        let mut sum = exact("s")?.map(|sum| sum + self.sum.unwrap_or(0.0));
        if let Some(boolean) = record.get("vb") {
            value = Some(match boolean {
                Value::Bool(boolean) => f64::from(u8::from(*boolean)),
                _ => return Err(malformed(format!("in record {number}, vb is neither true nor false"))),
            });
        }
        if !has_value {
            (value, sum) = (self.value, self.sum);
            if value.is_none() && sum.is_none() {
                return Err(malformed(format!("record {number} has no value")));
            }
        }
        let field = match (name, self.name.as_ref()) {
            ("", "") => return Err(malformed(format!("record {number} has no name"))),
            ("", base_name) => base_name,
            (name, "") => name,
            (name, _) => match name.trim_start_matches(SEPARATORS) {
                "" => name,
                name => name,
            },
        };
        let unit = unit_of(record, "u").or(self.unit);
        let resolved = |field: String, value: f64| Resolved {
            base_name: Rc::clone(&self.name),
            field,
            unit,
            time,
            value,
        };
        values.extend(value.map(|value| resolved(field.to_owned(), value)));
        values.extend(sum.map(|sum| resolved(format!("{field}.sum"), sum)));
        Ok(())
    }

    fn time(&self, record: &Record, number: usize) -> Result<Time, PayloadError> {
        let own = number_of(record, "t", number)?.unwrap_or(0.0);
        let seconds = self.time + own;
        if seconds.abs() >= SECONDS_BELOW {
            // Not seconds, as the RFC demands. The magnitude tells the unit, as in other formats.
            return Ok(Time::since_epoch(&seconds.to_string(), self.floor)?);
        }
        // Each part in whole microseconds: the sum of two floats would lose digits.
        let micros = micros(self.time).saturating_add(micros(own));
        if seconds.abs() < ABSOLUTE_FROM {
            return Ok(Time::Offset(micros));
        }
        let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
        let decimal = format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        Ok(Time::since_epoch(&decimal, self.floor)?)
    }
}

/// Converts to whole microseconds. The conversion saturates.
fn micros(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// Returns a member that is a number, or a text that is wholly a number. `null` counts as absent.
fn number_of(record: &Record, member: &str, number: usize) -> Result<Option<f64>, PayloadError> {
    let parsed = match record.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(value)) => value.as_f64(),
        Some(Value::String(text)) => text.trim_ascii().parse().ok().filter(|value: &f64| value.is_finite()),
        Some(_) => None,
    };
    let value = parsed.ok_or_else(|| malformed(format!("in record {number}, {member} is not a number")))?;
    Ok(Some(value))
}

/// Whether a member is a whole number that a 64-bit float would round. A text may hold it too.
fn would_round(record: &Record, member: &str) -> bool {
    match record.get(member) {
        Some(Value::Number(number)) => {
            let size = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
            size.is_some_and(|size| size > MAX_EXACT)
        }
        Some(Value::String(text)) => value_of(text.trim_ascii()) == Err(LeftOutReason::Identifier),
        _ => false,
    }
}

/// Returns a unit. One that is no text counts as absent, as a unit is needed only to tell values apart.
fn unit_of<'a>(record: &'a Record, member: &str) -> Option<&'a str> {
    record.get(member)?.as_str().filter(|unit| !unit.is_empty())
}

fn text_of<'a>(record: &'a Record, member: &str, number: usize) -> Result<Option<&'a str>, PayloadError> {
    match record.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(format!("in record {number}, {member} is not a text"))),
    }
}

fn malformed(detail: String) -> PayloadError {
    PayloadError::Malformed { format: "SenML", detail }
}

#[cfg(test)]
mod tests;
