//! The revision of the sources, as git knows it. Part of the build script, and tested with the
//! program.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the revision of a folder: the first 12 digits of its commit, and `-modified` if tracked
/// files differ from the commit. `None` without git, or outside a repository.
pub(crate) fn of(folder: &Path) -> Option<String> {
    let commit = git(folder, &["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    let modified = if changes.is_empty() { "" } else { "-modified" };
    Some(format!("{commit}{modified}"))
}

/// Returns the files and folders on which the revision depends.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let git_files = ["HEAD", "index", "logs/HEAD"];
    let git_files = git_files.iter().filter_map(|file| {
        let path = git(folder, &["rev-parse", "--git-path", file])?;
        Some(folder.join(path))
    });
    let sources =
        ["actors", "codecs", "connect", "detector", "engine", "protocol", "rrcf", "schema", "store"];
    let sources = sources.iter().map(|name| folder.join(name).join("src"));
    git_files.chain(sources).filter(|path| path.exists()).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
