//! `dist/release` in a clone of the repository, without the checks that take long: what it refuses,
//! what it changes, and that a dry run changes nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const VERSION: &str = "9.9.9";

struct Clone {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Clone {
    /// Returns `None` if these sources are no clone.
    fn new() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clone");
        let cloned = Command::new("git").args(["clone", "--quiet"]).arg(root).arg(&path).output().ok()?;
        cloned.status.success().then_some(Self { _folder: folder, path })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "test").env(format!("GIT_{who}_EMAIL"), "test@localhost");
        }
        command.args(arguments).current_dir(&self.path).output().unwrap()
    }

    fn release(&self, arguments: &[&str]) -> Output {
        self.run("dist/release", &[&[VERSION, "--without-checks"], arguments].concat())
    }

    fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run("git", arguments).stdout).unwrap().trim().to_owned()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path.join(file)).unwrap()
    }

    /// Commits an entry of the section "Unreleased", which is empty after a release.
    fn name_a_change(&self) {
        let heading = "## Unreleased\n";
        let changes = self.read("CHANGELOG.md").replacen(heading, &format!("{heading}\n- A change.\n"), 1);
        std::fs::write(self.path.join("CHANGELOG.md"), changes).unwrap();
        let committed = self.run("git", &["commit", "--quiet", "--all", "--message", "A change"]);
        assert!(committed.status.success(), "{}", said(&committed));
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_release_sets_versions_and_a_tag_and_a_dry_run_changes_nothing() {
    let Some(clone) = Clone::new() else {
        thicket_testkit::skipped("the release", "these sources are no clone of a repository");
        return;
    };
    clone.name_a_change();
    let head = clone.git(&["rev-parse", "HEAD"]);
    let changed = clone.path.join("changed");
    std::fs::write(&changed, "").unwrap();
    let refused = clone.release(&[]);
    assert!(!refused.status.success() && said(&refused).contains("not committed"), "{}", said(&refused));
    std::fs::remove_file(changed).unwrap();

    let dry = clone.release(&[]);
    assert!(dry.status.success() && said(&dry).contains("dry run"), "{}", said(&dry));
    assert_eq!(clone.git(&["rev-parse", "HEAD"]), head);
    assert_eq!(clone.git(&["tag", "--list", "v9*"]), "");
    assert_eq!(clone.git(&["worktree", "list"]).lines().count(), 1);

    let made = clone.release(&["--commit"]);
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(clone.git(&["tag", "--points-at", "HEAD"]), format!("v{VERSION}"));
    assert_eq!(clone.git(&["rev-parse", "HEAD~"]), head);
    assert_eq!(clone.git(&["status", "--porcelain"]), "");
    let manifest = clone.read("Cargo.toml");
    assert!(manifest.contains(&format!("\nversion = \"{VERSION}\"")), "{manifest}");
    assert!(manifest.contains(&format!("rrcf-rs = {{ path = \"rrcf\", version = \"{VERSION}\" }}")));
    let changes = clone.read("CHANGELOG.md");
    let [unreleased, released] =
        ["\n## Unreleased\n", &format!("\n## {VERSION} - ")].map(|heading| changes.find(heading).unwrap());
    assert!(unreleased < released);
    let sums = clone.read("schema/released.sha256");
    assert!(sums.contains("/up.sql\n") && sums.contains("/down.sql\n"), "{sums}");
    let previous = env!("CARGO_PKG_VERSION");
    let left = clone.git(&["grep", "--line-number", "--fixed-strings", previous, "--", "compose"]);
    assert_eq!(left, "", "the release still names {previous}");
    let locked = clone.run("cargo", &["tree", "--workspace", "--depth", "0", "--locked", "--offline"]);
    assert!(locked.status.success(), "{}", said(&locked));

    let twice = clone.release(&[]);
    assert!(!twice.status.success() && said(&twice).contains("exists already"), "{}", said(&twice));
}
