//! Shows the log of a supervising process while another process waits for it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::place::Place;
use crate::terminal::{err, errln, shown};

/// The log of the supervising process, from a position on.
#[derive(Debug)]
pub(super) struct Follow {
    log: PathBuf,
    position: u64,
}

impl Follow {
    /// Follows the log from its present end.
    pub(super) fn from_end(place: &Place) -> Self {
        let log = place.log();
        let position = std::fs::metadata(&log).map_or(0, |file| file.len());
        Self { log, position }
    }

    /// Shows the complete lines that were added.
    pub(super) fn show(&mut self) {
        let text = self.added();
        if let Some(end) = text.iter().rposition(|byte| *byte == b'\n') {
            self.position += end as u64 + 1;
            err!("{}", shown(&String::from_utf8_lossy(&text[..=end])));
        }
    }

    /// Shows everything that was added.
    pub(super) fn finish(mut self) {
        self.show();
        let rest = self.added();
        if !rest.is_empty() {
            errln!("{}", shown(&String::from_utf8_lossy(&rest)));
        }
    }

    /// Returns what was added. A log that cannot be read gives no lines.
    fn added(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            // The log may have become the log before it.
            self.position = self.position.min(file.metadata()?.len());
            file.seek(SeekFrom::Start(self.position))?;
            file.read_to_end(&mut bytes)
        });
        if read.is_err() {
            bytes.clear();
        }
        bytes
    }
}
