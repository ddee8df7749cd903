use std::{fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

use super::*;

fn small(seed: u64) -> SynthOptions {
    SynthOptions { seed, clips_per_class: 2, sample_rate: 8_000 }
}

fn no_progress(_: SynthProgress) {}

/// Returns the relative paths and the contents of all files under a folder.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["a", "b", "c"].map(|name| root.path().join(name));
    for (folder, seed) in folders.iter().zip([1, 1, 2]) {
        let outcome = write(folder, &small(seed), no_progress).unwrap();
        assert_eq!(outcome, SynthOutcome::Written { clips: 20 });
    }
    let [first, second, third] = folders.map(|folder| contents(&folder));
    assert!(first == second);
    assert!(first != third);
}

#[test]
fn the_bytes_of_a_seed_are_pinned() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &small(1), no_progress).unwrap();
    let mut hasher = Sha256::new();
    for (path, bytes) in contents(root.path()) {
        hasher.update(path.to_str().unwrap());
        hasher.update(bytes);
    }
    let hash = format!("{:x}", hasher.finalize());
    assert_eq!(
        hash, "100749b551ae75b32db88c60ca516e75a0bde7a1ff3d4aa37199fd6b88f50c96",
        "a recipe changed: raise folder::GENERATOR, then pin the new hash"
    );
}

#[test]
fn the_layout_is_that_of_the_data_set() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &small(1), no_progress).unwrap();
    let table = fs::read_to_string(root.path().join("metadata/UrbanSound8K.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("slice_file_name,fsID,start,end,salience,fold,classID,class"));
    let mut rows = 0;
    for line in lines {
        let columns: Vec<&str> = line.split(',').collect();
        let path = root.path().join(format!("audio/fold{}/{}", columns[5], columns[0]));
        let reader = hound::WavReader::open(&path).unwrap();
        let seconds: f64 = columns[3].parse::<f64>().unwrap() - columns[2].parse::<f64>().unwrap();
        assert!((f64::from(reader.duration()) / 8_000.0 - seconds).abs() < 1e-3, "{line}");
        rows += 1;
    }
    assert_eq!(rows, 20);
    for fold in 1..=10 {
        assert!(root.path().join(format!("audio/fold{fold}")).is_dir());
    }
}

#[test]
fn progress_counts_every_clip_up_to_the_total() {
    let root = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    write(root.path(), &small(1), |progress| seen.push(progress)).unwrap();
    assert_eq!(seen.len(), 21);
    assert!(seen.iter().enumerate().all(|(n, progress)| progress.written == n && progress.total == 20));
}

#[test]
fn a_finished_data_set_is_left_alone_and_an_interrupted_one_completed() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &small(1), no_progress).unwrap();
    let whole = contents(root.path());
    let touched = |_: SynthProgress| panic!("nothing should have been written");
    assert_eq!(write(root.path(), &small(1), touched).unwrap(), SynthOutcome::AlreadyThere { clips: 20 });

    let marker = root.path().join("thicket-synth.json");
    let text = fs::read_to_string(&marker).unwrap().replace("\"complete\": true", "\"complete\": false");
    fs::write(&marker, text).unwrap();
    fs::remove_file(root.path().join("metadata/UrbanSound8K.csv")).unwrap();
    assert_eq!(write(root.path(), &small(1), no_progress).unwrap(), SynthOutcome::Written { clips: 20 });
    assert!(contents(root.path()) == whole);
}

#[test]
fn a_folder_with_other_contents_is_refused_untouched() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("diary.txt"), "dear").unwrap();
    let error = write(root.path(), &small(1), no_progress).unwrap_err();
    assert!(matches!(error, SynthError::Foreign { .. }), "{error}");
    assert_eq!(contents(root.path()).len(), 1);

    let other = tempfile::tempdir().unwrap();
    write(other.path(), &small(1), no_progress).unwrap();
    let error = write(other.path(), &small(2), no_progress).unwrap_err();
    assert!(error.to_string().contains("seed 1, 2 clips per class, 8000 Hz"), "{error}");
}

#[test]
fn senseless_options_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let none = SynthOptions { clips_per_class: 0, ..small(1) };
    assert!(matches!(write(root.path(), &none, no_progress), Err(SynthError::NoClips)));
    let slow = SynthOptions { sample_rate: 4_000, ..small(1) };
    assert!(matches!(write(root.path(), &slow, no_progress), Err(SynthError::BadRate(4_000))));
}
