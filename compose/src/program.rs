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

/// Returns the Debian packages of the servers that an engine needs and that are not installed.
pub fn missing_packages() -> Vec<&'static str> {
    let servers = [
        find("redis-server", "redis-server"),
        find("mosquitto", "mosquitto"),
        postgres_binaries(None),
        find("setpriv", "util-linux"),
    ];
    let package = |found: Result<PathBuf, Error>| match found {
        Err(Error::NotInstalled { package, .. }) => Some(package),
        _ => None,
    };
    servers.into_iter().filter_map(package).collect()
}

/// Finds the directory with `postgres` and `initdb`: of PostgreSQL `version` if it is installed,
/// else of the newest. Debian keeps them off `PATH`, in one directory per version.
pub(crate) fn postgres_binaries(version: Option<u32>) -> Result<PathBuf, Error> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(POSTGRES_VERSIONS)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let directory = entry.ok()?.path();
            let version = directory.file_name()?.to_str()?.parse().ok()?;
            Some((version, directory.join("bin")))
        })
        .collect();
    versions.sort_by_key(|(found, _)| (Some(*found) != version, std::cmp::Reverse(*found)));
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
