//! The rules for members and words, compiled once for a decoder.

use wildmatch::WildMatch;

use super::rules::PayloadRules;
use super::words::{Meaning, Words};

/// The rules in the form in which they are applied.
pub(crate) struct Compiled {
    pub(crate) rules: PayloadRules,
    pub(super) words: Words,
    pub(super) include: Vec<WildMatch>,
    pub(super) exclude: Vec<WildMatch>,
}

impl Compiled {
    pub(crate) fn new(rules: PayloadRules) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| WildMatch::new(text)).collect();
        Self {
            words: Words::new(&rules.words).with_numbers(rules.decimal_comma, rules.units),
            include: patterns(&rules.include),
            exclude: patterns(&rules.exclude),
            rules,
        }
    }

    /// Whether the flat path applies the same rules.
    pub(super) fn are_plain(&self) -> bool {
        self.rules.root.is_empty()
            && !self.rules.device_keys
            && self.include.is_empty()
            && self.exclude.is_empty()
    }

    pub(crate) fn excludes(&self, name: &str) -> bool {
        self.exclude.iter().any(|pattern| pattern.matches(name))
    }

    pub(crate) fn includes(&self, name: &str) -> bool {
        self.include.is_empty() || self.include.iter().any(|pattern| pattern.matches(name))
    }

    pub(super) fn is_missing(&self, word: &str) -> bool {
        self.words.meaning(word) == Meaning::Missing
    }

    /// Whether a bare word, which JSON does not have, is understood: a word for no value, or a
    /// boolean as Python writes it.
    pub(super) fn knows_bare(&self, word: &str) -> bool {
        self.is_missing(word) || python_bool(word).is_some()
    }
}

pub(super) fn python_bool(word: &str) -> Option<bool> {
    match word {
        "True" | "TRUE" => Some(true),
        "False" | "FALSE" => Some(false),
        _ => None,
    }
}
