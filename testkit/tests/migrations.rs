//! A released migration never changes, because databases have run it. `make release` writes the
//! checksums of all migrations into `schema/released.sha256`. From then on, another schema is a new
//! migration.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const LIST: &str = "schema/released.sha256";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn lines(list: &str) -> BTreeSet<&str> {
    list.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn released_migrations_have_not_changed() {
    let list = std::fs::read_to_string(root().join(LIST)).unwrap();
    if lines(&list).is_empty() {
        return;
    }
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet"])
        .arg(root().join(LIST).canonicalize().unwrap())
        .current_dir(root().join("schema"))
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "a released migration has changed; undo that, and write a new migration:\n{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

/// The list only grows: each line of the newest release is still in it.
#[test]
fn the_list_of_released_migrations_keeps_its_lines() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root()).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let tags = git(&["tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname"]).unwrap_or_default();
    let Some(tag) = tags.lines().next() else { return };
    let Some(then) = git(&["show", &format!("{tag}:{LIST}")]) else { return };
    let now = std::fs::read_to_string(root().join(LIST)).unwrap();
    let gone: Vec<_> = lines(&then).difference(&lines(&now)).copied().collect();
    assert!(gone.is_empty(), "{LIST} lacks lines that {tag} has: {gone:?}");
}
