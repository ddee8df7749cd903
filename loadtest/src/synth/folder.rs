//! The data set's folder: its paths, and the marker file, which says which data set the folder
//! holds and whether it is complete.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::SynthError,
    files::{create_dir, write_text},
    options::SynthOptions,
};

/// The version of the recipes. Raise it when a recipe changes, so that older folders no longer
/// match.
const GENERATOR: u32 = 1;
const MARKER: &str = "thicket-synth.json";
const README: &str = "README.txt";
const README_TEXT: &str = "\
Synthetic city sounds in the layout of UrbanSound8K, written by `thicket-loadtest synth` from the seed in
thicket-synth.json. No recording is in here: every sample comes from a procedural recipe. Free of any licence.
";

/// The contents of the marker file.
#[derive(Serialize, Deserialize)]
struct Marker {
    generator: u32,
    #[serde(flatten)]
    options: SynthOptions,
    complete: bool,
}

/// The contents of a folder, compared with the wanted data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The folder is empty or missing.
    Empty,
    /// It holds the wanted data set, but the writing was interrupted.
    Interrupted,
    /// It holds the wanted data set.
    Complete,
}

/// The folder of a data set.
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

    /// Returns the state of the folder. Returns an error if it holds anything that must not be
    /// overwritten.
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

    /// Creates the folder and marks the data set as incomplete. Call it before the first file is
    /// written.
    pub(super) fn begin(&self, options: &SynthOptions) -> Result<(), SynthError> {
        create_dir(&self.root)?;
        self.write_marker(options, false)
    }

    /// Marks the data set as complete. Call it after the last file is written.
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
