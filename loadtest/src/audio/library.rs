//! A folder in `UrbanSound8K`'s layout, genuine or synthetic, analysed and sorted by class.

use std::{
    collections::BTreeMap,
    fs, io,
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

mod metadata;

pub use metadata::Row;

/// One clip, analysed.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The file's name.
    pub name: String,
    /// What is heard.
    pub class: SoundClass,
    /// Whether the sound stands in the foreground of its recording.
    pub foreground: bool,
    /// Its frames; never empty, and not all of them silent.
    pub frames: Vec<SpectralFrame>,
    /// The mean A-weighted power of the frames; positive.
    pub weighted_power: f64,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file's name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The analysed clips of a data set.
#[derive(Clone, Debug)]
pub struct Library {
    frame_seconds: f64,
    /// By class id.
    clips: [Vec<Clip>; 10],
    skipped: Vec<Skipped>,
}

/// How a data set is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Seconds per frame, which is also the time between a sensor's readings. 0.05 to 4.
    pub frame_seconds: f64,
    /// At most this many clips of each class are read, those in the foreground first; the choice depends on the file names
    /// alone. (All 8,732 genuine clips would take minutes.)
    pub clips_per_class: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { frame_seconds: 1.0, clips_per_class: 40 }
    }
}

/// Why a folder cannot serve as a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The table is not where the layout has it.
    #[error(
        "{} holds no metadata/UrbanSound8K.csv; give the folder of UrbanSound8K, or write a synthetic one: \
         thicket-loadtest synth --out {}", path.display(), path.display()
    )]
    NotADataSet {
        /// The folder.
        path: PathBuf,
    },
    /// The table cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The table is not what it should be.
    #[error("{} line {line}: {detail}", path.display())]
    BadTable {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// Too little is left.
    #[error(
        "{} has no usable clip of any {kind} class ({skipped} files were skipped{example}); is audio/fold1..fold10 complete?",
        path.display()
    )]
    NothingUsable {
        /// The folder.
        path: PathBuf,
        /// `ambient` or `event`.
        kind: &'static str,
        /// Files left out.
        skipped: usize,
        /// The first of them, with its reason.
        example: String,
    },
    /// The frame length is out of range.
    #[error("a frame of {0} s is not supported; choose 0.05 to 4 (the clips are no longer)")]
    BadFrame(f64),
}

impl Library {
    /// Reads and analyses a data set on all cores. Files that cannot be used are skipped and listed. `on_progress` gets the
    /// clips done and their total.
    pub fn load(
        folder: &Path,
        options: &LoadOptions,
        mut on_progress: impl FnMut(usize, usize),
    ) -> Result<Self, LibraryError> {
        if !(0.05..=4.0).contains(&options.frame_seconds) {
            return Err(LibraryError::BadFrame(options.frame_seconds));
        }
        let root = Self::root(folder)?;
        let rows = select(metadata::read(&root.join(metadata::PATH))?, options.clips_per_class);

        let mut library =
            Self { frame_seconds: options.frame_seconds, clips: Default::default(), skipped: Vec::new() };
        for (row, outcome) in rows.iter().zip(analyse(&root, &rows, options.frame_seconds, &mut on_progress))
        {
            match outcome {
                Ok(clip) => library.clips[usize::from(row.class.id())].push(clip),
                Err(reason) => library.skipped.push(Skipped { name: row.file_name.clone(), reason }),
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

    /// The data set's root: the folder itself, or `UrbanSound8K` in it, as the archive unpacks.
    fn root(folder: &Path) -> Result<PathBuf, LibraryError> {
        [folder.to_owned(), folder.join("UrbanSound8K")]
            .into_iter()
            .find(|root| root.join(metadata::PATH).is_file())
            .ok_or_else(|| LibraryError::NotADataSet { path: folder.to_owned() })
    }

    /// Seconds per frame.
    pub fn frame_seconds(&self) -> f64 {
        self.frame_seconds
    }

    /// The clips of a class, in the order of their names.
    pub fn clips(&self, class: SoundClass) -> &[Clip] {
        &self.clips[usize::from(class.id())]
    }

    /// All clips, by class.
    pub fn iter(&self) -> impl Iterator<Item = &Clip> {
        self.clips.iter().flatten()
    }

    /// The files that were left out.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The reasons for which files were left out, and how many each.
    pub fn skip_reasons(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for file in &self.skipped {
            *reasons.entry(file.reason.as_str()).or_insert(0) += 1;
        }
        reasons
    }
}

/// The clips to read: per class the foreground first, in an order that depends on the names alone; then by name.
fn select(rows: Vec<Row>, per_class: usize) -> Vec<Row> {
    let mut by_class: BTreeMap<SoundClass, Vec<Row>> = BTreeMap::new();
    for row in rows {
        by_class.entry(row.class).or_default().push(row);
    }
    let mut selected = Vec::new();
    for mut rows in by_class.into_values() {
        rows.sort_by_cached_key(|row| {
            (!row.foreground, xxhash_rust::xxh3::xxh3_64(row.file_name.as_bytes()), row.file_name.clone())
        });
        rows.truncate(per_class);
        rows.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        selected.extend(rows);
    }
    selected
}

/// Analyses the clips on all cores; the results come in the order of the rows, whichever core was faster.
fn analyse(
    root: &Path,
    rows: &[Row],
    frame_seconds: f64,
    on_progress: &mut impl FnMut(usize, usize),
) -> Vec<Result<Clip, String>> {
    let next = AtomicUsize::new(0);
    let (results, done) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(rows.len().max(1));
    let mut outcomes: Vec<(usize, Result<Clip, String>)> = Vec::with_capacity(rows.len());
    thread::scope(|scope| {
        for _ in 0..workers {
            let (results, next) = (results.clone(), &next);
            scope.spawn(move || {
                let mut analyser = Analyser::new(frame_seconds);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(index) else { break };
                    if results.send((index, analyse_clip(root, row, &mut analyser))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for outcome in done {
            on_progress(outcomes.len(), rows.len());
            outcomes.push(outcome);
        }
    });
    on_progress(rows.len(), rows.len());
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn analyse_clip(root: &Path, row: &Row, analyser: &mut Analyser) -> Result<Clip, String> {
    let path = root.join("audio").join(format!("fold{}", row.fold)).join(&row.file_name);
    let sound = wav::read(&path).map_err(|error| error.to_string())?;
    let frames = analyser.frames(&sound);
    let weighted_power = frames.iter().map(SpectralFrame::weighted_power).sum::<f64>() / frames.len() as f64;
    if weighted_power < 1e-12 {
        return Err("is silent".to_owned());
    }
    Ok(Clip {
        name: row.file_name.clone(),
        class: row.class,
        foreground: row.foreground,
        frames,
        weighted_power,
    })
}

/// Reads a text file, naming it in the error.
fn read_text(path: &Path) -> Result<String, LibraryError> {
    fs::read_to_string(path).map_err(|source| LibraryError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
