//! All problems of a configuration, each with its place.

use std::fmt;

use super::error::ConfigError;
use super::origins::Origins;
use crate::format::count;

/// Maximum number of problems that are shown.
const MAX_SHOWN: usize = 50;

/// The problems of a configuration, each with its place: the file and line, the environment variable
/// or the flag that has the key.
#[derive(Debug)]
pub(crate) struct ConfigProblems(Vec<(Option<String>, ConfigError)>);

impl std::error::Error for ConfigProblems {}

impl ConfigProblems {
    /// Finds the places of problems.
    pub(super) fn locate(error: ConfigError, origins: &Origins) -> Self {
        let located = error.into_all().into_iter().map(|problem| match &problem {
            ConfigError::Invalid { key, .. }
            | ConfigError::Unknown { key, .. }
            | ConfigError::SecretFile { key, .. } => (origins.place_of(key), problem),
            _ => (None, problem),
        });
        let mut located: Vec<_> = located.collect();
        let line =
            |place: &Option<String>| -> Option<usize> { place.as_ref()?.rsplit_once(':')?.1.parse().ok() };
        // In the order of the file; those of other sources after them.
        located.sort_by_key(|(place, _)| line(place).unwrap_or(usize::MAX));
        Self(located)
    }

    /// Returns a line for each problem. If there are many, the last line says how many it leaves out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(place, problem): &(Option<String>, ConfigError)| match place {
            Some(place) => format!("{place}: {problem}"),
            None => problem.to_string(),
        };
        let more = self.0.len().saturating_sub(MAX_SHOWN);
        let more = (more > 0).then(|| format!("and {}", count(more as u64, "further problem")));
        self.0.iter().take(MAX_SHOWN).map(line).chain(more).collect()
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}
