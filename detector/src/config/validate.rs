//! The checks of the settings.

use super::{DetectorConfig, MAX_FIELDS, Shape};
use crate::config_error::{ConfigError, ConfigErrors};

/// Maximum number of patterns in `exclude`.
const MAX_PATTERNS: u64 = 1_000;

/// Upper bound of `alarms_per_week`. A higher rate would not be an alarm any more.
const MAX_ALARMS: f64 = 100_000.0;

/// Maximum number of points of all trees together.
const MAX_TREE_POINTS: u64 = 1 << 26;

impl DetectorConfig {
    /// Checks every setting. A [`Detector`](crate::Detector) needs a configuration that passes.
    ///
    /// # Errors
    /// [`ConfigErrors`] has every setting that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mut errors: Vec<ConfigError> = self.check_forest();
        let smoothing = u64::from(self.smoothing);
        let patterns = self.exclude.patterns();
        let checks = [
            within("shingle", self.shingle as u64, 1, 64),
            if smoothing == 0 { Ok(()) } else { within("smoothing", smoothing, 2, 10_000) },
            within("warm_up", u64::from(self.warm_up), 32, 1_000_000),
            within("begin_again_after", u64::from(self.begin_again_after), 0, 10_000),
            within("fields", self.fields.len() as u64, 0, MAX_FIELDS as u64),
            self.check_alarms(),
            within("exclude", patterns.len() as u64, 0, MAX_PATTERNS),
            if patterns.iter().any(String::is_empty) { Err(ConfigError::EmptyPattern) } else { Ok(()) },
        ];
        errors.extend(checks.into_iter().filter_map(Result::err));
        errors.extend(self.suppress.check());
        errors.extend(self.check_names());
        if errors.is_empty() { Ok(()) } else { Err(ConfigErrors(errors)) }
    }

    /// Checks the sizes of the forest.
    fn check_forest(&self) -> Vec<ConfigError> {
        let Shape { trees, points } = self.shape();
        let (trees, points) = (trees as u64, points as u64);
        let sizes = [within("trees", trees, 1, 1_000), within("points", points, 32, 1_000_000)];
        let mut errors: Vec<ConfigError> = sizes.into_iter().filter_map(Result::err).collect();
        if errors.is_empty() && trees * points > MAX_TREE_POINTS {
            errors.push(ConfigError::TooManyPoints { points, trees, most: MAX_TREE_POINTS });
        }
        errors
    }

    fn check_alarms(&self) -> Result<(), ConfigError> {
        let value = self.alarms_per_week;
        if value > 0.0 && value <= MAX_ALARMS {
            return Ok(());
        }
        Err(ConfigError::BadNumber { key: "alarms_per_week", value, range: "above 0, up to 100000" })
    }

    /// Checks the names of fields and counters.
    fn check_names(&self) -> Vec<ConfigError> {
        let names = self.sorted_fields();
        let mut repeated: Vec<&String> =
            names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| &pair[0]).collect();
        repeated.dedup();
        let empty = names.iter().any(String::is_empty).then_some(ConfigError::EmptyField);
        let unknown = self.counters.iter().filter(|&name| !names.is_empty() && !names.contains(name));
        empty
            .into_iter()
            .chain(unknown.map(|name| ConfigError::UnknownCounter(name.clone())))
            .chain(repeated.into_iter().map(|name| ConfigError::RepeatedField(name.clone())))
            .collect()
    }
}

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::OutOfRange { key, value, least, most })
    }
}
