//! The previous release: its sources, and its binary, which is built from them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::support::BINARY;

/// The variable that names another tag or commit than the newest tag.
const GIVEN: &str = "UPGRADE_FROM";

/// The files that a binary is not built from, as patterns of git.
const NO_SOURCES: [&str; 4] = [".", ":(exclude,glob)**/*.md", ":(exclude)docs", ":(exclude)dist"];

/// The versions of what is stored: the file, and the text before the number.
const VERSIONS: [(&str, &str); 3] = [
    ("schema/src/entry/layout.rs", "const VERSION: u8 ="),
    ("schema/src/checkpoint.rs", "const VERSION: u16 ="),
    ("detector/src/config.rs", "pub const ALGORITHM: u32 ="),
];

/// Held while a release is built: several tests need it.
static BUILD: Mutex<()> = Mutex::new(());

/// A release that is upgraded.
pub(super) struct Previous {
    pub(super) binary: PathBuf,
    sources: PathBuf,
}

impl Previous {
    /// Returns the newest release up to this commit, or the tag or commit that `UPGRADE_FROM`
    /// names, built. Returns why there is none as an error.
    ///
    /// # Panics
    /// If the release cannot be built.
    pub(super) fn get() -> Result<Self, String> {
        let name = match std::env::var(GIVEN) {
            Ok(name) => name,
            Err(_) => newest_tag()?,
        };
        let commit = git(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
            .ok_or_else(|| format!("{name} is not in this clone"))?;
        // Right after a release, this build is that of the release.
        if git(&[&["diff", "--quiet", commit.as_str(), "--"], NO_SOURCES.as_slice()].concat()).is_some() {
            return Ok(Self { binary: PathBuf::from(BINARY), sources: root() });
        }
        // The binary under test is in TARGET/PROFILE.
        let target = Path::new(BINARY).ancestors().nth(2).unwrap();
        let folder = target.join("previous").join(&commit[..12]);
        let previous = Self { binary: folder.join("debug/thicket"), sources: folder.join("sources") };
        let _building = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
        if !previous.binary.exists() {
            previous.unpack(&commit, &folder);
            previous.build(target, &folder, &commit);
        }
        Ok(previous)
    }

    fn unpack(&self, commit: &str, folder: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(&self.sources).unwrap();
        let archive = folder.join("sources.tar");
        git(&["archive", "--output", archive.to_str().unwrap(), commit]).unwrap();
        // `--touch`: the sources are newer than what was compiled from those of another release.
        let unpacked = Command::new("tar")
            .args(["--extract", "--touch", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(&self.sources)
            .status();
        assert!(unpacked.unwrap().success(), "{} cannot be unpacked", archive.display());
    }

    /// Builds the binary. Crates of others are taken from the build directory of this test, as far
    /// as they are the same: `--workspace` gives them the features that they have there.
    ///
    /// The names of compiled crates do not contain the path of their sources. The crates of the
    /// workspace are therefore compiled with another profile than those of this test: otherwise
    /// Cargo would take this build's crates for those of the previous release.
    fn build(&self, target: &Path, folder: &Path, commit: &str) {
        let mut command = Command::new("cargo");
        command.args(["build", "--quiet", "--locked", "--workspace", "--bin", "thicket"]);
        for member in members(&self.sources) {
            command.arg("--config").arg(format!("profile.dev.package.{member}.debug=0"));
        }
        let built = command
            .arg("--target-dir")
            .arg(folder)
            .env("CARGO_BUILD_BUILD_DIR", target)
            .env("THICKET_REVISION", commit)
            .current_dir(&self.sources)
            .status();
        assert!(built.unwrap().success(), "{} cannot be built", self.sources.display());
    }

    /// Whether an engine of the previous release can go on with what this build has stored:
    /// docs/upgrade.md, "How to go back".
    ///
    /// # Panics
    /// If a version is not found in this tree.
    pub(super) fn can_go_back(&self) -> bool {
        let now = VERSIONS.map(|(file, start)| {
            let version = version(&root(), file, start);
            assert!(version.is_some(), "{file} has no text `{start}`: VERSIONS is out of date");
            version
        });
        now == VERSIONS.map(|(file, start)| version(&self.sources, file, start))
    }
}

/// Returns the names of the crates of a workspace.
fn members(sources: &Path) -> Vec<String> {
    let output = Command::new("cargo")
        .args(["metadata", "--locked", "--no-deps", "--format-version", "1"])
        .current_dir(sources)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

/// Returns a version of what is stored; `None` if these sources do not have it at this place.
fn version(sources: &Path, file: &str, start: &str) -> Option<String> {
    let text = std::fs::read_to_string(sources.join(file)).ok()?;
    let (_, rest) = text.split_once(start)?;
    Some(rest.split_once(';')?.0.trim().to_owned())
}

fn newest_tag() -> Result<String, String> {
    let tags = git(&["tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname"])
        .ok_or("these sources are no clone of a repository")?;
    if let Some(tag) = tags.lines().next() {
        return Ok(tag.to_owned());
    }
    let is_shallow = git(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true");
    Err(if is_shallow {
        "this clone is shallow and has no tag v* (git fetch --unshallow --tags)".to_owned()
    } else {
        format!("there is no tag v* before this commit, and {GIVEN} names none")
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs git in this clone, and returns what it printed if it succeeded.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root()).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
