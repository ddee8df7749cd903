//! The files with secrets that the configuration names. `thicket check` and the start of the engine
//! warn of those that every user of the machine can read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::root::Config;

/// Where containers get their secrets. The files there are often readable for everybody, because
/// the user of the container is not their owner. Only the container sees the folder.
const OF_CONTAINERS: &str = "/run/secrets";

/// A file with a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretFile {
    /// The key or the variable that names it.
    key: String,
    path: PathBuf,
}

impl SecretFile {
    /// Returns the file of a secret, such as `password`. `None` if a key of this name is no secret.
    pub(super) fn of_secret(secret: &str, key: &str, path: &str) -> Option<Self> {
        let has_secret = secret == "url" || is_secret(secret);
        has_secret.then(|| Self { key: key.to_owned(), path: path.into() })
    }

    /// Returns a warning if every user of the machine can read the file.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { key, path } = self;
        is_readable_by_all(path).then(|| {
            format!(
                "{key}: every user of this machine can read {}; take the right from others (chmod o-r)",
                path.display()
            )
        })
    }
}

/// Whether the value of a key is a secret, by the name of the key. The path of a file is none. A URL
/// is a secret only in part.
pub(crate) fn is_secret(name: &str) -> bool {
    !name.ends_with("_file") && ["password", "token", "secret"].iter().any(|part| name.contains(part))
}

/// Returns the files whose paths are values of the configuration: tokens and private keys.
pub(super) fn of_paths(config: &Config) -> Vec<SecretFile> {
    let Config { http, redis, postgres, .. } = config;
    let brokers = config.mqtt.iter().map(|mqtt| {
        let key = format!("{}.tls.key", mqtt.place());
        (key, PathBuf::from(&mqtt.broker.tls.key))
    });
    let others = [
        ("redis.tls.key", redis.tls.key.clone().into()),
        ("postgres.tls.key", postgres.server().private_key().unwrap_or_default()),
        ("http.tls.key", http.tls.key.clone()),
        ("http.read_token_file", http.read_token_file.clone()),
        ("http.operate_token_file", http.operate_token_file.clone()),
    ];
    let all = brokers.chain(others.map(|(key, path)| (key.to_owned(), path)));
    all.filter(|(_, path)| !path.as_os_str().is_empty()).map(|(key, path)| SecretFile { key, path }).collect()
}

/// Whether every user can read a file, and enter the folders that lead to it.
fn is_readable_by_all(file: &Path) -> bool {
    const READ: u32 = 0o4;
    const ENTER: u32 = 0o1;
    let Ok(file) = file.canonicalize() else { return false };
    let allows =
        |path: &Path, right| path.metadata().is_ok_and(|found| found.permissions().mode() & right != 0);
    !file.starts_with(OF_CONTAINERS)
        && allows(&file, READ)
        && file.ancestors().skip(1).all(|folder| allows(folder, ENTER))
}
