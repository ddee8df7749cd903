//! The data set's folder: its paths, and the marker that says which data set it holds and whether that is complete.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::SynthOptions;

/// Raised whenever a recipe changes: an older folder no longer matches.
const GENERATOR: u32 = 1;
const MARKER: &str = "thicket-synth.json";
const README: &str = "README.txt";
const README_TEXT: &str = "\
Synthetic city sounds in the layout of UrbanSound8K, written by `thicket-loadtest synth` from the seed in
thicket-synth.json. No recording is in here: every sample comes from a procedural recipe. Free of any licence.
";

/// Why a data set could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// Zero clips were asked for.
    #[error("a data set needs at least one clip per class; raise --clips-per-class")]
    NoClips,
    /// The sampling rate is out of range.
    #[error("a sampling rate of {0} Hz is not supported; choose 8000 to 192000 (22050 is the default)")]
    BadRate(u32),
    /// The folder holds something else.
    #[error("{} is not empty and holds no synthetic data set; choose another folder or remove it", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a synthetic data set of other options.
    #[error("{} holds another synthetic data set ({found}); choose another folder, remove it, or ask for the same", path.display())]
    Different {
        /// The folder.
        path: PathBuf,
        /// The options of the data set that is there.
        found: String,
    },
    /// The disk said no.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder cannot be inspected.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Marker {
    generator: u32,
    #[serde(flatten)]
    options: SynthOptions,
    complete: bool,
}

/// What a folder holds with respect to the data set that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing, or nothing yet.
    Empty,
    /// The wanted data set, but its writing was interrupted.
    Interrupted,
    /// The wanted data set.
    Complete,
}

pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn fold(&self, fold: u8) -> PathBuf {
        self.root.join("audio").join(format!("fold{fold}"))
    }

    pub(super) fn table(&self) -> PathBuf {
        self.root.join("metadata").join("UrbanSound8K.csv")
    }

    /// Looks what is there, and refuses what must not be overwritten.
    pub(super) fn state(&self, wanted: &SynthOptions) -> Result<State, SynthError> {
        let path = self.root.clone();
        let empty = match fs::read_dir(&self.root) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(source) => return Err(SynthError::Read { path, source }),
        };
        if empty {
            return Ok(State::Empty);
        }
        let marker = fs::read(self.root.join(MARKER)).ok();
        let Some(marker) = marker.and_then(|bytes| serde_json::from_slice::<Marker>(&bytes).ok()) else {
            return Err(SynthError::Foreign { path });
        };
        if marker.generator != GENERATOR || marker.options != *wanted {
            let SynthOptions { seed, clips_per_class, sample_rate } = marker.options;
            let found = format!(
                "seed {seed}, {clips_per_class} clips per class, {sample_rate} Hz, generator {}",
                marker.generator
            );
            return Err(SynthError::Different { path, found });
        }
        Ok(if marker.complete { State::Complete } else { State::Interrupted })
    }

    /// Claims the folder before the first file is written.
    pub(super) fn begin(&self, options: &SynthOptions) -> Result<(), SynthError> {
        super::create_dir(&self.root)?;
        self.write_marker(options, false)
    }

    /// Declares the data set complete after the last file is written.
    pub(super) fn finish(&self, options: &SynthOptions) -> Result<(), SynthError> {
        write_text(&self.root.join(README), README_TEXT)?;
        self.write_marker(options, true)
    }

    fn write_marker(&self, options: &SynthOptions, complete: bool) -> Result<(), SynthError> {
        let marker = Marker { generator: GENERATOR, options: options.clone(), complete };
        let path = self.root.join(MARKER);
        let text = serde_json::to_string_pretty(&marker)
            .map_err(|error| SynthError::Write { path: path.clone(), source: error.into() })?;
        write_text(&path, &(text + "\n"))
    }
}

fn write_text(path: &Path, text: &str) -> Result<(), SynthError> {
    fs::write(path, text).map_err(|source| SynthError::Write { path: path.to_owned(), source })
}
