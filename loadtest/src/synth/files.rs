//! Creates the directories and WAV files of a data set.

use std::{fs, io, path::Path};

use super::error::SynthError;

/// Creates a directory and its parents.
pub(super) fn create_dir(path: &Path) -> Result<(), SynthError> {
    fs::create_dir_all(path).map_err(|source| SynthError::Write { path: path.to_owned(), source })
}

/// Writes a text file.
pub(super) fn write_text(path: &Path, text: &str) -> Result<(), SynthError> {
    fs::write(path, text).map_err(|source| SynthError::Write { path: path.to_owned(), source })
}

/// Writes a WAV file: mono, 16 bits, `rate` samples per second.
pub(super) fn write_wav(path: &Path, samples: &[i16], rate: u32) -> Result<(), SynthError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::create(path, spec)?;
        let mut block = writer.get_i16_writer(samples.len() as u32);
        for sample in samples {
            block.write_sample(*sample);
        }
        block.flush()?;
        writer.finalize()
    };
    write().map_err(|error| {
        let source = match error {
            hound::Error::IoError(source) => source,
            other => io::Error::other(other),
        };
        SynthError::Write { path: path.to_owned(), source }
    })
}
