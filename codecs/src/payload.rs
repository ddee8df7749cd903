//! From the payload of an MQTT message to measurements.
//!
//! | payload | measurements |
//! |---|---|
//! | `{"ts":"2026-11-22T10:00:00Z","laeq_db":52.31,"zcr":0.08}` | one, of two fields |
//! | `[{"ts":1795341600,"laeq_db":52.31},{"ts":1795341601,"laeq_db":52.4}]` | one per object |
//! | `[21.5,48]` | one, of the fields `value.0` and `value.1` |
//! | `21.5` | one, of the field `value`, without a timestamp |
//!
//! In an object, every member that is a number is a field, also in nested objects: its name is its
//! path, joined by points. Booleans, texts that are wholly a number, and words such as `ON` are
//! numbers too. Members without a value (`null`, `NaN`, `unavailable`) are missing; other texts are
//! left out. The member named by a timestamp key is the time. If there are several such members,
//! the first key in the list of keys that holds a time wins.
//!
//! Two paths lead to the same reading: [`object`] for flat objects, [`walk`] for all others.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde_json::value::RawValue;
use thicket_schema::Timestamp;
use thicket_schema::text::excerpt;

pub mod apart;
mod bare;
mod compiled;
mod error;
mod labels;
mod left_out;
mod lists;
mod object;
mod presence;
mod records;
mod rules;
mod scan;
mod shapes;
mod source;
mod text;
mod times;
mod types;
mod units;
mod walk;
mod words;

pub(crate) use compiled::Compiled;
pub use error::PayloadError;
pub use left_out::{LeftOut, LeftOutReason};
use object::{FlatRules, Scratch};
pub(crate) use records::records;
pub use rules::{CsvRules, OnBadTime, PayloadRules};
use scan::Scanner;
pub(crate) use source::{Malformed, Source, Token};
use text::malformed;
pub(crate) use text::{Text, trim_end, trimmed, without_mark};
pub use types::{Measurement, PayloadLimits};
pub use units::UNITS;
pub(crate) use walk::{MAX_EXACT, is_storable, value_of};
use walk::{Stop, Walk, Walked};
pub use words::{WORDS, value_of_word};

/// The outcome of each reading of a message, or the error of the whole message.
pub type Decoded = Result<Vec<Result<Measurement, PayloadError>>, PayloadError>;

/// Decodes payloads. It remembers the shapes of objects: an object of a known shape costs no more
/// allocations than its values. Decoding takes a lock, so give each task a decoder of its own.
pub struct PayloadDecoder {
    limits: PayloadLimits,
    timestamp_keys: Vec<String>,
    compiled: Compiled,
    /// The rules for the elements of an array that the root names.
    of_elements: Compiled,
    scratch: Mutex<Scratch>,
}

/// The limits and timestamp keys of the default configuration, for tools and tests that have no
/// other.
impl Default for PayloadDecoder {
    fn default() -> Self {
        let limits = PayloadLimits {
            max_bytes: 65_536,
            max_fields: 64,
            max_readings: 1_000,
            max_depth: PayloadLimits::DEFAULT_MAX_DEPTH,
        };
        Self::new(limits, ["ts", "timestamp", "time"].map(str::to_owned).into())
    }
}

impl fmt::Debug for PayloadDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayloadDecoder")
            .field("limits", &self.limits)
            .field("timestamp_keys", &self.timestamp_keys)
            .field("rules", &self.compiled.rules)
            .finish_non_exhaustive()
    }
}

impl PayloadDecoder {
    /// Creates a decoder with these limits and the default rules. A member whose path is one of
    /// `timestamp_keys` is the time; an earlier key wins over a later one.
    pub fn new(limits: PayloadLimits, timestamp_keys: Vec<String>) -> Self {
        let compiled = Compiled::new(PayloadRules::default());
        let of_elements = Compiled::new(PayloadRules::default());
        Self { limits, timestamp_keys, compiled, of_elements, scratch: Mutex::default() }
    }

    /// Sets the rules for the members of objects.
    #[must_use]
    pub fn with_rules(self, rules: PayloadRules) -> Self {
        let of_elements = PayloadRules { root: String::new(), device_keys: false, ..rules.clone() };
        Self { compiled: Compiled::new(rules), of_elements: Compiled::new(of_elements), ..self }
    }

    /// Decodes a payload.
    ///
    /// An outer error means that no part of the message is usable. An inner error is that of one
    /// element of an array, in the element's place.
    pub fn decode(&self, payload: &[u8]) -> Decoded {
        match self.flat(payload) {
            Some(measurement) => Ok(vec![Ok(measurement)]),
            None => self.decode_reporting(payload, None),
        }
    }

