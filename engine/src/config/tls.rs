//! `[redis.tls]`, `[postgres.tls]` and the like: the settings of TLS connections. `[http.tls]`: the
//! certificate of the HTTP server.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thicket_connect::{ServerConfig, TlsSettings, Verification, server_config};

use super::error::ConfigError;

/// The settings of TLS connections to a server. An empty text means: not set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsConfig {
    /// File of the CA certificates to trust; empty for those of the system.
    pub(crate) ca: String,
    /// File of the client certificate.
    pub(crate) cert: String,
    /// File of its private key.
    pub(crate) key: String,
    /// The name that the server's certificate must have, if it is not the host of the URL.
    pub(crate) server_name: String,
    /// Whether any server is accepted.
    pub(crate) insecure: bool,
}

impl TlsConfig {
    /// Returns the settings of a connection.
    pub(crate) fn settings(&self) -> TlsSettings {
        let set = |text: &String| (!text.is_empty()).then(|| text.clone());
        TlsSettings {
            ca: set(&self.ca).map(Into::into),
            cert: set(&self.cert).map(Into::into),
            key: set(&self.key).map(Into::into),
            server_name: set(&self.server_name),
            verification: if self.insecure { Verification::Off } else { Verification::Full },
        }
    }
}

/// The certificate of the HTTP server.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTlsConfig {
    /// File of the certificate; empty for a server without TLS.
    pub(crate) cert: PathBuf,
    /// File of its private key.
    pub(crate) key: PathBuf,
}

impl ServerTlsConfig {
    /// Whether the server has TLS.
    pub(crate) fn is_on(&self) -> bool {
        !self.cert.as_os_str().is_empty()
    }

    /// Returns the configuration of a server; `None` without TLS. Reads the files.
    pub(crate) fn server_config(&self) -> Result<Option<ServerConfig>, ConfigError> {
        if !self.is_on() {
            return Ok(None);
        }
        let config = server_config(&self.cert, &self.key);
        config.map(Some).map_err(|error| ConfigError::invalid("http.tls.cert", &error.to_string()))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let has_key = !self.key.as_os_str().is_empty();
        match (self.is_on(), has_key) {
            (true, false) => Err(ConfigError::invalid("http.tls.cert", "needs http.tls.key beside it")),
            (false, true) => Err(ConfigError::invalid("http.tls.key", "needs http.tls.cert beside it")),
            _ => self.server_config().map(drop),
        }
    }
}
