//! The errors of settings that cannot be used.

/// A setting that cannot be used. The text names the key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number lies outside its range.
    #[error("{key} is {value}, but must be {least} to {most}")]
    OutOfRange {
        /// The key of the setting.
        key: &'static str,
        /// The configured value.
        value: u64,
        /// Minimum value.
        least: u64,
        /// Maximum value.
        most: u64,
    },
    /// All trees together have too many points.
    #[error("points is {points}, but with {trees} trees it must be at most {}", most / trees)]
    TooManyPoints {
        /// The configured number of points of a tree.
        points: u64,
        /// The configured number of trees.
        trees: u64,
        /// Maximum number of points of all trees together.
        most: u64,
    },
    /// A fractional number lies outside its range, or is not finite.
    #[error("{key} is {value}, but must be {range}")]
    BadNumber {
        /// The key of the setting.
        key: &'static str,
        /// The configured value.
        value: f64,
        /// The allowed range, as text.
        range: &'static str,
    },
    /// `fields` lists the same field twice.
    #[error("fields lists `{0}` twice")]
    RepeatedField(String),
    /// `counters` lists a name that `fields` does not list.
    #[error("counters lists `{0}`, which fields does not list")]
    UnknownCounter(String),
    /// `fields` lists an empty name.
    #[error("fields lists an empty name")]
    EmptyField,
    /// `exclude` has an empty pattern.
    #[error("exclude has an empty pattern")]
    EmptyPattern,
}

impl ConfigError {
    /// Returns the key of the setting.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::OutOfRange { key, .. } | Self::BadNumber { key, .. } => key,
            Self::TooManyPoints { .. } => "points",
            Self::RepeatedField(_) | Self::EmptyField => "fields",
            Self::UnknownCounter(_) => "counters",
            Self::EmptyPattern => "exclude",
        }
    }
}

/// The settings of a configuration that cannot be used, at least one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", joined(.0))]
pub struct ConfigErrors(pub Vec<ConfigError>);

fn joined(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
