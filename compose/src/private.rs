//! This user's private directory in the system's temporary directory. Several processes share it
//! for locks on ports, for templates of database clusters, and for the password of the servers of
//! demo and tests.

use std::{
    env,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::error::{Context, Error};

/// Creates the subdirectory `name` of the private directory, if it is missing. Fails if another
/// user owns the private directory or may write to it: this user starts programs with its content.
pub(crate) fn directory(name: &str) -> Result<PathBuf, Error> {
    let user = rustix::process::geteuid().as_raw();
    let top = env::temp_dir().join(format!("thicket-{user}"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&top)
        .during(|| format!("create {}", top.display()))?;
    let metadata =
        fs::symlink_metadata(&top).during(|| format!("read the permissions of {}", top.display()))?;
    if !(metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o777 == 0o700) {
        let source =
            io::Error::other("it exists, but is not a private directory of this user (mode 700); remove it");
        return Err(Error::Io { action: format!("use {}", top.display()), source });
    }
    let directory = top.join(name);
    fs::create_dir_all(&directory).during(|| format!("create {}", directory.display()))?;
    Ok(directory)
}

/// The user of every server: the superuser of PostgreSQL, and the client of Mosquitto.
pub const USER: &str = "thicket";

/// The user of devices at the Mosquitto of a deployment that stays. It may publish and subscribe.
pub const DEVICE: &str = "device";

/// Returns the password of all private servers of the demo and the tests of this user of the
/// machine. It is kept in the private directory.
pub fn password() -> Result<String, Error> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let password = password_in(&directory("secret")?.join("password"))?;
    Ok(KNOWN.get_or_init(|| password).clone())
}

/// Returns the password that a file holds. If there is no such file, writes one that only this user
/// can read, with 32 random hexadecimal digits.
pub fn password_in(path: &Path) -> Result<String, Error> {
    if !path.exists() {
        let make = || {
            let mut random = [0; 16];
            File::open("/dev/urandom")?.read_exact(&mut random)?;
            let text = format!("{:032x}\n", u128::from_be_bytes(random));
            // A temporary file has the mode 600.
            let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            // Another process may have made a password in the meantime. The first one counts.
            match file.persist_noclobber(path) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
                _ => Ok(()),
            }
        };
        make().during(|| format!("create {}", path.display()))?;
    }
    let text = fs::read_to_string(path).during(|| format!("read {}", path.display()))?;
    let password = text.trim();
    if password.is_empty() || !password.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let source = io::Error::other("a password has letters and digits only; change it or remove the file");
        return Err(Error::Io { action: format!("use the password in {}", path.display()), source });
    }
    Ok(password.to_owned())
}
