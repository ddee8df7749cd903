//! The forest against reference values of the original implementation: tests/reference/README.md.

mod support;

use std::path::{Path, PathBuf};

use support::Case;

/// Independent trees per case.
const TREES: usize = 20_000;

fn reference_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|it| it == "json")).collect();
    files.sort();
    files
}

fn read(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    Case::read(&folder.join(name).with_extension("json")).unwrap()
}

#[test]
fn every_case_agrees_with_the_original_implementation() {
    let files = reference_files();
    assert!(files.len() >= 7, "reference cases are missing: {files:?}");
    for file in files {
        let case = Case::read(&file).unwrap();
        let comparison = case.compare(TREES);
        assert!(comparison.agrees(), "{}: {comparison}", case.name);
    }
}

#[test]
fn shingles_formed_inside_agree_with_shingles_given() {
    let case = read("sine_shingle_4");
    let comparison = case.compare_fed(TREES, &case.raw_series(), 4);
    assert!(comparison.agrees(), "{comparison}");
}

#[test]
fn a_case_that_is_off_is_noticed() {
    let mut case = read("gaussian_1d");
    case.distort(1.02);
    assert!(!case.compare(TREES).agrees());
}
