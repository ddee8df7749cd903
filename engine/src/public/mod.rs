//! What is public, and therefore under Semantic Versioning: configuration, views, metrics, command
//! line, HTTP, and the versions of what is stored. `docs/public.txt` lists it as of the last
//! release. A test compares, and fails if something changed that CHANGELOG.md does not name.
//!
//! - `listing`: reads the list from this build.
//! - `changelog`: whether the section "Unreleased" names a change.

mod changelog;
mod listing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The variable that makes the test write `docs/public.txt`. `make release` sets it.
const WRITE: &str = "THICKET_PUBLIC_WRITE";

/// The line of a list that is not that of a release yet. Before the first release, the test only
/// shows what changed.
const UNRELEASED: &str = "# release: none";

const HEADER: &str = "\
# What is public as of the last release: docs/upgrade.md says what that means. `make release` writes this file.
# A change of it must be named in the section \"Unreleased\" of CHANGELOG.md, or a test fails.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_what_is_public_is_named_in_the_changelog() {
    let now = listing::listing(&root()).await;
    let path = root().join("docs/public.txt");
    if std::env::var_os(WRITE).is_some() {
        let lines: Vec<&str> = now.iter().map(String::as_str).collect();
        let release = concat!("# release: ", env!("CARGO_PKG_VERSION"));
        std::fs::write(&path, format!("{HEADER}{release}\n{}\n", lines.join("\n"))).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let released: BTreeSet<String> =
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let changes = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let unreleased = changelog::unreleased(&changes);
    let unnamed: Vec<String> = released
        .symmetric_difference(&now)
        .filter(|line| !changelog::names(unreleased, line))
        .map(|line| format!("{} {line}", if now.contains(line) { "+" } else { "-" }))
        .collect();
    if text.lines().any(|line| line == UNRELEASED) {
        crate::terminal::errln!("skipped: there is no release yet; changed and not named: {unnamed:?}");
        return;
    }
    assert!(
        unnamed.is_empty(),
        "these public things changed (+ new, - gone), and the section \"Unreleased\" of CHANGELOG.md does not name \
         them; add a line that contains the name in `backticks`:\n{}",
        unnamed.join("\n")
    );
}
