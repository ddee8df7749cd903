//! The parameters of a synthetic data set.

use serde::{Deserialize, Serialize};

/// The parameters of a synthetic data set. The same options give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SynthOptions {
    /// The seed of all random numbers.
    pub seed: u64,
    /// Clips of each of the ten classes, at least 1.
    pub clips_per_class: u32,
    /// Samples per second of the WAV files, 8,000 to 192,000. The files are mono with 16 bits.
    pub sample_rate: u32,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self { seed: 1, clips_per_class: 12, sample_rate: 22_050 }
    }
}
