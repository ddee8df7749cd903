//! The account that PostgreSQL runs as, because it refuses to run as root.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use crate::{
    error::{Context, Error},
    process::{self, Account},
};

/// Returns the distribution's user `postgres` if this process runs as root, else `None`.
pub(super) fn unprivileged() -> Result<Option<Account>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    Ok(Some(Account { user: id("-u")?, group: id("-g")? }))
}

fn id(which: &str) -> Result<u32, Error> {
    let mut command = Command::new("id");
    command.args([which, "postgres"]);
    let text = process::run(command)?;
    text.parse().map_err(|_| Error::Command {
        command: format!("id {which} postgres"),
        status: "not a number".to_owned(),
        output: text,
    })
}

/// Makes sure that `account` can enter `directory`.
///
/// Gives search permission on `directory` itself, and on its parents within the system's temporary
/// directory. Returns an error that names the first other parent that `account` cannot enter.
pub(super) fn make_reachable(directory: &Path, account: Account) -> Result<(), Error> {
    let temporary = env::temp_dir().canonicalize().unwrap_or_default();
    let from_root: Vec<&Path> = directory.ancestors().collect();
    for step in from_root.into_iter().rev() {
        let metadata = fs::metadata(step).during(|| format!("read the permissions of {}", step.display()))?;
        if may_enter(&metadata, account) {
            continue;
        }
        let ours = step == directory || (step.starts_with(&temporary) && step != temporary);
        if !ours {
            return Err(Error::Unreachable { directory: step.to_path_buf() });
        }
        let mode = metadata.permissions().mode() | 0o011;
        fs::set_permissions(step, fs::Permissions::from_mode(mode))
            .during(|| format!("change the permissions of {}", step.display()))?;
    }
    Ok(())
}

fn may_enter(directory: &fs::Metadata, account: Account) -> bool {
    let bit = if directory.uid() == account.user {
        0o100
    } else if directory.gid() == account.group {
        0o010
    } else {
        0o001
    };
    directory.mode() & bit != 0
}
