//! The rules for members and words, compiled once for a decoder.

use wildmatch::WildMatch;

use super::labels;
use super::rules::PayloadRules;
use super::words::{Meaning, Words};

/// The rules in the form in which they are applied.
pub(crate) struct Compiled {
    pub(crate) rules: PayloadRules,
    pub(super) words: Words,
    pub(super) include: Vec<WildMatch>,
    pub(super) exclude: Vec<WildMatch>,
    /// The rules for an object without the root, if the root is optional.
    without_root: Option<Box<Compiled>>,
}

impl Compiled {
    pub(crate) fn new(mut rules: PayloadRules) -> Self {
        let optional_root = rules.root.strip_suffix('?').map(str::to_owned);
        let without_root = optional_root.map(|root| {
            rules.root = root;
            Box::new(Self::new(PayloadRules { root: String::new(), ..rules.clone() }))
        });
        let patterns = |texts: &[String]| texts.iter().map(|text| WildMatch::new(text)).collect();
        Self {
            words: Words::new(&rules.words).with_numbers(rules.decimal_comma, rules.units),
            include: patterns(&rules.include),
            exclude: patterns(&rules.exclude),
            rules,
            without_root,
        }
    }

    /// Returns the rules for an object.
    pub(super) fn for_object(&self, text: &str) -> &Self {
        match &self.without_root {
            Some(without_root) if !labels::has_object(text, &self.rules.root) => without_root,
            _ => self,
        }
    }

    /// Whether the flat path applies the same rules.
    pub(super) fn are_plain(&self) -> bool {
        self.rules.root.is_empty()
            && self.rules.labels.is_empty()
            && !self.rules.device_keys
            && self.include.is_empty()
            && self.exclude.is_empty()
    }

    /// Whether only the JSON text of an object tells how to read it.
    pub(super) fn need_the_text(&self) -> bool {
        !self.rules.labels.is_empty() || self.rules.device_keys || self.without_root.is_some()
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
