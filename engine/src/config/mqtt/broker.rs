//! The connection to a broker.

use std::time::Duration;

use figment::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thicket_actors::mqtt::{Version, Versions};

use crate::config::error::ConfigError;

/// The connection to a broker. `default.toml` has the meaning of each key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokerConfig {
    /// Name in logs and metrics; empty for host and port.
    pub(crate) name: String,
    /// `mqtt://host:port`.
    pub(crate) url: String,
    /// Name of the persistent session; empty for the id of the deployment.
    pub(crate) client_id: String,
    /// User name; empty if the broker asks for none.
    pub(crate) username: String,
    /// Password; empty if the broker asks for none.
    pub(crate) password: String,
    /// Version of the protocol.
    pub(crate) version: VersionSetting,
    /// How long the broker keeps the session without a connection, with MQTT 5.
    #[serde(with = "humantime_serde")]
    pub(crate) session_expiry: Duration,
    /// Interval of keep-alive pings.
    #[serde(with = "humantime_serde")]
    pub(crate) keep_alive: Duration,
    /// Maximum number of messages that are received and not yet appended.
    pub(crate) max_in_flight: u32,
}

/// The version of the protocol: `"auto"`, 3 (which is 3.1.1) or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VersionSetting(Versions);

impl From<VersionSetting> for Versions {
    fn from(VersionSetting(versions): VersionSetting) -> Self {
        versions
    }
}

impl<'de> Deserialize<'de> for VersionSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An environment variable or a flag can be a text.
        let known = match &<Value as Deserialize>::deserialize(deserializer)? {
            Value::String(_, text) => Self::parse(text),
            Value::Num(_, number) => {
                let number = number.to_i128().or_else(|| number.to_u128()?.try_into().ok());
                number.and_then(|number| Self::parse(&number.to_string()))
            }
            _ => None,
        };
        known.ok_or_else(|| serde::de::Error::custom("mqtt.version must be \"auto\", 3 or 5"))
    }
}

impl Serialize for VersionSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self.0 {
            Versions::Auto => "auto",
            Versions::Only(Version::V3) => "3",
            Versions::Only(Version::V5) => "5",
        })
    }
}

impl VersionSetting {
    fn parse(text: &str) -> Option<Self> {
        Some(Self(match text {
            "auto" => Versions::Auto,
            "3" => Versions::Only(Version::V3),
            "5" => Versions::Only(Version::V5),
            _ => return None,
        }))
    }
}

impl std::fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerConfig")
            .field("name", &self.name)
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl BrokerConfig {
    /// The keys of this struct.
    pub(super) const KEYS: [&str; 9] = [
        "name",
        "url",
        "client_id",
        "username",
        "password",
        "version",
        "session_expiry",
        "keep_alive",
        "max_in_flight",
    ];

    /// Returns the name of the broker in logs and metrics.
    pub(crate) fn label(&self) -> String {
        match self.address() {
            Ok((host, port)) if self.name.is_empty() => format!("{host}:{port}"),
            _ => self.name.clone(),
        }
    }

    /// Returns host and port of the broker.
    pub(crate) fn address(&self) -> Result<(String, u16), ConfigError> {
        let invalid = || ConfigError::invalid("mqtt.url", "must look like mqtt://host:1883");
        let rest = self
            .url
            .strip_prefix("mqtt://")
            .or_else(|| self.url.strip_prefix("tcp://"))
            .ok_or_else(invalid)?;
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| invalid())?),
            None => (rest, 1883),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        Ok((host.to_owned(), port))
    }

    /// Returns user name and password, if the broker asks for them.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        (!self.username.is_empty()).then(|| (self.username.clone(), self.password.clone()))
    }

    /// Checks what no type can express. `place` is where the keys are, such as `mqtt[1]`.
    pub(super) fn validate(&self, place: &str) -> Result<(), ConfigError> {
        self.address().map_err(|error| error.at(place))?;
        if self.max_in_flight == 0 {
            return Err(ConfigError::invalid(&format!("{place}.max_in_flight"), "must be at least 1"));
        }
        if self.keep_alive < Duration::from_secs(1) {
            return Err(ConfigError::invalid(&format!("{place}.keep_alive"), "must be at least 1s"));
        }
        Ok(())
    }
}
