//! Why a configuration cannot be used.

use std::path::PathBuf;

use figment::error::Kind;

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
    /// A source cannot be parsed, or has an unknown key or a value of another type.
    #[error("{0}")]
    Source(String),
    /// The named file does not exist.
    #[error("the configuration file {0} does not exist, or is not a file")]
    NoFile(PathBuf),
    /// The file of a secret cannot be read.
    #[error("{variable} names {path}, which cannot be read: {source}")]
    SecretFile {
        /// The environment variable.
        variable: String,
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl ConfigError {
    pub(super) fn invalid(key: &str, problem: &str) -> Self {
        Self::Invalid { key: key.to_owned(), problem: problem.to_owned() }
    }

    /// Makes an error of the values of the sources. `place` is where they are, such as `mqtt[1]`.
    pub(super) fn source(errors: figment::Error, place: &str) -> Self {
        let errors: Vec<String> = errors.into_iter().map(without_secrets).collect();
        Self::Source(format!("{place}: {}", errors.join("; ")))
    }

    /// Replaces `mqtt`, the first part of the key, by the place of the keys of one broker or
    /// subscription.
    pub(super) fn at(self, place: &str) -> Self {
        match self {
            Self::Invalid { key, problem } => {
                let key = key.strip_prefix("mqtt").map(|rest| format!("{place}{rest}")).unwrap_or(key);
                Self::Invalid { key, problem }
            }
            other => other,
        }
    }
}

/// Returns the text of an error without the value of a password or of a URL, and without the lines
/// of the file that the parser quotes.
pub(super) fn without_secrets(mut error: figment::Error) -> String {
    let is_secret = error.path.last().is_some_and(|key| key == "password" || key == "url");
    error.kind = match error.kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) if is_secret => {
            Kind::Message(format!("the value is not {expected} (a number needs quotes)"))
        }
        Kind::Message(text) => {
            let is_quoted = |line: &&str| {
                line.trim_start_matches(|letter: char| letter == ' ' || letter.is_ascii_digit())
                    .starts_with('|')
            };
            let lines: Vec<&str> = text.lines().filter(|line| !is_quoted(line)).collect();
            Kind::Message(lines.join(" "))
        }
        kind => kind,
    };
    error.to_string()
}
