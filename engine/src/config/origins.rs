//! Where the value of each key comes from: a flag, an environment variable, a line of the file, or
//! the shipped defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The origin of each key that has a value of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    /// The file, and the lines of its keys.
    file: Option<(PathBuf, BTreeMap<String, usize>)>,
    /// Environment variables and flags, by key. They win over the file.
    above: BTreeMap<String, String>,
}

impl Origins {
    /// Takes the lines of the keys of a file.
    pub(super) const fn of_file(path: PathBuf, lines: BTreeMap<String, usize>) -> Self {
        Self { file: Some((path, lines)), above: BTreeMap::new() }
    }

    /// Notes an environment variable or a flag.
    pub(super) fn note(&mut self, key: String, name: String) {
        self.above.insert(key, name);
    }

    /// Returns where the value of a key comes from: a flag, a variable, or file and line. `None`: the
    /// shipped defaults.
    pub(crate) fn origin_of(&self, key: &str) -> Option<String> {
        let above = alias(key).and_then(|key| self.above.get(&key)).or_else(|| self.above.get(key));
        above.cloned().or_else(|| {
            let (path, lines) = self.file.as_ref()?;
            let line = lines.get(key).or_else(|| lines.get(&format!("{key}_file")))?;
            Some(format!("{}:{line}", path.display()))
        })
    }

    /// Returns the origin of a value, also if a broker with a preset has it.
    pub(crate) fn place_of_value(&self, key: &str) -> Option<String> {
        self.origin_of(key).or_else(|| self.origin_of(&key.replacen(".subscriptions[0]", "", 1)))
    }

    /// Returns the origin of a key, or of the nearest key above it.
    pub(super) fn place_of(&self, key: &str) -> Option<String> {
        if self.origin_of(key).is_none()
            && let Some(variable) = self.variable_below(key).or_else(|| self.variable_below(&alias(key)?))
        {
            return Some(variable);
        }
        let mut key = key;
        loop {
            if let Some(origin) = self.origin_of(key) {
                return Some(origin);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    /// Returns the first variable that sets a key of a section.
    fn variable_below(&self, section: &str) -> Option<String> {
        let is_below = |key: &String| key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'));
        self.above.iter().find(|(key, _)| is_below(key)).map(|(_, name)| name.clone())
    }
}

/// Returns the key of the first broker as an environment variable names it if there is only one:
/// `mqtt.url` for `mqtt[0].url`.
fn alias(key: &str) -> Option<String> {
    key.strip_prefix("mqtt[0]").map(|rest| format!("mqtt{rest}"))
}
