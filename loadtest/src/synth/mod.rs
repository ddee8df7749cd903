//! Writes a data set in `UrbanSound8K`'s layout from nothing but a seed: same seed, same bytes.
//!
//! - `plan`: which clips there are, their recordings, folds and saliences
//! - `recipes`: how each class sounds, and the street under it
//! - `signal`: oscillators, noises, filters
//! - `mixer`: sound over bed, as 16-bit samples
//! - `folder`: the folder's marker, which tells a finished data set from an interrupted one and from other people's files
//!
//! The genuine data set must not be redistributed (its licence is non-commercial); this one stands in for it wherever a
//! download is not wanted. Cite for the layout: Salamon, Jacoby, Bello, *A Dataset and Taxonomy for Urban Sound Research*, 2014.

mod folder;
mod mixer;
mod plan;
mod recipes;
mod signal;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

pub use folder::SynthError;
use folder::{Folder, State};
use serde::{Deserialize, Serialize};

/// What a synthetic data set consists of; the same options give the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SynthOptions {
    /// Everything random derives from it.
    pub seed: u64,
    /// Clips of each of the ten classes, at least 1.
    pub clips_per_class: u32,
    /// Samples per second of the WAV files, 8,000 to 192,000. Mono, 16 bit.
    pub sample_rate: u32,
}

impl Default for SynthOptions {
    fn default() -> Self {
        Self { seed: 1, clips_per_class: 12, sample_rate: 22_050 }
    }
}

/// How far the writing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthProgress {
    /// Clips written so far.
    pub written: usize,
    /// Clips of the whole data set.
    pub total: usize,
}

/// What [`write()`] found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthOutcome {
    /// The data set was written (or an interrupted writing completed).
    Written {
        /// Clips in the data set.
        clips: usize,
    },
    /// The folder already held exactly this data set; nothing was touched.
    AlreadyThere {
        /// Clips in the data set.
        clips: usize,
    },
}

/// Writes the data set into `folder`, which is created. A folder that holds the same data set already is left alone, an
/// interrupted one is completed, and one that holds anything else is refused.
pub fn write(
    folder: &Path,
    options: &SynthOptions,
    mut on_progress: impl FnMut(SynthProgress),
) -> Result<SynthOutcome, SynthError> {
    if options.clips_per_class == 0 {
        return Err(SynthError::NoClips);
    }
    if !(8_000..=192_000).contains(&options.sample_rate) {
        return Err(SynthError::BadRate(options.sample_rate));
    }
    let clips = plan::clips(options.seed, options.clips_per_class);
    let folder = Folder::new(folder);
    if folder.state(options)? == State::Complete {
        return Ok(SynthOutcome::AlreadyThere { clips: clips.len() });
    }

    folder.begin(options)?;
    for fold in 1..=10 {
        create_dir(&folder.fold(fold))?;
    }
    for (index, clip) in clips.iter().enumerate() {
        on_progress(SynthProgress { written: index, total: clips.len() });
        let path = folder.fold(clip.fold).join(clip.file_name());
        write_wav(&path, &mixer::mix(clip, options.sample_rate), options.sample_rate)?;
    }
    write_table(&folder.table(), &clips)?;
    folder.finish(options)?;
    on_progress(SynthProgress { written: clips.len(), total: clips.len() });
    Ok(SynthOutcome::Written { clips: clips.len() })
}

fn write_table(path: &Path, clips: &[plan::ClipPlan]) -> Result<(), SynthError> {
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let mut text = String::from("slice_file_name,fsID,start,end,salience,fold,classID,class\n");
    for clip in clips {
        text.push_str(&clip.csv_row());
        text.push('\n');
    }
    let write = || -> io::Result<()> { fs::File::create(path)?.write_all(text.as_bytes()) };
    write().map_err(|source| SynthError::Write { path: path.to_owned(), source })
}

fn write_wav(path: &Path, samples: &[i16], rate: u32) -> Result<(), SynthError> {
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

fn create_dir(path: &Path) -> Result<(), SynthError> {
    fs::create_dir_all(path).map_err(|source| SynthError::Write { path: PathBuf::from(path), source })
}

#[cfg(test)]
mod tests;
