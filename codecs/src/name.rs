//! Joins the parts of a sensor's name. Texts of the payload are escaped where the name could not
//! have them; the topic is taken as it is.
//!
//! | text of the payload | in the name |
//! |---|---|
//! | `+`, `#` | `%2B`, `%23` |
//! | `/` that would make an empty level | `%2F` |
//! | `%` before `2B`, `23`, `2F` or `25` | `%25` |
//!
//! Every other character stays, also every other `%`. So two texts never become one: each of the four
//! codes stands for its character, wherever it comes from.

use std::ops::Range;

/// The ends of the codes that stand for a character.
const CODES: [&str; 4] = ["2B", "23", "2F", "25"];

/// The name of a sensor while it is made of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameText {
    text: String,
    /// Where texts of the payload stand that may need escapes.
    of_payload: Vec<Range<usize>>,
    /// Whether a slash at the beginning of the next part belongs to an empty part.
    drops_slash: bool,
}

impl NameText {
    /// Adds a text of the topic or of a template.
    pub fn push(&mut self, text: &str) {
        let is_dropped = std::mem::take(&mut self.drops_slash);
        let text = if is_dropped { text.strip_prefix('/').unwrap_or(text) } else { text };
        self.text.push_str(text);
    }

    /// Adds a part that is empty or absent. It costs the slash beside it.
    pub fn push_absent(&mut self) {
        if self.ends_with_own_slash() {
            self.text.pop();
        } else if self.text.is_empty() {
            self.drops_slash = true;
        }
    }

    /// Adds a text of the payload. An empty one is absent.
    pub fn push_of_payload(&mut self, text: &str) {
        if text.is_empty() {
            return self.push_absent();
        }
        let start = self.text.len();
        self.text.push_str(text);
        if text.contains(['+', '#', '%', '/']) {
            self.of_payload.push(start..self.text.len());
        }
        self.drops_slash = false;
    }

    /// Returns whether the last character is a slash that is not the payload's.
    fn ends_with_own_slash(&self) -> bool {
        let is_of_payload = self.of_payload.last().is_some_and(|range| range.end == self.text.len());
        self.text.ends_with('/') && !is_of_payload
    }

    /// Returns the name. It may not be a valid name of a sensor.
    pub fn finish(self) -> String {
        let Self { text, of_payload, .. } = self;
        if of_payload.is_empty() {
            return text;
        }
        let mut name = String::with_capacity(text.len() + 8);
        let mut done = 0;
        for range in of_payload {
            name.push_str(&text[done..range.start]);
            done = range.end;
            for (index, character) in text[range.clone()].char_indices() {
                match code_at(&text, range.start + index) {
                    Some(code) => name.push_str(code),
                    None => name.push(character),
                }
            }
        }
        name.push_str(&text[done..]);
        name
    }
}

/// Returns the code of the character at an index of a name; `None` if the character stays.
fn code_at(text: &str, index: usize) -> Option<&'static str> {
    let (before, from) = text.split_at(index);
    // Only ASCII characters have a code.
    let after = from.get(1..).unwrap_or_default();
    let begins_level = before.is_empty() || before.ends_with('/');
    let ends_level = after.is_empty() || after.starts_with('/');
    match from.chars().next()? {
        '+' => Some("%2B"),
        '#' => Some("%23"),
        '/' if begins_level || ends_level => Some("%2F"),
        '%' if CODES.iter().any(|code| after.starts_with(code)) => Some("%25"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut name = NameText::default();
        name.push("n/");
        name.push_of_payload(text);
        name.finish()
    }

    /// Replaces each code by its character.
    fn plain(name: &str) -> String {
        let codes: HashMap<&str, char> = [("2B", '+'), ("23", '#'), ("2F", '/'), ("25", '%')].into();
        let mut text = String::new();
        let mut rest = name;
        while let Some(first) = rest.chars().next() {
            let code = rest.strip_prefix('%').and_then(|rest| codes.get(rest.get(..2)?));
            text.push(*code.unwrap_or(&first));
            rest = &rest[if code.is_some() { 3 } else { first.len_utf8() }..];
        }
        text
    }

    #[test]
    fn only_what_a_name_cannot_have_is_escaped() {
        for text in ["a/b", "50%", "50 %", "100%ig", "%2f", "%20", "µ/°C", "host=a,path=/var"] {
            assert_eq!(escaped(text), format!("n/{text}"));
        }
        assert_eq!(escaped("%25%2B+%"), "n/%2525%252B%2B%");
        assert_eq!(escaped("é//ü/"), "n/é%2F%2Fü%2F");
    }

    #[test]
    fn an_empty_text_costs_one_slash() {
        for (before, after, name) in
            [("a/", "/b", "a/b"), ("", "/b", "b"), ("a/", "", "a"), ("a-", "b", "a-b")]
        {
            let mut parts = NameText::default();
            if !before.is_empty() {
                parts.push(before);
            }
            parts.push_of_payload("");
            parts.push(after);
            assert_eq!(parts.finish(), name);
        }
    }

    #[test]
    fn an_empty_text_costs_no_slash_of_another_text() {
        let name = |first: &str, after: &str| {
            let mut parts = NameText::default();
            parts.push_of_payload(first);
            parts.push_of_payload("");
            parts.push(after);
            parts.finish()
        };
        assert_eq!(["a/", "é#/", "a"].map(|first| name(first, "")), ["a%2F", "é%23%2F", "a"]);
        assert_eq!(["a/", "a"].map(|first| name(first, "/x")), ["a%2F/x", "a/x"]);
    }

    proptest! {
        #[test]
        fn two_texts_never_become_one(text in "[%2B35Fab+#/é]{1,12}") {
            let name = escaped(&text);
            prop_assert_eq!(plain(&name), format!("n/{text}"));
            prop_assert!(thicket_schema::SensorName::new(&name).is_ok(), "{}", name);
        }
    }
}
