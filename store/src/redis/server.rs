//! The address of a Redis, and whether its connections use TLS.

use std::fmt::{Debug, Display, Formatter};

use fred::types::config::{Config, TlsConnector};
use thicket_connect::{Expected, TlsError, TlsSettings, Verification, without_password};

/// The address of a Redis, with its TLS settings. Its text forms hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisServer {
    url: String,
    tls: TlsSettings,
}

/// Why an address of Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisServerError {
    /// The URL has another scheme.
    #[error("must look like redis://host:6379, or rediss://host:6379 for TLS")]
    Scheme,
    /// The URL has parameters.
    #[error("takes no parameters after ? or #; the settings of TLS are keys of redis.tls")]
    Parameters,
    /// The URL cannot be parsed.
    #[error("cannot be read: {0} (special characters of a password must be percent-encoded)")]
    Url(String),
    /// TLS is configured, but not asked for.
    #[error("is without TLS, but settings of TLS are set; write rediss://, or remove them")]
    TlsNotUsed,
    /// The settings of TLS cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

impl RedisServer {
    /// Creates an address: `redis://…`, or `rediss://…` for TLS.
    pub fn new(url: impl Into<String>, tls: TlsSettings) -> Self {
        Self { url: url.into(), tls }
    }

    /// Returns what is verified about the server's certificate, `None` without TLS.
    pub fn verification(&self) -> Option<Verification> {
        self.url.starts_with("rediss://").then_some(self.tls.verification)
    }

    /// Checks the address and the files of certificates.
    pub fn check(&self) -> Result<(), RedisServerError> {
        self.client_config().map(drop)
    }

    /// Returns whether connections use TLS.
    pub(super) fn expected(&self) -> Expected {
        if self.verification().is_some() { Expected::Tls } else { Expected::Plain }
    }

    /// Returns the configuration of the client. Reads the certificates.
    pub(super) fn client_config(&self) -> Result<Config, RedisServerError> {
        let mut config = self.parse()?;
        if self.expected() == Expected::Tls {
            let tls = self.tls.client_config()?;
            config.tls = Some(TlsConnector::from((*tls).clone()).into());
        }
        Ok(config)
    }

    fn parse(&self) -> Result<Config, RedisServerError> {
        let rest = match (self.url.strip_prefix("rediss://"), self.url.strip_prefix("redis://")) {
            (None, Some(_)) if !self.tls.is_empty() => return Err(RedisServerError::TlsNotUsed),
            (Some(rest), _) | (None, Some(rest)) => rest,
            (None, None) => return Err(RedisServerError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(RedisServerError::Parameters);
        }
        // TLS is added by `client_config`.
        Config::from_url(&format!("redis://{rest}"))
            .map_err(|error| RedisServerError::Url(in_plain_words(error.details()).to_owned()))
    }
}

/// Says what is wrong with a URL. The client says it in the names of its types.
fn in_plain_words(problem: &str) -> &str {
    match problem {
        "InvalidPort" => "the port must be a number up to 65535",
        "EmptyHost" | "Invalid or missing host." => "the host is missing",
        "InvalidDomainCharacter" | "IdnaError" => "the host has a character that no name has",
        "InvalidIpv4Address" | "InvalidIpv6Address" => "the host is no IP address",
        "Invalid integer string." => "the database must be a number up to 255",
        "Invalid database path." => "it has more after the host than the number of a database",
        other => other,
    }
}

impl Display for RedisServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl Debug for RedisServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisServer({self})")
    }
}

impl From<&str> for RedisServer {
    fn from(url: &str) -> Self {
        Self::new(url, TlsSettings::default())
    }
}

impl From<&String> for RedisServer {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl From<&RedisServer> for RedisServer {
    fn from(server: &RedisServer) -> Self {
        server.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_addresses_are_refused_without_their_password() {
        let tls = TlsSettings { ca: Some("ca.pem".into()), ..TlsSettings::default() };
        for (url, tls, problem) in [
            ("http://u:secret@host", TlsSettings::default(), "rediss://host:6379 for TLS"),
            ("rediss-cluster://u:secret@host", TlsSettings::default(), "rediss://host:6379 for TLS"),
            ("redis://u:secret@host", tls, "settings of TLS are set"),
            ("redis://u:secret@host?x=1", TlsSettings::default(), "no parameters"),
            ("redis://u:secret/@host", TlsSettings::default(), "percent-encoded"),
            ("redis://u:secret@host:port", TlsSettings::default(), "the port must be a number"),
            ("redis://u:secret@host/db", TlsSettings::default(), "the database must be a number"),
            ("redis://u:secret@host/1/2", TlsSettings::default(), "more after the host"),
            ("redis://", TlsSettings::default(), "the host is missing"),
            ("redis://u:secret@", TlsSettings::default(), "the host is missing"),
            ("redis://u:secret@a b", TlsSettings::default(), "the host has a character"),
            ("redis://u:secret@[::1", TlsSettings::default(), "the host is no IP address"),
        ] {
            let server = RedisServer::new(url, tls);
            let error = server.check().expect_err(url).to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!format!("{error} {server} {server:?}").contains("secret"), "{error}");
        }
        RedisServer::from("redis://u:secret@host:6379/1").check().expect("a good URL");
        RedisServer::from("rediss://host").check().expect("a good URL");
    }
}
