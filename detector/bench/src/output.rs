//! Writes grades and events of a series, for scorers and plots.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

use crate::stream::Scored;

/// Writes `<folder>/<set>/<name>.csv` and `<folder>/<set>/<name>.events.csv`.
///
/// The first has the header `grade` and a line a row: the grade, empty while there is none. The
/// second has the header `first,last` and a line an event: its first and its last row, counted from
/// 0; the last is empty if the event is open in the end.
///
/// # Errors
/// The files cannot be written.
pub fn write(folder: &Path, set: &str, name: &str, scored: &Scored) -> anyhow::Result<()> {
    let folder = folder.join(set);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut file = create(&folder.join(format!("{name}.csv")))?;
    writeln!(file, "grade")?;
    for grade in &scored.grades {
        writeln!(file, "{}", grade.map_or(String::new(), |grade| grade.to_string()))?;
    }
    file.flush()?;
    let mut file = create(&folder.join(format!("{name}.events.csv")))?;
    writeln!(file, "first,last")?;
    for event in &scored.events {
        let last = event.last.map_or(String::new(), |last| last.to_string());
        writeln!(file, "{},{last}", event.first)?;
    }
    Ok(file.flush()?)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(BufWriter::new(file))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stream::EventRows;

    #[test]
    fn a_missing_grade_and_an_open_end_are_empty() {
        let event = |first, last| EventRows { announced: first, first, last };
        let scored = Scored {
            grades: vec![None, Some(0.25), Some(0.0), None],
            onsets: Vec::new(),
            events: vec![event(1, Some(2)), event(3, None)],
            memory: 0,
            spent: Duration::ZERO,
        };
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("small/0"), "pumps", "p-1", &scored).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join("small/0/pumps").join(name)).unwrap();
        assert_eq!(read("p-1.csv"), "grade\n\n0.25\n0\n\n");
        assert_eq!(read("p-1.events.csv"), "first,last\n1,2\n3,\n");
    }
}
