//! Writes a synthetic data set in `UrbanSound8K`'s layout. The same seed gives the same bytes.
//!
//! - [`options`]: the parameters of a data set
//! - `plan`: the clips, with their recordings, folds and saliences
//! - `recipes`: the sound of each class, and of the street behind it
//! - `signal`: oscillators, noises and filters
//! - `mixer`: mixes the sound and the street into 16-bit samples
//! - `folder`: the folder and its marker, which says whether the data set is complete
//! - `files`: creates directories and WAV files
//! - [`error`]: why a data set could not be written
//!
//! The genuine data set must not be redistributed (its licence is non-commercial). The synthetic
//! one replaces it where a download is not possible. Source of the layout: Salamon, Jacoby, Bello,
//! *A Dataset and Taxonomy for Urban Sound Research*, 2014.

pub mod error;
mod files;
mod folder;
mod mixer;
pub mod options;
mod plan;
mod recipes;
mod signal;

use std::path::Path;

pub use error::SynthError;
use files::{create_dir, write_text, write_wav};
use folder::{Folder, State};
pub use options::SynthOptions;

/// How many clips are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SynthProgress {
    /// Clips written so far.
    pub written: usize,
    /// Clips of the whole data set.
    pub total: usize,
}

/// The result of [`write()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynthOutcome {
    /// The data set was written, or an interrupted one was completed.
    Written {
        /// Clips in the data set.
        clips: usize,
    },
    /// The folder already held exactly this data set. Nothing was written.
    AlreadyThere {
        /// Clips in the data set.
        clips: usize,
    },
}

/// Writes the data set into `folder` and creates the folder. Leaves the same complete data set as
/// it is, completes an interrupted one, and refuses a folder with any other contents.
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
    let clips = plan::plan_clips(options.seed, options.clips_per_class);
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
    write_text(path, &text)
}

#[cfg(test)]
mod tests;
