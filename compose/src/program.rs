//! Finds the servers that the distribution has installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::error::Error;

/// Directories that may contain servers but are not always on a user's `PATH`.
const SYSTEM: [&str; 4] = ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"];
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// Finds an executable on `PATH` or in the system's directories. `package` is named in the error.
pub(crate) fn find(program: &str, package: &'static str) -> Result<PathBuf, Error> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&path).chain(SYSTEM.iter().map(PathBuf::from));
    first_with(directories, program)
        .ok_or_else(|| Error::NotInstalled { program: program.to_owned(), package })
}

/// Finds the directory of the newest PostgreSQL with `postgres` and `initdb`. Debian keeps them off
/// `PATH`, in one directory per version.
pub(crate) fn postgres_binaries() -> Result<PathBuf, Error> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(POSTGRES_VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let directory = entry.ok()?.path();
            let version = directory.file_name()?.to_str()?.parse().ok()?;
            Some((version, directory.join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let complete =
        |directory: &PathBuf| ["postgres", "initdb"].iter().all(|name| is_executable(&directory.join(name)));
    if let Some((_, directory)) = versions.into_iter().find(|(_, directory)| complete(directory)) {
        return Ok(directory);
    }
    let initdb = find("initdb", "postgresql")?;
    Ok(initdb.parent().unwrap_or(Path::new("/")).to_path_buf())
}

fn first_with(directories: impl Iterator<Item = PathBuf>, program: &str) -> Option<PathBuf> {
    directories.map(|directory| directory.join(program)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
