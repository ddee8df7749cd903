//! What an operator may set for a sensor's detector. The doc comment of a field is its reference documentation.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The number of the method itself: it changes when the same readings would no longer give the same scores.
const ALGORITHM: u32 = 1;

/// Settings of the detectors of one sensor pattern.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Names of the fields that make the point, in any order. Empty: every field of the sensor's first reading.
    /// A reading that lacks one of them is refused; fields that are not listed are stored but not scored.
    /// Fields are weighed alike whatever their units, so leave out those that say the same thing twice.
    pub fields: Vec<String>,
    /// Trees of the forest, 1 to 1,000. Time and memory grow in proportion. More trees make the score steadier, but
    /// from 10 to 20 on, memory is better spent on `window`.
    pub trees: usize,
    /// Readings that the forest remembers, 32 to 1,000,000. Memory grows in proportion, time with the logarithm.
    /// What has happened within the window is normal: it should span the sensor's ordinary cycles.
    pub window: usize,
    /// Consecutive readings that make one point, 1 to 64. 1 judges each reading by itself; more also finds unusual
    /// sequences of usual readings, but blurs single outliers. Time and memory grow almost in proportion.
    pub shingle: usize,
    /// Readings before the first verdict, 32 to 1,000,000. Until then readings are scored and learnt, but get no
    /// grade and raise no anomaly. A sensor keeps the value that it began with.
    pub warm_up: u32,
    /// How rare a reading must be to be an anomaly: about one false alarm in this many readings of a sensor that does
    /// nothing unusual, 10 to 1,000,000,000,000. With a reading a second, 5,000 is one in 83 minutes; with
    /// one a minute, one in three and a half days. Greater values find less and cry wolf less. Changing it keeps what was learnt.
    pub false_alarm_every: u64,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            trees: 16,
            window: 2_048,
            shingle: 1,
            warm_up: 256,
            false_alarm_every: 5_000,
        }
    }
}

/// A setting that cannot be used. The text names the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number lies outside its range.
    #[error("{key} is {value}, but must be {least} to {most}")]
    OutOfRange {
        /// The key of the setting.
        key: &'static str,
        /// What was given.
        value: u64,
        /// Least value allowed.
        least: u64,
        /// Greatest value allowed.
        most: u64,
    },
    /// The same field is listed twice.
    #[error("fields lists `{0}` twice")]
    RepeatedField(String),
    /// A field without a name.
    #[error("fields lists an empty name")]
    EmptyField,
}

impl DetectorConfig {
    /// Checks every setting; a [`Detector`](crate::Detector) may be built from a configuration that passes.
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("trees", self.trees as u64, 1, 1_000)?;
        within("window", self.window as u64, 32, 1_000_000)?;
        within("shingle", self.shingle as u64, 1, 64)?;
        within("warm_up", u64::from(self.warm_up), 32, 1_000_000)?;
        within("false_alarm_every", self.false_alarm_every, 10, 1_000_000_000_000)?;
        within("fields", self.fields.len() as u64, 0, MAX_FIELDS as u64)?;
        let names = self.sorted_fields();
        if names.iter().any(String::is_empty) {
            return Err(ConfigError::EmptyField);
        }
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ConfigError::RepeatedField(pair[0].clone())),
            None => Ok(()),
        }
    }

    /// Identifies what shapes a detector's state: fields, trees, window and shingle. State of another fingerprint
    /// cannot be continued. Neither `warm_up` nor `false_alarm_every` counts, so both can be changed at any time.
    pub fn fingerprint(&self) -> u64 {
        let Self { fields: _, trees, window, shingle, warm_up: _, false_alarm_every: _ } = self;
        let mut text =
            format!("thicket-detector {ALGORITHM}\ntrees {trees}\nwindow {window}\nshingle {shingle}\n");
        for name in self.sorted_fields() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "field {} {name}", name.len());
        }
        xxh3_64(text.as_bytes())
    }

    /// The configured fields in the order in which the detector keeps them.
    pub(crate) fn sorted_fields(&self) -> Vec<String> {
        let mut names = self.fields.clone();
        names.sort();
        names
    }
}

/// Most fields of a point; more would be a mistake in the topic template rather than a sensor.
pub(crate) const MAX_FIELDS: usize = 256;

fn within(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::OutOfRange { key, value, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut DetectorConfig)) -> DetectorConfig {
        let mut config = DetectorConfig::default();
        change(&mut config);
        config
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(DetectorConfig::default().validate(), Ok(()));
    }

    #[test]
    fn errors_name_the_key() {
        let wrong = [
            ("trees", with(|c| c.trees = 0)),
            ("window", with(|c| c.window = 31)),
            ("shingle", with(|c| c.shingle = 65)),
            ("warm_up", with(|c| c.warm_up = 0)),
            ("false_alarm_every", with(|c| c.false_alarm_every = 9)),
            ("fields", with(|c| c.fields = vec!["a".into(), "b".into(), "a".into()])),
            ("fields", with(|c| c.fields = vec![String::new()])),
            ("fields", with(|c| c.fields = (0..257).map(|i| i.to_string()).collect())),
        ];
        for (key, config) in wrong {
            let error = config.validate().expect_err(key).to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }

    /// A new value here orphans every stored checkpoint.
    #[test]
    fn the_fingerprint_is_stable() {
        assert_eq!(DetectorConfig::default().fingerprint(), GOLDEN_DEFAULT);
        assert_eq!(with(|c| c.fields = vec!["zcr".into(), "laeq_db".into()]).fingerprint(), GOLDEN_FIELDS);
    }

    const GOLDEN_DEFAULT: u64 = 18_148_896_063_507_941_519;
    const GOLDEN_FIELDS: u64 = 17_469_551_644_527_075_061;

    #[test]
    fn the_fingerprint_covers_what_shapes_state_and_nothing_else() {
        let default = DetectorConfig::default().fingerprint();
        for other in [
            with(|c| c.trees = 17),
            with(|c| c.window = 2_049),
            with(|c| c.shingle = 2),
            with(|c| c.fields = vec!["a".into()]),
        ] {
            assert_ne!(other.fingerprint(), default, "{other:?}");
        }
        assert_eq!(with(|c| c.warm_up = 300).fingerprint(), default);
        assert_eq!(with(|c| c.false_alarm_every = 1_000).fingerprint(), default);
        let ab = with(|c| c.fields = vec!["a".into(), "b".into()]).fingerprint();
        assert_eq!(with(|c| c.fields = vec!["b".into(), "a".into()]).fingerprint(), ab);
        assert_ne!(with(|c| c.fields = vec!["ab".into()]).fingerprint(), ab);
    }
}
