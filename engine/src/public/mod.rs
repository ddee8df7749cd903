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
# What is public as of the last release: docs/upgrade.md says what that means. `make release` writes
# this file. A change of it must be named in the section \"Unreleased\" of CHANGELOG.md, or a test
# fails.
";

/// A line of each source that the list is read from. One that is missing has been written in
/// another way, which `listing` must learn.
const KNOWN: [&str; 10] = [
    "command run: ",
    "config queue.partitions = 64",
    "http /api/anomalies GET",
    "http /metrics GET",
    "http /readyz HEAD",
    "metric thicket_build_info gauge version revision",
    "metric thicket_ingest_to_commit_seconds histogram",
    "metric thicket_notifications_waiting gauge route",
    "metric thicket_readings_stored_total counter",
    "view reading_values.sensor text",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the changes since the list of a release that the section "Unreleased" does not name.
fn unnamed(released: &str, now: &BTreeSet<String>, unreleased: &str) -> Vec<String> {
    let released: BTreeSet<String> =
        released.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    released
        .symmetric_difference(now)
        .filter(|line| !changelog::names(unreleased, line))
        .map(|line| format!("{} {line}", if now.contains(line) { "+" } else { "-" }))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_what_is_public_is_named_in_the_changelog() {
    let now = listing::listing(&root()).await;
    for line in KNOWN {
        assert!(now.contains(line), "the list lacks `{line}`");
    }
    let path = root().join("docs/public.txt");
    if std::env::var_os(WRITE).is_some() {
        let lines: Vec<&str> = now.iter().map(String::as_str).collect();
        let release = concat!("# release: ", env!("CARGO_PKG_VERSION"));
        std::fs::write(&path, format!("{HEADER}{release}\n{}\n", lines.join("\n"))).unwrap();
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let changes = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let unnamed = unnamed(&text, &now, changelog::unreleased(&changes));
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

#[test]
fn a_change_of_each_kind_is_noticed_unless_the_changelog_names_it() {
    let released = "# release: 0.1.0\n\
        command status: \n\
        command status: --json\n\
        config mqtt.reorder = \"0s\"\n\
        http /readyz GET\n\
        metric thicket_readings_stored_total counter broker\n\
        version checkpoint = 2\n\
        version entry = 1\n\
        view scores.onset real\n";
    let now: BTreeSet<String> =
        released.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    assert!(unnamed(released, &now, "").is_empty());
    for (before, after, named) in [
        ("command status: --json", "", "`--json` is gone"),
        ("command status: ", "command state: ", "`thicket status` is now `thicket state`"),
        ("config mqtt.reorder = \"0s\"", "config mqtt.reorder = \"1s\"", "`mqtt.reorder` is a second"),
        ("http /readyz GET", "http /ready GET", "`/readyz` is now `/ready`"),
        (
            "metric thicket_readings_stored_total counter broker",
            "metric thicket_readings_stored_total counter",
            "`thicket_readings_stored_total` has no label",
        ),
        ("version checkpoint = 2", "version checkpoint = 3", "the version of a `checkpoint` is 3"),
        ("version entry = 1", "version entry = 2", "the version of an `entry` is 2"),
        ("view scores.onset real", "", "`scores.onset` is gone"),
    ] {
        let mut changed = now.clone();
        assert!(changed.remove(before), "{before}");
        if !after.is_empty() {
            changed.insert(after.to_owned());
        }
        let differences = unnamed(released, &changed, "`other`");
        assert_eq!(differences.len(), 1 + usize::from(!after.is_empty()), "{differences:?}");
        assert!(unnamed(released, &changed, named).is_empty(), "{before}: {named}");
    }
}
