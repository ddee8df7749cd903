//! Bounds the log files of a deployment. Each process appends to its file for as long as it runs.

use std::fs;
use std::io;
use std::path::Path;

use super::place::Place;

/// The bytes of a log file beyond which it becomes the file before it. There is one of these.
const MOST_BYTES: u64 = 16 << 20;

/// Copies each file that is too large to a second file, and empties it. The processes go on
/// appending to it. A line that is written in between is lost.
pub(super) fn bound(place: &Place) {
    for file in place.logs() {
        // A file that cannot be bounded now is tried again later.
        let _ = bound_file(&file);
    }
}

fn bound_file(file: &Path) -> io::Result<()> {
    if fs::metadata(file)?.len() <= MOST_BYTES {
        return Ok(());
    }
    fs::copy(file, file.with_extension("log.1"))?;
    fs::OpenOptions::new().write(true).open(file)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_large_log_becomes_the_file_before_and_its_writer_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        let mut log = fs::OpenOptions::new().create(true).append(true).open(place.log()).unwrap();
        log.write_all(b"old\n").unwrap();
        log.set_len(MOST_BYTES + 1).unwrap();
        bound(&place);
        log.write_all(b"new\n").unwrap();
        assert_eq!(fs::read(place.log()).unwrap(), b"new\n");
        assert!(fs::read(folder.path().join("up.log.1")).unwrap().starts_with(b"old\n"));
    }
}
