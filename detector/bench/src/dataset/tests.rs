use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

const INDEX: &str = "set,series,fields,rows,first_row_that_counts,seconds_per_reading,anomalous_spans
pumps,p-1,2,3,1,60,1
motes,m-1,2,3,0,60,1
";
const ROWS: &str = "micros,label,f000,f001\n0,0,1.5,-2\n60000000,1,,3\n120000000,0,2,1e3\n";

/// Creates a folder with two sets of one series each.
fn folder(index: &str, rows: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.csv"), index).unwrap();
    for (set, series) in [("pumps", "p-1"), ("motes", "m-1")] {
        let set = folder.path().join(set);
        std::fs::create_dir(&set).unwrap();
        let file = File::create(set.join(format!("{series}.csv.gz"))).unwrap();
        let mut encoder = GzEncoder::new(file, Compression::default());
        encoder.write_all(rows.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
    folder
}

#[test]
fn series_are_read_in_the_order_of_the_index() {
    let folder = folder(INDEX, ROWS);
    let all = read(folder.path(), &[]).unwrap();
    assert_eq!(all.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(), ["p-1", "m-1"]);
    let Series { set, start, names, micros, labels, values, .. } = &all[0];
    assert_eq!(
        (set.as_str(), *start, names.as_slice()),
        ("pumps", 1, ["f000", "f001"].map(String::from).as_slice())
    );
    assert_eq!(micros, &[0, 60_000_000, 120_000_000]);
    assert_eq!(labels, &[false, true, false]);
    assert_eq!((values[0], values[1], values[3], values[5]), (1.5, -2.0, 3.0, 1_000.0));
    assert!(values[2].is_nan(), "an empty cell is a missing field");
    assert!((all[0].weeks() - 1.0 / (7.0 * 1_440.0)).abs() < 1e-12);
}

#[test]
fn only_the_given_sets_are_read_and_they_must_exist() {
    let folder = folder(INDEX, ROWS);
    let all = read(folder.path(), &["motes".to_owned()]).unwrap();
    assert_eq!(all.len(), 1);
    assert!(error(folder.path(), &["valves".to_owned()]).contains("has no set `valves`"));
}

#[test]
fn an_error_names_the_file_and_the_line() {
    for (rows, part) in [
        ("micros,label,f000\n0,0,1\n60000000,2,1\n", "line 3: the label is `2`"),
        ("micros,label,f000\n0,0,x\n", "line 2: `x` is not a number"),
        ("micros,label,f000\n0,0,inf\n", "line 2: a value is infinite"),
        ("micros,label,f000\n0.5,0,1\n", "line 2: `0.5` is not a time"),
        ("micros,label,f000\n0,0,1\n", "first row that counts is 1, but there are only 1 rows"),
        ("time,label,f000\n0,0,1\n", "the columns must be micros, label"),
        ("micros,label,f001,f000\n0,0,1,1\n", "must be sorted"),
        ("micros,label\n0,0\n", "at least one field"),
    ] {
        let folder = folder(INDEX, rows);
        let error = error(folder.path(), &["pumps".to_owned()]);
        assert!(error.contains("p-1.csv.gz") && error.contains(part), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(error(empty.path(), &[]).contains("index.csv"));
    let no_column = folder("set,series\npumps,p-1\n", ROWS);
    assert!(error(no_column.path(), &[]).contains("first_row_that_counts"));
}

fn error(folder: &Path, sets: &[String]) -> String {
    format!("{:#}", read(folder, sets).unwrap_err())
}
