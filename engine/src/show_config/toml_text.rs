//! Writes a configuration as TOML, with a comment behind each value.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::keys::{has_headings, join};

/// The column of the comments.
const COLUMN: usize = 44;

/// What the text needs to know about a key.
pub(super) struct TomlText<'a> {
    /// Returns the origin of the value of a key, such as `mqtt[0].url`.
    pub(super) origin_of: &'a dyn Fn(&str) -> String,
    /// Returns whether values of an origin are shown.
    pub(super) is_shown: &'a dyn Fn(&str) -> bool,
}

impl TomlText<'_> {
    /// Returns the text of a configuration.
    pub(super) fn of(&self, all: &Value) -> String {
        let mut text = String::new();
        if let Value::Object(keys) = all {
            self.add_table(&mut text, "", "", keys);
        }
        text
    }

    /// Adds a table: first its values, then its tables. `place` is its key with the indices of arrays,
    /// `heading` without them.
    fn add_table(&self, text: &mut String, place: &str, heading: &str, keys: &Map<String, Value>) {
        for (name, value) in keys {
            if is_table(name, value) {
                continue;
            }
            let origin = (self.origin_of)(&join(place, name));
            // TOML has no null.
            if let (true, Ok(value)) = ((self.is_shown)(&origin), toml::Value::try_from(value)) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{:<COLUMN$}  # {origin}", format!("{name} = {value}"));
            }
        }
        for (name, value) in keys.iter().filter(|(name, value)| is_table(name, value)) {
            let (place, heading) = (join(place, name), join(heading, name));
            match value {
                Value::Object(inner) => {
                    self.add_below(text, &format!("[{heading}]"), &place, &heading, inner);
                }
                Value::Array(elements) => {
                    for (index, inner) in elements.iter().filter_map(Value::as_object).enumerate() {
                        let place = format!("{place}[{index}]");
                        self.add_below(text, &format!("[[{heading}]]"), &place, &heading, inner);
                    }
                }
                _ => {}
            }
        }
    }

    /// Adds a table below its heading, if any of its values are shown.
    fn add_below(
        &self,
        text: &mut String,
        line: &str,
        place: &str,
        heading: &str,
        keys: &Map<String, Value>,
    ) {
        let mut below = String::new();
        self.add_table(&mut below, place, heading, keys);
        if !below.is_empty() {
            let separator = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{separator}{line}\n{}", below.trim_start_matches('\n'));
        }
    }
}

fn is_table(name: &str, value: &Value) -> bool {
    match value {
        // An empty table is a value: `words = {}`.
        Value::Object(keys) => !keys.is_empty() && name != "words",
        Value::Array(elements) => !elements.is_empty() && has_headings(name),
        _ => false,
    }
}
