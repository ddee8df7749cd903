//! A configuration together with the hashes that identify it.

use crate::config::DetectorConfig;

/// A configuration with its two identifiers, each computed once.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedConfig {
    /// The settings.
    pub config: DetectorConfig,
    /// The value of [`DetectorConfig::identity`]: stored rows name their configuration by it.
    pub identity: u64,
    /// The value of [`DetectorConfig::fingerprint`]: a detector's state can be continued only under
    /// an equal fingerprint.
    pub fingerprint: u64,
}

impl From<DetectorConfig> for NamedConfig {
    fn from(config: DetectorConfig) -> Self {
        Self { identity: config.identity(), fingerprint: config.fingerprint(), config }
    }
}
