//! Why a replay failed.

use std::io;

use crate::manifest::ManifestError;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// An option is out of range.
    #[error("{0}")]
    BadOption(String),
    /// The broker did not answer within the connect timeout. (After the first connection the replay
    /// waits for the broker without limit.)
    #[error(
        "cannot reach the MQTT broker at {broker}: {source}; is it running? start one with: mosquitto -p {port}, or all \
         servers with: make demo"
    )]
    Unreachable {
        /// The address of the broker.
        broker: String,
        /// Its port.
        port: u16,
        /// The last failure.
        source: io::Error,
    },
    /// The broker refused the connection.
    #[error(
        "the MQTT broker at {broker} refuses the connection: {reason}; check user and password in --mqtt"
    )]
    Refused {
        /// The address of the broker.
        broker: String,
        /// The broker's return code.
        reason: String,
    },
    /// The manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}
