//! What can be wrong with a setting.

/// A setting that cannot be used. The text names the key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
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
    /// A number that may have a fraction lies outside its range.
    #[error("{key} is {value}, but must be {range}")]
    BadNumber {
        /// The key of the setting.
        key: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// The same field is listed twice.
    #[error("fields lists `{0}` twice")]
    RepeatedField(String),
    /// A counter that is none of the fields.
    #[error("counters lists `{0}`, which is none of the fields")]
    UnknownCounter(String),
    /// A field without a name.
    #[error("fields lists an empty name")]
    EmptyField,
}
