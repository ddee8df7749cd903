//! Snapshots: a detector's whole state as bytes, with a version and a checksum. A restored detector
//! continues bit for bit.
//!
//! Layout: magic number, version, fingerprint of the configuration, the state as `postcard` writes
//! it, and the XXH3-64 of all bytes before. Numbers are little-endian.

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{DetectorConfig, MAX_FIELDS};
use crate::detector::Detector;
use crate::scale::CALIBRATION_ROWS;
use crate::state::State;

const MAGIC: u32 = u32::from_le_bytes(*b"TKDT");
const VERSION: u16 = 7;
const CHECKSUM_BYTES: usize = 8;
const HEAD_BYTES: usize = 14;

/// A snapshot that cannot be continued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was made with another configuration.
    #[error("the snapshot was made with configuration {found:016x}, the sensor's is {expected:016x}")]
    ConfigChanged {
        /// Fingerprint in the snapshot.
        found: u64,
        /// Fingerprint of the configuration.
        expected: u64,
    },
    /// A later version of this crate made it.
    #[error("the snapshot has version {found}, this program knows up to {newest}; update it")]
    TooNew {
        /// Version of the snapshot.
        found: u16,
        /// Newest version that can be read.
        newest: u16,
    },
    /// It is not a snapshot, or not as it was written.
    #[error("the snapshot is damaged")]
    Damaged,
}

impl Detector {
    /// Returns the whole state as bytes. Its size is that of the forest's snapshot plus a few KB for
    /// each field.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::from(MAGIC.to_le_bytes());
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.config.fingerprint().to_le_bytes());
        #[allow(
            clippy::expect_used,
            reason = "every part of the state has a form in postcard, and memory is all it needs"
        )]
        let mut bytes = postcard::to_extend(&self.state, bytes).expect("a state can be written");
        let checksum = xxh3_64(&bytes);
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Restores a detector from a snapshot, with the sensor's present configuration.
    ///
    /// # Errors
    /// [`RestoreError`] if the snapshot cannot be continued.
    pub fn restore(sensor: &str, config: &DetectorConfig, bytes: &[u8]) -> Result<Self, RestoreError> {
        let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(RestoreError::Damaged)?;
        let (content, checksum) = bytes.split_at(split);
        if checksum != xxh3_64(content).to_le_bytes() {
            return Err(RestoreError::Damaged);
        }
        let (head, state) = content.split_at_checked(HEAD_BYTES).ok_or(RestoreError::Damaged)?;
        let (magic, rest) = head.split_at(4);
        let (version, fingerprint) = rest.split_at(2);
        if magic != MAGIC.to_le_bytes() {
            return Err(RestoreError::Damaged);
        }
        let version = u16::from_le_bytes(version.try_into().map_err(|_| RestoreError::Damaged)?);
        if version > VERSION {
            return Err(RestoreError::TooNew { found: version, newest: VERSION });
        }
        let found = u64::from_le_bytes(fingerprint.try_into().map_err(|_| RestoreError::Damaged)?);
        let expected = config.fingerprint();
        // The fingerprint covers the number of the algorithm, so a snapshot of an earlier format
        // has another fingerprint.
        if found != expected || version < VERSION {
            return Err(RestoreError::ConfigChanged { found, expected });
        }
        let mut state: State = postcard::from_bytes(state).map_err(|_| RestoreError::Damaged)?;
        if !state.is_sound(config) {
            return Err(RestoreError::Damaged);
        }
        if let Some(model) = &mut state.model {
            model.make_ready();
        }
        Ok(Self::with_state(sensor, config, state))
    }
}

impl State {
    /// Returns whether this state fits the configuration. A state that does not fit would make a
    /// detector panic.
    fn is_sound(&self, config: &DetectorConfig) -> bool {
        let fields = self.fields.len();
        let parts_fit = match &self.model {
            Some(model) => {
                fields > 0
                    && self.counters.len() == fields
                    && self.steps.is_sound(fields)
                    && model.is_sound(fields, config)
            }
            None => self.tracker.kept() < CALIBRATION_ROWS,
        };
        fields <= MAX_FIELDS
            && parts_fit
            && self.tracker.is_sound(self.model.is_some())
            && self.watch.is_sound()
            && self.calibration.is_sound()
            && self.caution.is_sound()
            && (self.model.is_none() || self.histories.is_sound(self.views(config)))
    }
}
