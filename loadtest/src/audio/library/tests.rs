use std::fs;

use super::*;
use crate::synth::{self, SynthOptions};

const SMALL: SynthOptions = SynthOptions { seed: 1, clips_per_class: 3, sample_rate: 8_000 };

fn data_set() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    synth::write(folder.path(), &SMALL, |_| {}).unwrap();
    folder
}

fn load(folder: &Path) -> Result<Library, LibraryError> {
    Library::load(folder, &LoadOptions::default(), |_, _| {})
}

#[test]
fn all_clips_of_a_synthetic_data_set_are_usable() {
    let folder = data_set();
    let library = load(folder.path()).unwrap();
    assert!(library.skipped().is_empty(), "{:?}", library.skipped());
    for class in SoundClass::ALL {
        assert_eq!(library.clips(class).len(), 3, "{class}");
        for clip in library.clips(class) {
            assert!((1..=4).contains(&clip.frames.len()) && clip.weighted_power > 0.0, "{}", clip.name);
        }
    }
}

#[test]
fn the_folder_above_is_accepted_as_the_archive_unpacks() {
    let above = tempfile::tempdir().unwrap();
    synth::write(&above.path().join("UrbanSound8K"), &SMALL, |_| {}).unwrap();
    assert_eq!(load(above.path()).unwrap().iter().count(), 30);
}

#[test]
fn fewer_clips_can_be_asked_for_and_the_choice_is_stable() {
    let folder = data_set();
    let options = LoadOptions { clips_per_class: 1, ..LoadOptions::default() };
    let names = || -> Vec<String> {
        let library = Library::load(folder.path(), &options, |_, _| {}).unwrap();
        library.iter().map(|clip| clip.name.clone()).collect()
    };
    assert_eq!(names().len(), 10);
    assert_eq!(names(), names());
    let library = Library::load(folder.path(), &options, |_, _| {}).unwrap();
    assert!(library.iter().all(|clip| clip.foreground));
}

#[test]
fn unusable_files_are_skipped_with_their_reasons() {
    let folder = data_set();
    let fold = folder.path().join("audio/fold1");
    let mut files: Vec<PathBuf> = fs::read_dir(&fold).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    fs::write(&files[0], "not a sound").unwrap();
    fs::remove_file(&files[1]).unwrap();
    let library = load(folder.path()).unwrap();
    let mut skipped: Vec<&str> = library.skipped().iter().map(|file| file.name.as_str()).collect();
    skipped.sort_unstable();
    let broken: Vec<&str> =
        files[..2].iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(skipped, broken);
    assert_eq!(library.skip_reasons().values().sum::<usize>(), 2);
    assert!(
        library.skip_reasons().keys().any(|reason| reason.contains("RIFF")),
        "{:?}",
        library.skip_reasons()
    );
}

#[test]
fn a_folder_without_a_data_set_says_how_to_get_one() {
    let empty = tempfile::tempdir().unwrap();
    let error = load(empty.path()).unwrap_err().to_string();
    assert!(
        error.contains("metadata/UrbanSound8K.csv") && error.contains("thicket-loadtest synth"),
        "{error}"
    );
}

#[test]
fn a_data_set_without_sounds_is_refused() {
    let folder = data_set();
    fs::remove_dir_all(folder.path().join("audio")).unwrap();
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error, LibraryError::NothingUsable { skipped: 30, .. }), "{error}");
}

#[test]
fn progress_ends_at_the_total() {
    let folder = data_set();
    let mut last = (0, 0);
    Library::load(folder.path(), &LoadOptions::default(), |done, total| last = (done, total)).unwrap();
    assert_eq!(last, (30, 30));
}
