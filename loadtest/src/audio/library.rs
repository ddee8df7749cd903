//! Reads and analyses a folder in `UrbanSound8K`'s layout, genuine or synthetic.
//!
//! - `metadata`: the table of the clips
//! - `error`: why a folder cannot serve as a data set

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::{analysis::Analyser, frame::SpectralFrame, wav};
use crate::sound_class::SoundClass;

mod error;
mod metadata;

pub use error::LibraryError;
pub use metadata::ClipMetadata;

/// A clip, analysed.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The file's name.
    pub name: String,
    /// The class of the sound.
    pub class: SoundClass,
    /// Whether the sound is in the foreground of its recording.
    pub foreground: bool,
    /// The frames. There is at least one, and at least one is not silent.
    pub frames: Vec<SpectralFrame>,
    /// The mean A-weighted power of the frames, greater than 0.
    pub weighted_power: f64,
}

/// A file that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file's name.
    pub name: String,
    /// Why it was skipped.
    pub reason: String,
}

/// The analysed clips of a data set.
#[derive(Clone, Debug)]
pub struct Library {
    frame_seconds: f64,
    /// The clips by class id.
    clips: [Vec<Clip>; 10],
    skipped: Vec<Skipped>,
}

/// How a data set is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Seconds per frame, 0.05 to 4. It is also the time between two readings of a sensor.
    pub frame_seconds: f64,
    /// The most clips to read per class, clips in the foreground first. The choice depends only on
    /// the file names. (All 8,732 genuine clips would take minutes.)
    pub clips_per_class: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { frame_seconds: 1.0, clips_per_class: 40 }
    }
}

impl Library {
    /// Reads and analyses a data set on all cores. Skips and lists the files that cannot be used.
    /// Calls `on_progress` with the number of analysed clips and their total.
    pub fn load(
        folder: &Path,
        options: &LoadOptions,
        mut on_progress: impl FnMut(usize, usize),
    ) -> Result<Self, LibraryError> {
        if !(0.05..=4.0).contains(&options.frame_seconds) {
            return Err(LibraryError::BadFrame(options.frame_seconds));
        }
        let root = Self::find_root(folder)?;
        let selected = select(metadata::read(&root.join(metadata::PATH))?, options.clips_per_class);

        let mut library =
            Self { frame_seconds: options.frame_seconds, clips: Default::default(), skipped: Vec::new() };
        let outcomes = analyse(&root, &selected, options.frame_seconds, &mut on_progress);
        for (metadata, outcome) in selected.into_iter().zip(outcomes) {
            match outcome {
                Ok(clip) => library.clips[usize::from(clip.class.id())].push(clip),
                Err(reason) => library.skipped.push(Skipped { name: metadata.file_name, reason }),
            }
        }
        for (kind, classes) in [("ambient", &SoundClass::AMBIENT[..]), ("event", &SoundClass::EVENTS[..])] {
            if classes.iter().all(|&class| library.clips(class).is_empty()) {
                let example =
                    library.skipped.first().map(|file| format!("; first {}: {}", file.name, file.reason));
                return Err(LibraryError::NothingUsable {
                    path: root,
                    kind,
                    skipped: library.skipped.len(),
                    example: example.unwrap_or_default(),
                });
            }
        }
        Ok(library)
    }

    /// Returns the data set's root: the folder itself, or `UrbanSound8K` in it, which the archive
    /// contains.
    fn find_root(folder: &Path) -> Result<PathBuf, LibraryError> {
        [folder.to_owned(), folder.join("UrbanSound8K")]
            .into_iter()
            .find(|root| root.join(metadata::PATH).is_file())
            .ok_or_else(|| LibraryError::NotADataSet { path: folder.to_owned() })
    }

    /// Returns the seconds per frame.
    pub fn frame_seconds(&self) -> f64 {
        self.frame_seconds
    }

    /// Returns the clips of a class, sorted by name.
    pub fn clips(&self, class: SoundClass) -> &[Clip] {
        &self.clips[usize::from(class.id())]
    }

    /// Returns all clips, by class.
    pub fn iter(&self) -> impl Iterator<Item = &Clip> {
        self.clips.iter().flatten()
    }

    /// Returns the files that were skipped.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Returns the reasons for which files were skipped, and the number of files for each.
    pub fn skip_reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for file in &self.skipped {
            *reasons.entry(file.reason.as_str()).or_insert(0) += 1;
        }
        reasons
    }
}

/// Selects the clips to read: per class, clips in the foreground first, in an order that depends
/// only on the names. Returns the selected clips by class and name.
fn select(all: Vec<ClipMetadata>, per_class: usize) -> Vec<ClipMetadata> {
    let mut by_class: BTreeMap<SoundClass, Vec<ClipMetadata>> = BTreeMap::new();
    for clip in all {
        by_class.entry(clip.class).or_default().push(clip);
    }
    let mut selected = Vec::new();
    for mut of_class in by_class.into_values() {
        of_class.sort_by_cached_key(|clip| {
            (!clip.foreground, xxhash_rust::xxh3::xxh3_64(clip.file_name.as_bytes()), clip.file_name.clone())
        });
        of_class.truncate(per_class);
        of_class.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        selected.extend(of_class);
    }
    selected
}

/// Analyses the clips on all cores. Returns the results in the order of `selected`.
fn analyse(
    root: &Path,
    selected: &[ClipMetadata],
    frame_seconds: f64,
    on_progress: &mut impl FnMut(usize, usize),
) -> Vec<Result<Clip, String>> {
    let next = AtomicUsize::new(0);
    let (results, done) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(selected.len().max(1));
    let mut outcomes: Vec<(usize, Result<Clip, String>)> = Vec::with_capacity(selected.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            let (results, next) = (results.clone(), &next);
            scope.spawn(move || {
                let mut analyser = Analyser::new(frame_seconds);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(metadata) = selected.get(index) else { break };
                    if results.send((index, analyse_clip(root, metadata, &mut analyser))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for outcome in done {
            on_progress(outcomes.len(), selected.len());
            outcomes.push(outcome);
        }
    });
    on_progress(selected.len(), selected.len());
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn analyse_clip(root: &Path, metadata: &ClipMetadata, analyser: &mut Analyser) -> Result<Clip, String> {
    let path = root.join("audio").join(format!("fold{}", metadata.fold)).join(&metadata.file_name);
    let sound = wav::read(&path).map_err(|error| error.to_string())?;
    let frames = analyser.frames(&sound);
    let weighted_power = frames.iter().map(SpectralFrame::weighted_power).sum::<f64>() / frames.len() as f64;
    if weighted_power < 1e-12 {
        return Err("is silent".to_owned());
    }
    Ok(Clip {
        name: metadata.file_name.clone(),
        class: metadata.class,
        foreground: metadata.foreground,
        frames,
        weighted_power,
    })
}

#[cfg(test)]
mod tests;
