//! Finds the binary `thicket`, which the demo starts.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

const NAME: &str = "thicket";
const HOW_TO_BUILD: &str = "build it with: cargo build --release -p thicket";

/// Returns the path of the engine's binary: `given`, or the one beside this executable, or the
/// first one on `PATH`.
pub(super) fn find(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        return require_file(path);
    }
    let this_executable = env::current_exe().context("the path of this executable is unknown")?;
    let path_directories = env::var_os("PATH").unwrap_or_default();
    search(&this_executable, env::split_paths(&path_directories))
}

/// Returns the absolute path of a binary that the user named.
fn require_file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is not the engine's binary; {HOW_TO_BUILD}", path.display());
    }
    Ok(path.canonicalize()?)
}

fn search(
    this_executable: &Path,
    path_directories: impl Iterator<Item = PathBuf>,
) -> anyhow::Result<PathBuf> {
    let sibling = this_executable.with_file_name(NAME);
    let on_path = path_directories.map(|directory| directory.join(NAME));
    let Some(found) = std::iter::once(sibling.clone()).chain(on_path).find(|path| path.is_file()) else {
        bail!(
            "the engine's binary is missing: there is no {}, and no {NAME} on PATH; {HOW_TO_BUILD}, or name it \
             with --engine",
            sibling.display()
        );
    };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_beside_this_executable_comes_before_those_on_path() {
        let folder = tempfile::tempdir().unwrap();
        let [bin, other] = ["bin", "other"].map(|name| folder.path().join(name));
        for directory in [&bin, &other] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("thicket"), "").unwrap();
        }
        let executable = bin.join("thicket-loadtest");
        let find = || search(&executable, [folder.path().to_owned(), other.clone()].into_iter());
        assert_eq!(find().unwrap(), bin.join("thicket"));
        std::fs::remove_file(bin.join("thicket")).unwrap();
        assert_eq!(find().unwrap(), other.join("thicket"));
    }

    #[test]
    fn a_missing_binary_says_how_to_build_it() {
        let folder = tempfile::tempdir().unwrap();
        let executable = folder.path().join("thicket-loadtest");
        let error = search(&executable, std::iter::empty()).unwrap_err().to_string();
        assert!(error.contains("cargo build --release -p thicket") && error.contains("--engine"), "{error}");
        let error = find(Some(&folder.path().join("thicket"))).unwrap_err().to_string();
        assert!(error.contains("cargo build --release -p thicket"), "{error}");
    }
}
