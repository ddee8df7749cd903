//! The log lines that tests wait for are still in the source.

use std::path::Path;

use thicket_testkit::log_lines::ALL;

#[test]
fn every_log_line_that_a_test_waits_for_is_in_the_file_that_prints_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let is_missing = |(text, source): &(&str, &str)| {
        let code = std::fs::read_to_string(root.join(source)).unwrap_or_default();
        !code.contains(text)
    };
    let lines = ALL.iter().filter_map(|line| Some((line.text, line.source?)));
    let missing: Vec<_> = lines.filter(is_missing).collect();
    assert!(missing.is_empty(), "not in the source any more: {missing:#?}");
}
