//! Walks an object of any form: nested members, texts, missing values, bare words. Slower than
//! [`object`](super::object), which reads flat objects of plain numbers.

use std::marker::PhantomData;

use thicket_schema::text::excerpt;
use thicket_schema::{FieldSet, Timestamp};

use super::compiled::{Compiled, python_bool};
use super::error::PayloadError;
use super::left_out::{LeftOut, LeftOutReason};
use super::source::{Malformed, Source, Token};
use super::times::{Time, Times, unquoted};
use super::types::PayloadLimits;
use super::words::Meaning;

/// Most numbers of an array that are fields.
pub(super) const MAX_ELEMENTS: usize = 16;
/// Deepest level that can be configured. The walk is recursive.
const DEEPEST: usize = 64;
/// Largest whole number up to which every whole number is a 64-bit float.
pub(crate) const MAX_EXACT: u64 = 1 << 53;

/// Why a walk ended early.
pub(super) enum Stop {
    /// The text is not JSON.
    Malformed,
    /// The object is refused.
    Refused(PayloadError),
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The fields that a walk finds. Reused from one object to the next.
#[derive(Default)]
pub(super) struct Found {
    /// Names of the fields, in the order of the object, joined by line feeds.
    pub(super) names: String,
    /// One value per name.
    pub(super) values: Vec<f64>,
    /// For each value, where its name ends in `names`, and whether it is a number of the topmost
    /// level.
    ends: Vec<(usize, bool)>,
    times: Times,
    path: String,
}

impl Found {
    fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
        self.ends.clear();
        self.times.clear();
        self.path.clear();
    }

    fn push(&mut self, name: &str, value: f64, is_plain: bool) {
        if !self.values.is_empty() {
            self.names.push('\n');
        }
        self.names.push_str(name);
        self.values.push(value);
        self.ends.push((self.names.len(), is_plain));
    }

    /// Returns the first name that has a line feed itself.
    pub(super) fn name_with_line_feed(&self) -> Option<&str> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| end + 1));
        let mut names = starts.zip(&self.ends).map(|(start, (end, _))| &self.names[start..*end]);
        names.find(|name| name.contains('\n'))
    }

    fn truncate(&mut self, count: usize) {
        self.values.truncate(count);
        self.ends.truncate(count);
        self.names.truncate(self.ends.last().map_or(0, |(end, _)| *end));
    }
}

/// What a walk returns besides the fields.
pub(super) struct Walked {
    pub(super) ts: Option<Timestamp>,
    /// Whether an object or array lies in the object.
    pub(super) is_nested: bool,
}

/// How the members of an object relate to the root.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The root lies below.
    Above,
    /// They can be fields. `true` if a pattern of `include` already applies.
    Inside(bool),
    /// Only times are looked for.
    Outside,
}

/// One walk over one object.
pub(super) struct Walk<'w, 't, S> {
    source: S,
    texts: PhantomData<&'t str>,
    compiled: &'w Compiled,
    limits: &'w PayloadLimits,
    timestamp_keys: &'w [String],
    found: &'w mut Found,
    left_out: Option<&'w mut Vec<LeftOut>>,
    is_odd: bool,
    is_nested: bool,
    saw_root: bool,
}

