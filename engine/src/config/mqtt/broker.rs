//! The connection to a broker.

use std::time::Duration;

use figment::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thicket_actors::mqtt::{BrokerAddress, BrokerAddressError, Version, Versions};
use thicket_connect::without_password;

use crate::config::error::{ConfigError, all_of};
use crate::config::tls::TlsConfig;

/// The connection to a broker. `default.toml` has the meaning of each key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokerConfig {
    /// Name in logs and metrics; empty for host and port.
    pub(crate) name: String,
    /// `mqtt://host:port`, or with `mqtts`, `ws` or `wss`.
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
    #[serde(with = "crate::config::duration")]
    pub(crate) session_expiry: Duration,
    /// Interval of keep-alive pings.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep_alive: Duration,
    /// Maximum number of messages that are received and not yet appended.
    pub(crate) max_in_flight: u32,
    /// TLS.
    pub(crate) tls: TlsConfig,
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
        known.ok_or_else(|| serde::de::Error::custom("must be \"auto\", 3 or 5"))
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
            .field("url", &without_password(&self.url))
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl BrokerConfig {
    /// The keys of this struct.
    pub(super) const KEYS: [&str; 10] = [
        "name",
        "url",
        "client_id",
        "username",
        "password",
        "version",
        "session_expiry",
        "keep_alive",
        "max_in_flight",
        "tls",
    ];

    /// Returns the name of the broker in logs and metrics.
    pub(crate) fn label(&self) -> String {
        match self.address() {
            Ok(address) if self.name.is_empty() => format!("{}:{}", address.host(), address.port()),
            _ => self.name.clone(),
        }
    }

    /// Returns the address of the broker.
    pub(crate) fn address(&self) -> Result<BrokerAddress, ConfigError> {
        BrokerAddress::new(&self.url, self.tls.settings()).map_err(|error| Self::unusable(&error))
    }

    /// Returns the error of an address that cannot be used.
    pub(crate) fn unusable(error: &BrokerAddressError) -> ConfigError {
        ConfigError::invalid("mqtt.url", &error.to_string())
    }

    /// Returns user name and password, if the broker asks for them.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        (!self.username.is_empty()).then(|| (self.username.clone(), self.password.clone()))
    }

    /// Checks what no type can express. `place` is where the keys are, such as `mqtt[1]`.
    pub(super) fn validate(&self, place: &str) -> Result<(), ConfigError> {
        let transport = self
            .address()
            .and_then(|address| address.transport().map(drop).map_err(|error| Self::unusable(&error)));
        let invalid = |is_valid: bool, key: &str, problem: &str| {
            if is_valid { Ok(()) } else { Err(ConfigError::invalid(&format!("{place}.{key}"), problem)) }
        };
        all_of([
            transport.map_err(|error| error.at(place)),
            invalid(self.max_in_flight > 0, "max_in_flight", "must be at least 1"),
            invalid(self.keep_alive >= Duration::from_secs(1), "keep_alive", "must be at least 1s"),
        ])
    }
}
