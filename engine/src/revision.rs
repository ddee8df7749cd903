//! The version of the program and the revision of its sources.

/// The version with the revision, such as `0.1.0 (1a2b3c4d5e6f)`.
pub(crate) const VERSION: &str = env!("BUILD_VERSION");

/// The revision of the sources, such as `1a2b3c4d5e6f`.
pub(crate) const REVISION: &str = env!("BUILD_REVISION");

#[cfg(test)]
#[path = "../build/revision.rs"]
mod script;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::script;

    fn git(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        let output =
            Command::new("git").arg("-C").arg(folder).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    #[test]
    fn the_revision_is_the_commit_and_says_if_files_are_modified() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(script::of(folder.path()), None, "no repository");
        git(folder.path(), &["init", "-q"]);
        assert_eq!(script::of(folder.path()), None, "no commit");
        std::fs::write(folder.path().join("a"), "1").unwrap();
        git(folder.path(), &["add", "a"]);
        git(folder.path(), &["commit", "-q", "-m", "a"]);
        let clean = script::of(folder.path()).unwrap();
        assert!(clean.len() == 12 && clean.bytes().all(|digit| digit.is_ascii_hexdigit()), "{clean}");
        std::fs::write(folder.path().join("a"), "2").unwrap();
        assert_eq!(script::of(folder.path()).unwrap(), format!("{clean}-modified"));
        assert!(script::files(folder.path()).len() >= 2);
    }
}
