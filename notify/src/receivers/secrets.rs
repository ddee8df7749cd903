//! The secrets of a route, which no error shows: a receiver may repeat its request in an answer.

/// Characters of an answer that an error shows.
const SHOWN: usize = 200;
/// What an error shows instead of a secret.
const HIDDEN: &str = "***";
/// Bytes of the shortest text that is taken for a secret. A shorter one is part of many words.
const SHORTEST: usize = 4;
/// Bytes of the shortest part of a text that is taken for a secret by itself.
const SHORTEST_PART: usize = 8;

/// Texts that are hidden, the longest first: one may be a part of another.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Adds a text.
    pub(super) fn add(&mut self, text: &str) {
        self.insert(text, SHORTEST);
    }

    /// Adds a text, and each part of it between characters that `separates` chooses.
    pub(super) fn add_with_parts(&mut self, text: &str, separates: impl Fn(char) -> bool) {
        self.add(text);
        for part in text.split(separates) {
            self.insert(part, SHORTEST_PART);
        }
    }

    fn insert(&mut self, text: &str, shortest: usize) {
        if text.len() >= shortest && !self.0.iter().any(|secret| secret == text) {
            self.0.push(text.to_owned());
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Returns the beginning of an error's text, without secrets and control characters.
    pub(super) fn shown(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN));
        text.chars().filter(|character| !character.is_control()).take(SHOWN).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_hidden_as_a_whole_and_in_long_parts() {
        let mut secrets = Secrets::default();
        secrets.add_with_parts("Basic dXNlcjpTRUNSRVQ=", char::is_whitespace);
        secrets.add_with_parts("a1b2c3d4/services/T0", |character| character == '/');
        secrets.add("abc");
        let cases = [
            ("unknown: Basic dXNlcjpTRUNSRVQ=", "unknown: ***"),
            ("Basic login \"dXNlcjpTRUNSRVQ=\" failed", "Basic login \"***\" failed"),
            ("no hook a1b2c3d4 of T0", "no hook *** of T0"),
            ("/a1b2c3d4/services/T0: abc\r\n", "/***: abc"),
        ];
        for (text, shown) in cases {
            assert_eq!(secrets.shown(text), shown);
        }
        assert_eq!(secrets.shown(&"e".repeat(1_000)).len(), SHOWN);
    }
}
