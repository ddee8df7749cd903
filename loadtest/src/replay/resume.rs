//! Remembers between two runs of a replay what the earlier run published, so that a sensor never
//! sends two values for one time.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// What the runs of a replay have published so far. Times are in µs since the Unix epoch.
///
/// All runs have the same frame 0. A frame has one value for each sensor, so runs that share no
/// frame share no timestamp either.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// Event time of frame 0.
    pub start_micros: i64,
    /// The event time at which the history of the last run ended. `None` if the run went on live,
    /// because then it may have published everything up to the present.
    pub until_micros: Option<i64>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The file cannot be read or written.
    #[error("cannot keep the progress of the replay in {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file has other contents.
    #[error("{path} does not hold the progress of a replay; delete it, or name another file")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
}

impl Resume {
    /// Reads the file; `None` if it does not exist.
    pub fn load(path: &Path) -> Result<Option<Self>, ResumeError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ResumeError::Io { path: path.to_owned(), source }),
        };
        let resume = serde_json::from_slice(&text);
        resume.map(Some).map_err(|source| ResumeError::Malformed { path: path.to_owned(), source })
    }

    /// Replaces the file. A crash leaves the old file or the new one.
    pub fn save(&self, path: &Path) -> Result<(), ResumeError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let save = || {
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            serde_json::to_writer(&mut file, self)?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        save().map_err(|source| ResumeError::Io { path: path.to_owned(), source })
    }

    /// Returns the frames of history to publish at time `now`, when the file was written by an
    /// earlier run. A live replay has none, and goes on at the end of the range. A history begins
    /// where the last one ended, and has at most `most` frames.
    pub fn frames(&self, period_micros: i64, live: bool, most: u64, now: i64) -> Range<u64> {
        let since_start = (now - self.start_micros).max(0) as u64;
        let period = period_micros as u64;
        // No sensor reports before the beginning of a frame, so this frame has not been published.
        let next = since_start.div_ceil(period);
        match self.until_micros {
            Some(until) if !live => {
                let end = since_start / period;
                let begin = (until - self.start_micros).max(0) as u64 / period;
                begin.max(end.saturating_sub(most))..end.max(begin)
            }
            _ => next..next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_live_replay_goes_on_at_the_present() {
        let resume = Resume { start_micros: 100 * SECOND, until_micros: None };
        for live in [true, false] {
            assert_eq!(resume.frames(SECOND, live, 1_800, 160 * SECOND), 60..60);
            assert_eq!(resume.frames(SECOND, live, 1_800, 160 * SECOND + 1), 61..61);
            assert_eq!(resume.frames(SECOND, live, 1_800, 40 * SECOND), 0..0);
        }
    }

    #[test]
    fn a_history_goes_on_where_it_ended_and_is_not_longer_than_the_first() {
        let resume = Resume { start_micros: 100 * SECOND, until_micros: Some(160 * SECOND) };
        assert_eq!(resume.frames(SECOND, false, 60, 170 * SECOND + 9), 60..70);
        assert_eq!(resume.frames(SECOND, false, 60, 260 * SECOND), 100..160);
        assert_eq!(resume.frames(SECOND, false, 60, 160 * SECOND), 60..60);
        assert_eq!(resume.frames(SECOND, false, 60, 150 * SECOND), 60..60);
        assert_eq!(resume.frames(SECOND, true, 60, 170 * SECOND + 9), 71..71);
    }

    #[test]
    fn the_file_is_replaced_and_other_contents_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay.json");
        assert_eq!(Resume::load(&path).unwrap(), None);
        for until_micros in [None, Some(7)] {
            let resume = Resume { start_micros: 3, until_micros };
            resume.save(&path).unwrap();
            assert_eq!(Resume::load(&path).unwrap(), Some(resume));
        }
        fs::write(&path, "sounds").unwrap();
        assert!(matches!(Resume::load(&path), Err(ResumeError::Malformed { .. })));
    }
}
