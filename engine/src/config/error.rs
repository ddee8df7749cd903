//! Why a configuration cannot be used.

use std::path::PathBuf;

use crate::toml_keys::NotToml;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A key has a value that cannot be used.
    #[error("{key}: {problem}")]
    Invalid {
        /// The key, such as `queue.partitions`.
        key: String,
        /// What is wrong with the value.
        problem: String,
    },
    /// A key is unknown.
    #[error("{key}: unknown key{}", hint(meant, known))]
    Unknown {
        /// The key.
        key: String,
        /// The keys of its section, or whole keys of other sections, that may be meant.
        meant: Vec<String>,
        /// All keys of its section.
        known: Vec<String>,
    },
    /// The file is not TOML.
    #[error(transparent)]
    Syntax(#[from] NotToml),
    /// The named file cannot be read.
    #[error("the configuration file {path} cannot be read: {source}")]
    NoFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file of a secret cannot be read.
    #[error("{key} names {path}, which cannot be read: {source}")]
    SecretFile {
        /// The environment variable, or the key of the configuration.
        key: String,
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Several problems.
    #[error("{}", lines(.0))]
    Several(Vec<ConfigError>),
}

impl ConfigError {
    pub(super) fn invalid(key: &str, problem: &str) -> Self {
        Self::Invalid { key: key.to_owned(), problem: problem.to_owned() }
    }

    /// Replaces `mqtt`, the first part of the key, by the place of the keys of one broker or
    /// subscription.
    pub(super) fn at(self, place: &str) -> Self {
        let placed =
            |key: String| key.strip_prefix("mqtt").map(|rest| format!("{place}{rest}")).unwrap_or(key);
        match self {
            Self::Invalid { key, problem } => Self::Invalid { key: placed(key), problem },
            Self::Unknown { key, meant, known } => Self::Unknown { key: placed(key), meant, known },
            other => other,
        }
    }

    /// Returns the single problems.
    pub(super) fn into_all(self) -> Vec<Self> {
        match self {
            Self::Several(all) => all.into_iter().flat_map(Self::into_all).collect(),
            one => vec![one],
        }
    }
}

/// Joins results: all their problems, or `Ok`.
pub(super) fn all_of(results: impl IntoIterator<Item = Result<(), ConfigError>>) -> Result<(), ConfigError> {
    let problems: Vec<ConfigError> =
        results.into_iter().filter_map(Result::err).flat_map(ConfigError::into_all).collect();
    if problems.is_empty() { Ok(()) } else { Err(ConfigError::Several(problems)) }
}

/// Joins the known problems and those of a validation that has found more. While a key has a problem,
/// its default is validated: a problem that may be due to this default is left out.
pub(super) fn and_independent(
    mut known: Vec<ConfigError>,
    found: Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    let mut found = found.err().map(ConfigError::into_all).unwrap_or_default();
    found.retain(|problem| !known.iter().any(|cause| may_follow(problem, cause)));
    known.append(&mut found);
    if known.is_empty() { Ok(()) } else { Err(ConfigError::Several(known)) }
}

/// Whether a problem may be due to the default of a key with another problem, or of the key that an
/// unknown one meant.
fn may_follow(problem: &ConfigError, cause: &ConfigError) -> bool {
    if let (ConfigError::Unknown { key, .. }, ConfigError::Unknown { key: of_cause, .. }) = (problem, cause) {
        // A preset of several subscriptions finds it once for each.
        return key == of_cause;
    }
    let ConfigError::Invalid { key, problem } = problem else { return false };
    let (of_cause, defaults) = match cause {
        ConfigError::Invalid { key, .. } | ConfigError::SecretFile { key, .. } => (key, None),
        ConfigError::Unknown { key, meant, .. } => (key, Some(meant)),
        _ => return false,
    };
    let (section, own_name) = of_cause.rsplit_once('.').unwrap_or(("", of_cause));
    let own_name = [own_name.strip_suffix("_file").unwrap_or(own_name).to_owned()];
    let section_of_key = key.rsplit_once('.').map_or("", |(section, _)| section);
    let is_due_to = |name: &String| {
        let cause = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let is_same =
            [key, &of_broker(key)].into_iter().any(|key| is_below(key, &cause) || is_below(&cause, key));
        let named = without_index(&cause);
        let named = if named.contains('.') { named } else { named + "." };
        is_same || problem.contains(&named) || (section == section_of_key && names(problem, name))
    };
    key == of_cause || defaults.map_or(&own_name[..], Vec::as_slice).iter().any(is_due_to)
}

/// Whether a key is another one, or one below it.
fn is_below(key: &str, above: &str) -> bool {
    key.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Returns the key of the broker whose value a subscription inherits.
fn of_broker(key: &str) -> String {
    key.split('.').filter(|part| !part.starts_with("subscriptions[")).collect::<Vec<_>>().join(".")
}

/// Whether a text names a key.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// Returns a key of `mqtt[1].subscriptions[0]` as a text names it: `mqtt.max_age`.
fn without_index(key: &str) -> String {
    let key = of_broker(key);
    let parts = key.split('.').map(|part| part.split_once('[').map_or(part, |(part, _)| part));
    parts.collect::<Vec<_>>().join(".")
}

fn lines(problems: &[ConfigError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Returns `; did you mean …?`, or the known names if there are few.
fn hint(meant: &[String], known: &[String]) -> String {
    match meant {
        [] if (1..=FEW).contains(&known.len()) => format!("; the keys are {}", known.join(", ")),
        [] => String::new(),
        meant => format!("; did you mean {}?", meant.join(" or ")),
    }
}

/// Names that an error lists if none is similar.
const FEW: usize = 12;