    /// Returns the time before which times are no times.
    pub fn time_floor(&self) -> Timestamp {
        self.compiled.rules.time_floor
    }

    /// Returns whether a payload is an object without a value at any of these paths, each from the
    /// top of the payload.
    pub fn lacks(&self, payload: &[u8], paths: &[String]) -> bool {
        let Ok(text) = Text::of(payload) else { return false };
        let (text, compiled) = (&*text.text, &self.compiled);
        text.starts_with('{')
            && lists::check(text, compiled).is_ok()
            && !paths.iter().any(|path| presence::has_value(text, path, compiled))
    }

    /// Decodes a payload as [`decode`](Self::decode) does, and returns what is in no reading, with
    /// the reasons. Slower; for people who set up a device.
    pub fn decode_explained(&self, payload: &[u8]) -> (Decoded, Vec<LeftOut>) {
        let mut left_out = Vec::new();
        let decoded = self.decode_reporting(payload, Some(&mut left_out));
        (decoded, left_out)
    }

    /// Returns the member that tells those elements of an array apart that would be readings of one
    /// series. `decoded` is what [`decode`](Self::decode) returned.
    pub fn tells_apart(&self, payload: &[u8], decoded: &Decoded) -> Option<String> {
        let text = Text::of(payload).ok()?;
        apart::of_message(&text.text, &self.compiled, decoded.as_deref().ok()?)
    }

    fn decode_reporting(&self, payload: &[u8], left_out: Option<&mut Vec<LeftOut>>) -> Decoded {
        if payload.len() > self.limits.max_bytes {
            return Err(PayloadError::TooLarge { bytes: payload.len(), limit: self.limits.max_bytes });
        }
        let text = Text::of(payload)?;
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        match text.text.as_bytes().first() {
            None => Err(PayloadError::Empty),
            Some(b'{') => self.object(&mut scratch, &text, left_out),
            Some(b'[') => self.array(&mut scratch, &text, left_out),
            Some(_) => Ok(vec![Ok(bare::value(&mut scratch, &text.text, &self.compiled.words)?)]),
        }
    }

    /// Reads a payload that is one flat object; `None` if it needs a closer look.
    fn flat(&self, payload: &[u8]) -> Option<Measurement> {
        if payload.len() > self.limits.max_bytes {
            return None;
        }
        let payload = payload.trim_ascii();
        if payload.first() != Some(&b'{') {
            return None;
        }
        let text = std::str::from_utf8(payload).ok()?;
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        self.flat_object(&mut scratch, text, &self.compiled)
    }