impl<'w, 't, S: Source<'t>> Walk<'w, 't, S> {
    pub(super) fn new(
        source: S,
        compiled: &'w Compiled,
        limits: &'w PayloadLimits,
        timestamp_keys: &'w [String],
        found: &'w mut Found,
        left_out: Option<&'w mut Vec<LeftOut>>,
    ) -> Self {
        found.clear();
        Self {
            source,
            texts: PhantomData,
            compiled,
            limits,
            timestamp_keys,
            found,
            left_out,
            is_odd: false,
            is_nested: false,
            saw_root: false,
        }
    }

    /// Walks over the whole text. Afterwards, `found` has its fields.
    pub(super) fn run(self) -> Result<Walked, Stop> {
        self.read_all(true)
    }

    /// Walks over the whole text for its time.
    pub(super) fn run_for_the_time(self) -> Result<Walked, Stop> {
        self.read_all(false)
    }

    fn read_all(mut self, needs_a_field: bool) -> Result<Walked, Stop> {
        if self.source.token()? != Token::Object {
            return Err(Stop::Malformed);
        }
        let place = match (needs_a_field, self.compiled.rules.root.is_empty()) {
            (false, _) => Place::Outside,
            (true, true) => Place::Inside(false),
            (true, false) => Place::Above,
        };
        self.object(1, place)?;
        self.source.end()?;
        if place == Place::Above && !self.saw_root {
            self.found.path.clone_from(&self.compiled.rules.root);
            self.leave_out(LeftOutReason::NoRoot);
        }
        self.keep_to_the_limit()?;
        let Self { found, left_out, timestamp_keys, compiled, .. } = self;
        let mut left_out = left_out;
        let report = |rank: usize, reason| {
            if let Some(left_out) = left_out.as_deref_mut() {
                left_out.push(LeftOut { path: excerpt(&timestamp_keys[rank]), reason });
            }
        };
        let decided = found.times.decide(compiled.rules.on_bad_time, report);
        // Of two faults, the malformed JSON is the first to mend.
        if found.values.is_empty() && self.is_odd && needs_a_field {
            return Err(Stop::Malformed);
        }
        Ok(Walked { ts: decided.map_err(Stop::Refused)?, is_nested: self.is_nested })
    }

    /// Reads the members of an object that is already open.
    fn object(&mut self, depth: usize, place: Place) -> Result<(), Stop> {
        let mut first = true;
        while let Some(name) = self.source.name(first)? {
            first = false;
            let mark = self.found.path.len();
            if depth > 1 {
                self.found.path.push('.');
            }
            self.found.path.push_str(&name);
            self.member(depth, place)?;
            self.found.path.truncate(mark);
        }
        Ok(())
    }

    /// Reads the value of the member that `found.path` names.
    fn member(&mut self, depth: usize, place: Place) -> Result<(), Stop> {
        let start = self.source.position();
        let token = self.token()?;
        if let Some(rank) = self.timestamp_keys.iter().position(|key| *key == self.found.path) {
            return self.time(rank, start, token);
        }
        let place = match place {
            Place::Above => self.place_above(token),
            Place::Inside(included) => match self.place_inside(included, token) {
                Ok(place) => place,
                Err(reason) => {
                    self.leave_out(reason);
                    Place::Outside
                }
            },
            Place::Outside => Place::Outside,
        };
        match (token, place) {
            (Token::Object, Place::Outside) if !self.has_times_below() => self.skip_from(start),
            (Token::Object, _) if depth >= self.limits.max_depth.min(DEEPEST) => {
                self.leave_out(LeftOutReason::TooDeep(self.limits.max_depth.min(DEEPEST)));
                self.skip_from(start)
            }
            (Token::Object, _) => self.object(depth + 1, place),
            (Token::Array, Place::Inside(included)) => self.array(start, included),
            (Token::Array, _) => self.skip_from(start),
            (_, Place::Inside(_)) => self.field(token, depth),
            _ => Ok(()),
        }
    }

    /// Reads a token, and refuses bare words without a meaning.
    fn token(&mut self) -> Result<Token<'t>, Stop> {
        let token = self.source.token()?;
        match token {
            Token::Bare(word) => {
                if !self.compiled.knows_bare(word) {
                    return Err(Stop::Malformed);
                }
                self.is_odd = true;
            }
            Token::Object | Token::Array => self.is_nested = true,
            _ => {}
        }
        Ok(token)
    }

    fn skip_from(&mut self, start: S::Position) -> Result<(), Stop> {
        self.source.back_to(start);
        let Self { source, compiled, is_odd, .. } = self;
        let odd = std::cell::Cell::new(false);
        source.skip(|word| {
            odd.set(true);
            compiled.knows_bare(word)
        })?;
        *is_odd |= odd.get();
        Ok(())
    }

    fn time(&mut self, rank: usize, start: S::Position, token: Token<'t>) -> Result<(), Stop> {
        if matches!(token, Token::Object | Token::Array) {
            self.skip_from(start)?;
        }
        let mut time = Time::read(token, &self.compiled.rules, &self.compiled.words);
        if let (Token::Object | Token::Array, Time::Bad(_)) = (token, &time) {
            let text = excerpt(self.source.since(start).trim_ascii());
            time = Time::Bad(crate::timestamp::TimestampError::NotATime(text));
        }
        if self.found.times.add(rank, time) {
            return Ok(());
        }
        let field = excerpt(&self.timestamp_keys[rank]);
        Err(Stop::Refused(PayloadError::DuplicateField { field }))
    }

    /// Whether a timestamp key lies below `found.path`.
    fn has_times_below(&self) -> bool {
        self.timestamp_keys.iter().any(|key| is_below(key, &self.found.path))
    }

    fn place_above(&mut self, token: Token<'t>) -> Place {
        let root = &self.compiled.rules.root;
        if token == Token::Object && *root == self.found.path {
            self.saw_root = true;
            return Place::Inside(false);
        }
        if token == Token::Object && is_below(root, &self.found.path) {
            return Place::Above;
        }
        self.leave_out(LeftOutReason::OutsideRoot);
        Place::Outside
    }

    fn place_inside(&self, included: bool, token: Token<'t>) -> Result<Place, LeftOutReason> {
        if self.compiled.include.is_empty() && self.compiled.exclude.is_empty() {
            return Ok(Place::Inside(true));
        }
        let name = self.field_name();
        if self.compiled.excludes(name) {
            return Err(LeftOutReason::Excluded);
        }
        let included = included || self.compiled.includes(name);
        // A pattern may name what lies in an object, or the elements of an array.
        if included || token == Token::Object || token == Token::Array {
            return Ok(Place::Inside(included));
        }
        Err(LeftOutReason::NotIncluded)
    }

    /// Returns the path relative to the root.
    fn field_name(&self) -> &str {
        let root = &self.compiled.rules.root;
        if root.is_empty() {
            &self.found.path
        } else {
            self.found.path.get(root.len() + 1..).unwrap_or_default()
        }
    }

    fn field(&mut self, token: Token<'t>, depth: usize) -> Result<(), Stop> {
        let is_plain = depth == 1 && token.is_number();
        match self.meaning(token) {
            Ok(value) => self.push(value, is_plain),
            Err(LeftOutReason::NotFinite) if is_plain => {
                return Err(Stop::Refused(PayloadError::NotFinite { field: excerpt(self.field_name()) }));
            }
            Err(reason) => self.leave_out(reason),
        }
        Ok(())
    }

    fn push(&mut self, value: f64, is_plain: bool) {
        // A plain number with a bad name is refused later, together with its names.
        if !is_plain && !is_storable(self.field_name()) {
            return self.leave_out(LeftOutReason::BadName);
        }
        let path = std::mem::take(&mut self.found.path);
        let root = &self.compiled.rules.root;
        let name = if root.is_empty() { &path[..] } else { path.get(root.len() + 1..).unwrap_or_default() };
        self.found.push(name, value, is_plain);
        self.found.path = path;
    }

    fn meaning(&self, token: Token<'t>) -> Result<f64, LeftOutReason> {
        match token {
            Token::Number(number) => value_of(number),
            Token::Float(value) => Ok(value),
            Token::Unsigned(value) => exact(value).map(|()| value as f64),
            Token::Signed(value) => exact(value.unsigned_abs()).map(|()| value as f64),
            Token::Bool(value) => Ok(f64::from(u8::from(value))),
            Token::Null => Err(LeftOutReason::Missing),
            Token::Bare(word) => {
                python_bool(word).map(|value| f64::from(u8::from(value))).ok_or(LeftOutReason::Missing)
            }
            Token::Quoted(quoted) => self.meaning_of_text(&unquoted(quoted)),
            Token::Text(text) => self.meaning_of_text(text),
            Token::Object | Token::Array => Err(LeftOutReason::ArrayOfOthers),
        }
    }

    fn meaning_of_text(&self, text: &str) -> Result<f64, LeftOutReason> {
        match self.compiled.words.meaning(text) {
            Meaning::Number(value) => Ok(value),
            Meaning::Missing => Err(LeftOutReason::Missing),
            Meaning::Identifier => Err(LeftOutReason::Identifier),
            Meaning::NotFinite => Err(LeftOutReason::NotFinite),
            Meaning::Text if self.left_out.is_none() => Err(LeftOutReason::Text(String::new())),
            Meaning::Text => {
                let shown = format!("{:?}", excerpt(text));
                let has_comma = self.compiled.words.is_number_with_comma(text);
                Err(if has_comma { LeftOutReason::DecimalComma(shown) } else { LeftOutReason::Text(shown) })
            }
        }
    }

    /// Reads an array that is already open. Its elements are fields if all are numbers, or missing,
    /// and few.
    fn array(&mut self, start: S::Position, included: bool) -> Result<(), Stop> {
        let before = self.found.values.len();
        let reports_before = self.left_out.as_ref().map_or(0, |left_out| left_out.len());
        let mark = self.found.path.len();
        let mut count = 0;
        let refused = loop {
            if !self.source.element(count == 0)? {
                break (count == 0).then_some(LeftOutReason::Empty);
            }
            if count == MAX_ELEMENTS {
                break Some(LeftOutReason::LongArray(MAX_ELEMENTS));
            }
            let token = self.token()?;
            if token == Token::Object {
                break Some(LeftOutReason::ArrayOfObjects(None));
            }
            if !token.is_number() && !matches!(token, Token::Null | Token::Bare(_)) {
                break Some(LeftOutReason::ArrayOfOthers);
            }
            self.found.path.push('.');
            self.found.path.push_str(&count.to_string());
            match self.place_inside(included, token) {
                Err(reason) => self.leave_out(reason),
                Ok(_) => match self.meaning(token) {
                    Ok(value) => self.push(value, false),
                    Err(reason) => self.leave_out(reason),
                },
            }
            self.found.path.truncate(mark);
            count += 1;
        };
        let Some(reason) = refused else { return Ok(()) };
        self.found.truncate(before);
        if let Some(left_out) = self.left_out.as_deref_mut() {
            left_out.truncate(reports_before);
        }
        self.leave_out(reason);
        self.skip_from(start)
    }

    fn leave_out(&mut self, reason: LeftOutReason) {
        if let Some(left_out) = self.left_out.as_deref_mut() {
            left_out.push(LeftOut { path: excerpt(&self.found.path), reason });
        }
    }

    /// Plain numbers of the topmost level beyond the limit are refused. Other members are left out
    /// from the end, so that they never cost the reading.
    fn keep_to_the_limit(&mut self) -> Result<(), Stop> {
        let limit = self.limits.max_fields;
        if self.found.values.len() <= limit {
            return Ok(());
        }
        let plain = self.found.ends.iter().filter(|(_, is_plain)| *is_plain).count();
        if plain > limit {
            return Err(Stop::Refused(PayloadError::TooManyFields { limit }));
        }
        let mut room = limit - plain;
        let all = std::mem::take(&mut self.found.names);
        let values = std::mem::take(&mut self.found.values);
        let ends = std::mem::take(&mut self.found.ends);
        let mut start = 0;
        for (value, (end, is_plain)) in values.into_iter().zip(ends) {
            let name = &all[start..end];
            start = end + 1;
            if is_plain || room > 0 {
                room -= usize::from(!is_plain);
                self.found.push(name, value, is_plain);
            } else if let Some(left_out) = self.left_out.as_deref_mut() {
                left_out.push(LeftOut { path: excerpt(name), reason: LeftOutReason::TooManyFields(limit) });
            }
        }
        Ok(())
    }
}

/// Whether `path` lies in the object `above`.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a text can be the name of a field.
pub(crate) fn is_storable(name: &str) -> bool {
    !name.is_empty() && name.len() <= FieldSet::MAX_NAME_BYTES && !name.chars().any(char::is_control)
}

/// Reads a JSON number. Rust reads every one, and rounds it correctly.
pub(crate) fn value_of(number: &str) -> Result<f64, LeftOutReason> {
    let value: f64 = number.parse().map_err(|_| LeftOutReason::NotFinite)?;
    if !value.is_finite() {
        return Err(LeftOutReason::NotFinite);
    }
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole {
        exact(digits.parse().unwrap_or(u64::MAX))?;
    }
    Ok(value)
}

/// Fails if a float may not hold a whole number of this size exactly.
fn exact(size: u64) -> Result<(), LeftOutReason> {
    if size > MAX_EXACT { Err(LeftOutReason::Identifier) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
