//! Reads WAV files: integers of 8, 16, 24 and 32 bits, 32-bit floats, `WAVE_FORMAT_EXTENSIBLE`, any
//! sampling rate, any number of channels.

use std::{fs::File, io::BufReader, path::Path};

use hound::{SampleFormat, WavReader};

/// A sound as mono samples. Full scale is ±1.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples per second.
    pub rate: u32,
    /// The mean of the channels, without DC offset.
    pub samples: Vec<f32>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file is not a WAV file, is damaged, or has another codec than PCM and float.
    #[error("{0}")]
    Unreadable(#[from] hound::Error),
    /// The header is valid, but no sample follows.
    #[error("holds no samples")]
    Empty,
    /// A sample is NaN or infinite.
    #[error("holds samples that are not finite numbers")]
    NotFinite,
    /// The sampling rate is not between 1 and 768 kHz.
    #[error("has an implausible sampling rate of {0} Hz")]
    BadRate(u32),
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Sound, WavError> {
    let file = File::open(path).map_err(hound::Error::IoError)?;
    decode(WavReader::new(BufReader::with_capacity(1 << 16, file))?)
}

fn decode<R: std::io::Read>(mut reader: WavReader<R>) -> Result<Sound, WavError> {
    let spec = reader.spec();
    if !(1_000..=768_000).contains(&spec.sample_rate) {
        return Err(WavError::BadRate(spec.sample_rate));
    }
    let interleaved: Vec<f32> = match spec.sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>()?,
        SampleFormat::Int => {
            let full_scale = (1i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f64;
            let scaled =
                |sample: Result<i32, hound::Error>| sample.map(|x| (f64::from(x) / full_scale) as f32);
            reader.samples::<i32>().map(scaled).collect::<Result<_, _>>()?
        }
    };
    if interleaved.iter().any(|sample| !sample.is_finite()) {
        return Err(WavError::NotFinite);
    }
    let samples = without_dc(mono(&interleaved, usize::from(spec.channels.max(1))));
    if samples.is_empty() {
        return Err(WavError::Empty);
    }
    Ok(Sound { rate: spec.sample_rate, samples })
}

fn mono(interleaved: &[f32], channels: usize) -> Vec<f32> {
    if channels == 1 {
        return interleaved.to_vec();
    }
    interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect()
}

/// Removes the constant offset, which would hide zero crossings.
fn without_dc(mut samples: Vec<f32>) -> Vec<f32> {
    let mean = samples.iter().map(|&x| f64::from(x)).sum::<f64>() / samples.len().max(1) as f64;
    for sample in &mut samples {
        *sample -= mean as f32;
    }
    samples
}

#[cfg(test)]
mod tests;