    /// Reads an object of another format; `None` if only its JSON text tells what it means.
    pub(crate) fn object_of<'t>(&self, source: impl Source<'t>) -> Option<Measurement> {
        let Self { limits, timestamp_keys, compiled, .. } = self;
        if compiled.need_the_text() {
            return None;
        }
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let walk = Walk::new(source, compiled, limits, timestamp_keys, &mut scratch.found, None);
        let Walked { ts, .. } = walk.run().ok()?;
        if scratch.found.values.is_empty() { None } else { scratch.walked(ts).ok() }
    }

    fn flat_rules<'r>(&'r self, compiled: &'r Compiled) -> FlatRules<'r> {
        FlatRules {
            timestamp_keys: &self.timestamp_keys,
            max_fields: self.limits.max_fields,
            time_floor: compiled.rules.time_floor,
            words: &compiled.words,
        }
    }

    fn flat_object(&self, scratch: &mut Scratch, text: &str, compiled: &Compiled) -> Option<Measurement> {
        if scratch.expects_nested || !compiled.are_plain() {
            return None;
        }
        let rules = self.flat_rules(compiled);
        object::read(scratch, text, rules)
    }

    /// Reads an element of an array.
    fn element(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        text: &str,
        compiled: &Compiled,
        left_out: Option<&mut Vec<LeftOut>>,
    ) -> Result<Measurement, PayloadError> {
        if left_out.is_none()
            && whole.replaced.is_none()
            && let Some(measurement) = self.flat_object(scratch, text, compiled)
        {
            return Ok(measurement);
        }
        self.walk(scratch, whole, text, compiled, left_out)
    }

    /// Reads an object of any form.
    #[inline(never)]
    fn walk(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        text: &str,
        compiled: &Compiled,
        mut left_out: Option<&mut Vec<LeftOut>>,
    ) -> Result<Measurement, PayloadError> {
        let compiled = compiled.for_object(text);
        let reports_before = left_out.as_ref().map_or(0, |left_out| left_out.len());
        let Walked { ts, is_nested } =
            self.walk_once(scratch, text, compiled, left_out.as_deref_mut()).map_err(|stop| match stop {
                Stop::Refused(error) => error,
                Stop::Malformed => whole.replaced.clone().unwrap_or_else(|| malformed(text)),
            })?;
        if let Some(left_out) = left_out.as_deref_mut() {
            apart::name_members(text, &mut left_out[reports_before..]);
        }
        scratch.expects_nested = is_nested;
        whole.check_name(&scratch.found.names)?;
        if !scratch.found.values.is_empty() {
            let labels = labels::read(text, &self.compiled.rules.labels);
            labels.iter().flatten().try_for_each(|label| whole.check_name(label))?;
            return scratch.walked(ts).map(|measurement| Measurement { labels, ..measurement });
        }
        if let Some(left_out) = left_out {
            return Err(PayloadError::no_field(&left_out[reports_before..]));
        }
        let mut left_out = Vec::new();
        // The same walk, so the same end.
        let _ = self.walk_once(scratch, text, compiled, Some(&mut left_out));
        apart::name_members(text, &mut left_out);
        Err(PayloadError::no_field(&left_out))
    }

    fn walk_once(
        &self,
        scratch: &mut Scratch,
        text: &str,
        compiled: &Compiled,
        left_out: Option<&mut Vec<LeftOut>>,
    ) -> Result<Walked, Stop> {
        let Self { limits, timestamp_keys, .. } = self;
        Walk::new(Scanner::new(text), compiled, limits, timestamp_keys, &mut scratch.found, left_out).run()
    }

    /// Reads a payload that is an object: one message, an array of them below the root, or the
    /// messages of several devices.
    fn object(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        left_out: Option<&mut Vec<LeftOut>>,
    ) -> Decoded {
        let (text, compiled) = (&*whole.text, &self.compiled);
        if compiled.rules.device_keys {
            return self.devices(scratch, whole, left_out);
        }
        let root = &compiled.rules.root;
        let elements = if root.is_empty() { None } else { lists::array_at(text, root, compiled) };
        let Some(elements) = elements else {
            return Ok(vec![Ok(self.walk(scratch, whole, text, compiled, left_out)?)]);
        };
        lists::check(text, compiled).map_err(|_| whole.malformed())?;
        let outcomes = self.elements(scratch, whole, elements, &self.of_elements, left_out)?;
        Ok(self.with_the_message(scratch, whole, None, outcomes))
    }

    /// Reads a payload that names devices. They are the members of the object at the root. If there
    /// is none, they are the topmost members, and each of their messages has the root.
    fn devices(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        mut left_out: Option<&mut Vec<LeftOut>>,
    ) -> Decoded {
        let text = &*whole.text;
        lists::check(text, &self.compiled).map_err(|_| whole.malformed())?;
        let root = &self.compiled.rules.root;
        let at_root = if root.is_empty() { None } else { labels::find(text, root) };
        let at_root = at_root.filter(|json| json.starts_with('{'));
        let compiled = if at_root.is_some() { &self.of_elements } else { &self.compiled };
        let devices = lists::devices_in(at_root.unwrap_or(text), compiled);
        let lists::Devices { objects, others } = devices.map_err(|_| whole.malformed())?;
        let others = others.into_iter().filter(|name| !self.timestamp_keys.iter().any(|key| key == name));
        let others: Vec<LeftOut> =
            others.map(|name| LeftOut { path: excerpt(&name), reason: LeftOutReason::NoDevice }).collect();
        if let Some(left_out) = left_out.as_deref_mut() {
            left_out.extend(others.iter().cloned());
        }
        if objects.is_empty() && !others.is_empty() {
            return Err(PayloadError::no_field(&others));
        }
        let (devices, objects): (Vec<Box<str>>, Vec<&str>) = objects.into_iter().unzip();
        let outcomes = self.elements(scratch, whole, objects, compiled, left_out)?;
        let mut outcomes = self.with_the_message(scratch, whole, at_root, outcomes);
        for (outcome, device) in outcomes.iter_mut().zip(devices) {
            if let Ok(measurement) = outcome {
                match whole.check_name(&device) {
                    Ok(()) => measurement.device = Some(device),
                    Err(error) => *outcome = Err(error),
                }
            }
        }
        Ok(outcomes)
    }

    /// Gives objects of a message its time and its labels, if they have none. The time stands at
    /// the top of the message, or in the object at the root.
    fn with_the_message(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        at_root: Option<&str>,
        mut outcomes: Vec<Result<Measurement, PayloadError>>,
    ) -> Vec<Result<Measurement, PayloadError>> {
        let of_message = match (self.time_in(scratch, &whole.text), at_root) {
            (Ok(None), Some(at_root)) => self.time_in(scratch, at_root),
            (of_message, _) => of_message,
        };
        let labels = labels::read(&whole.text, &self.compiled.rules.labels);
        for outcome in &mut outcomes {
            if let Ok(measurement) = outcome {
                for (own, of_message) in measurement.labels.iter_mut().zip(&labels) {
                    *own = own.take().or_else(|| of_message.clone());
                }
                let mut labels = measurement.labels.iter().flatten();
                if let Err(error) = labels.try_for_each(|label| whole.check_name(label)) {
                    *outcome = Err(error);
                }
            }
            match (&mut *outcome, &of_message) {
                (Ok(measurement), Ok(ts)) => measurement.ts = measurement.ts.or(*ts),
                (Ok(Measurement { ts: None, .. }), Err(error)) => *outcome = Err(error.clone()),
                _ => {}
            }
        }
        outcomes
    }

    /// Returns the time of an object that is well-formed.
    fn time_in(&self, scratch: &mut Scratch, text: &str) -> Result<Option<Timestamp>, PayloadError> {
        let Self { limits, timestamp_keys, compiled, .. } = self;
        let walk = Walk::new(Scanner::new(text), compiled, limits, timestamp_keys, &mut scratch.found, None);
        match walk.run_for_the_time() {
            Ok(Walked { ts, .. }) => Ok(ts),
            Err(Stop::Refused(error)) => Err(error),
            Err(Stop::Malformed) => Err(malformed(text)),
        }
    }

    fn array(&self, scratch: &mut Scratch, whole: &Text<'_>, left_out: Option<&mut Vec<LeftOut>>) -> Decoded {
        let elements: Vec<&str> = match serde_json::from_str::<Vec<&RawValue>>(&whole.text) {
            Ok(elements) => elements.into_iter().map(RawValue::get).collect(),
            Err(error) => lists::array(&whole.text, |word| self.compiled.knows_bare(word))
                .map_err(|_| whole.replaced.clone().unwrap_or_else(|| PayloadError::malformed(&error)))?,
        };
        if !elements.is_empty() && !has_object(&elements) {
            return Ok(vec![Ok(self.numbers(scratch, whole, left_out)?)]);
        }
        self.elements(scratch, whole, elements, &self.compiled, left_out)
    }

    /// Reads a payload that is an array of numbers, as the same array is read as the member `value`.
    fn numbers(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        left_out: Option<&mut Vec<LeftOut>>,
    ) -> Result<Measurement, PayloadError> {
        let object = format!("{{\"value\":{}}}", whole.text);
        let mut own = Vec::new();
        let read = self.walk(scratch, whole, &object, &self.of_elements, Some(&mut own));
        let refused = own.iter().find(|member| member.path == "value").map(|array| array.reason.clone());
        if let Some(left_out) = left_out {
            left_out.append(&mut own);
        }
        read.map_err(|error| match (error, refused) {
            (PayloadError::NoNumericField { .. }, Some(reason)) => PayloadError::NoReadingInArray(reason),
            (error, _) => error,
        })
    }

    /// Reads the elements of an array, each of them a message.
    fn elements(
        &self,
        scratch: &mut Scratch,
        whole: &Text<'_>,
        elements: Vec<&str>,
        compiled: &Compiled,
        mut left_out: Option<&mut Vec<LeftOut>>,
    ) -> Decoded {
        if elements.is_empty() {
            return Err(PayloadError::Empty);
        }
        if !has_object(&elements) {
            return Err(PayloadError::NotAReading);
        }
        if elements.len() > self.limits.max_readings {
            let (readings, limit) = (elements.len(), self.limits.max_readings);
            return Err(PayloadError::TooManyReadings { readings, limit });
        }
        let mut outcomes = Vec::with_capacity(elements.len());
        for (index, element) in elements.into_iter().enumerate() {
            if !element.starts_with('{') {
                outcomes.push(Err(PayloadError::NotAReading));
                continue;
            }
            let reports_before = left_out.as_ref().map_or(0, |left_out| left_out.len());
            outcomes.push(self.element(scratch, whole, element, compiled, left_out.as_deref_mut()));
            if let Some(left_out) = left_out.as_deref_mut() {
                left_out[reports_before..]
                    .iter_mut()
                    .for_each(|one| one.path = format!("[{index}].{}", one.path));
            }
        }
        Ok(outcomes)
    }
}

/// Whether an element of an array is an object. If none is, no element can be a reading.
fn has_object(elements: &[&str]) -> bool {
    elements.iter().any(|element| element.starts_with('{'))
}

#[cfg(test)]
mod tests;
