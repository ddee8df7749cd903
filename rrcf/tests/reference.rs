//! Compares the forest with reference values of the original implementation: see
//! tests/reference/README.md.

mod support;

use std::path::{Path, PathBuf};

use support::Case;

/// Independent trees per case.
const TREES: usize = 20_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn read(name: &str) -> Case {
    Case::read(&folder().join(name).with_extension("json")).expect("the case is readable")
}

#[test]
fn every_case_agrees_with_the_original_implementation() {
    let mut cases = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let case = Case::read(&path).unwrap();
            let comparison = case.compare(TREES);
            assert!(comparison.agrees(), "{}: {comparison}", case.name);
            cases += 1;
        }
    }
    assert!(cases >= 7, "only {cases} reference cases are left");
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
