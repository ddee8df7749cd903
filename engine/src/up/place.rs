//! The data directory of a deployment, and its files.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::shell_words::quoted_if_needed;

/// The data directory if root starts the deployment. PostgreSQL does not run as root, and its
/// account cannot enter the home directory of root.
const OF_ROOT: &str = "/var/lib/thicket-up";

/// The names of the log files, in the order in which they are shown.
const LOGS: [&str; 5] =
    ["up.log", "engine/engine.log", "mosquitto/mosquitto.log", "redis/redis.log", "postgres/postgres.log"];

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    directory: PathBuf,
}

impl Place {
    /// Returns the data directory that the user names, or the default one. Creates no file.
    pub(crate) fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        let directory = match named {
            Some(directory) => std::path::absolute(directory)?,
            None => default_directory()?,
        };
        Ok(Self { directory })
    }

    /// Creates the directory if it is missing. Other users may enter it, because PostgreSQL may run
    /// as another user, but not list it.
    pub(super) fn create(&self) -> anyhow::Result<()> {
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&self.directory);
        let cannot = || {
            format!("cannot write into {}; name a directory of yours with --data", self.directory.display())
        };
        made.with_context(cannot)?;
        // A directory that others have made may be one that this user cannot write.
        rustix::fs::access(&self.directory, rustix::fs::Access::WRITE_OK).with_context(cannot)
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the flag that names the directory to other commands, as words of the shell. It is
    /// empty for the default directory.
    pub(super) fn flag(&self) -> String {
        let is_default = default_directory().is_ok_and(|default| default == self.directory);
        if is_default {
            String::new()
        } else {
            format!(" --data {}", quoted_if_needed(&self.directory.display().to_string()))
        }
    }

    /// Returns the configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("thicket.toml")
    }

    /// Returns the configuration file of an import that has not ended.
    pub(super) fn import_config(&self) -> PathBuf {
        self.directory.join("thicket.toml.importing")
    }

    /// Fails if an import into the directory has not ended.
    pub(super) fn refuse_half_import(&self) -> anyhow::Result<()> {
        if self.import_config().exists() && !self.config().exists() {
            let directory = self.directory.display();
            bail!("an import into {directory} has not ended; repeat it, or delete the directory");
        }
        Ok(())
    }

    /// Returns the file with the ports of the last start.
    pub(super) fn ports(&self) -> PathBuf {
        self.directory.join("ports.json")
    }

    /// Returns the file with the password of the engine at every server.
    pub(super) fn password(&self) -> PathBuf {
        self.directory.join("password")
    }

    /// Returns the file with the password of devices at Mosquitto.
    pub(super) fn device_password(&self) -> PathBuf {
        self.directory.join("device-password")
    }

    /// Returns the directory with the options of `mosquitto_pub` and `mosquitto_sub`.
    pub(super) fn clients(&self) -> PathBuf {
        self.directory.join("clients")
    }

    /// Returns the file that the supervising process locks, and the file with its record.
    pub(super) fn lock_and_record(&self) -> (PathBuf, PathBuf) {
        (self.directory.join("up.lock"), self.directory.join("up.json"))
    }

    /// Returns the log file of the supervising process.
    pub(super) fn log(&self) -> PathBuf {
        self.directory.join(LOGS[0])
    }

    /// Returns the log files of all processes.
    pub(super) fn logs(&self) -> impl Iterator<Item = PathBuf> {
        LOGS.iter().map(|name| self.directory.join(name))
    }
}

fn default_directory() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(OF_ROOT.into());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let shared = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    match shared {
        Some(shared) => Ok(shared.join("thicket")),
        None => bail!("the variable HOME is not set; name the data directory with --data"),
    }
}
