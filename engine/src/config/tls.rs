//! `[redis.tls]`, `[postgres.tls]` and the like: the settings of TLS connections.

use serde::{Deserialize, Serialize};
use thicket_connect::{TlsSettings, Verification};

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
