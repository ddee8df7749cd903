//! The envelope of a detector's state in Redis.
//!
//! # Layout, version 2
//!
//! | part | bytes | what |
//! |---|---|---|
//! | magic | 4 | `TKCP` |
//! | version | 2 | `2` |
//! | sensor | 2, then the length | length, UTF-8 |
//! | seq | 8 | number of scored readings |
//! | has newest | 1 | `1`, or `0` before the first reading |
//! | newest | 8 | µs since the Unix epoch, signed; `0` if there is none |
//! | era | 4 | how often the sensor's time had begun again |
//! | config | 8 | fingerprint |
//! | state | 8, then the length | length, bytes |
//! | checksum | 8 | 64-bit XXH3 of everything before |
//!
//! All numbers are little endian.

use xxhash_rust::xxh3::xxh3_64;

use crate::reading::Timestamp;
use crate::wire::{Reader, WireError};

const MAGIC: [u8; 4] = *b"TKCP";
const VERSION: u16 = 2;

/// Why bytes are not a checkpoint that this build can restore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The value of the key is not a checkpoint.
    #[error("not a checkpoint; another program may write under this key prefix")]
    NotACheckpoint,
    /// The checkpoint has a later version of the format.
    #[error("the checkpoint has format version {0}, this build reads up to {VERSION}; run a newer build")]
    TooNew(u16),
    /// The bytes end too early.
    #[error("the checkpoint is truncated; delete it, the detector is rebuilt from its readings")]
    Truncated,
    /// The checksum does not match, or the content is invalid.
    #[error("the checkpoint is damaged; delete it, the detector is rebuilt from its readings")]
    Damaged,
}

impl From<WireError> for CheckpointError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Truncated => Self::Truncated,
            WireError::VarintTooLong | WireError::NotUtf8 => Self::Damaged,
        }
    }
}

/// The whole state of a detector after a reading, and the facts that a restore checks first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the sensor, of at most [`SensorName::MAX_BYTES`](crate::SensorName::MAX_BYTES). The
    /// caller checks that it is the expected one.
    pub sensor: String,
    /// Number of readings that the detector had scored.
    pub seq: u64,
    /// The newest timestamp that the detector has seen, scored or skipped.
    pub newest: Option<Timestamp>,
    /// How often the sensor's time had begun again.
    pub era: i32,
    /// Fingerprint of the configuration of the detector.
    pub config: u64,
    /// The snapshot that the detector made of itself.
    pub state: Vec<u8>,
}

impl Checkpoint {
    /// Size of a checkpoint in bytes, without the name of the sensor and the state.
    const OVERHEAD: usize = 53;

    /// Returns the number of bytes of the packed checkpoint.
    pub const fn encoded_len(&self) -> usize {
        Self::OVERHEAD + self.sensor.len() + self.state.len()
    }

    /// Packs the checkpoint.
    ///
    /// # Panics
    /// If the sensor's name has more than 65,535 bytes.
    pub fn encode(&self) -> Vec<u8> {
        assert!(u16::try_from(self.sensor.len()).is_ok(), "a sensor's name has at most 200 bytes");
        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend((self.sensor.len() as u16).to_le_bytes());
        out.extend_from_slice(self.sensor.as_bytes());
        out.extend(self.seq.to_le_bytes());
        out.push(u8::from(self.newest.is_some()));
        out.extend(self.newest.map_or(0, Timestamp::as_micros).to_le_bytes());
        out.extend(self.era.to_le_bytes());
        out.extend(self.config.to_le_bytes());
        out.extend((self.state.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.state);
        let checksum = xxh3_64(&out);
        out.extend(checksum.to_le_bytes());
        out
    }

    /// Unpacks a checkpoint.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut reader = Reader::new(bytes);
        if reader.array() != Ok(MAGIC) {
            return Err(CheckpointError::NotACheckpoint);
        }
        match u16::from_le_bytes(reader.array()?) {
            VERSION => {}
            // No version before this one is still in use.
            0 | 1 => return Err(CheckpointError::Damaged),
            version => return Err(CheckpointError::TooNew(version)),
        }
        let sensor_bytes = u16::from_le_bytes(reader.array()?);
        let sensor = reader.take(sensor_bytes.into())?;
        let seq = u64::from_le_bytes(reader.array()?);
        let [has_newest] = reader.array()?;
        let newest = i64::from_le_bytes(reader.array()?);
        let era = i32::from_le_bytes(reader.array()?);
        let config = u64::from_le_bytes(reader.array()?);
        let state_bytes = u64::from_le_bytes(reader.array()?);
        let state = reader.take(usize::try_from(state_bytes).map_err(|_| CheckpointError::Truncated)?)?;
        let content = &bytes[..bytes.len() - reader.remaining()];
        let checksum = u64::from_le_bytes(reader.array()?);
        if checksum != xxh3_64(content) || reader.remaining() > 0 {
            return Err(CheckpointError::Damaged);
        }
        let newest = match (has_newest, newest) {
            (0, 0) => None,
            (1, micros) => Some(Timestamp(micros)),
            _ => return Err(CheckpointError::Damaged),
        };
        let sensor = std::str::from_utf8(sensor).map_err(|_| CheckpointError::Damaged)?;
        Ok(Self { sensor: sensor.to_owned(), seq, newest, era, config, state: state.to_vec() })
    }
}

#[cfg(test)]
mod tests;
