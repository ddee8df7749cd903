//! The accounts that servers run as if root starts them, and the files that only they may read.

use std::{
    env,
    fs::{self, File},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown},
    path::Path,
    process::Command,
};

use crate::{
    error::{Context, Error},
    process::{self, Account, NO_LINK},
};

/// Returns the account `name` of the distribution if this process runs as root, else `None`.
pub(crate) fn unprivileged(name: &str) -> Result<Option<Account>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    Ok(Some(Account { user: id("-u", name)?, group: id("-g", name)? }))
}

fn id(which: &str, name: &str) -> Result<u32, Error> {
    let mut command = Command::new("id");
    command.args([which, name]);
    let text = process::run(command)?;
    text.parse().map_err(|_| Error::Command {
        command: format!("id {which} {name}"),
        status: "not a number".to_owned(),
        output: text,
    })
}

/// Writes a file that only its owner may read: the account, or this user if there is none.
pub(crate) fn write_private(file: &Path, content: &[u8], account: Option<Account>) -> Result<(), Error> {
    let write = || {
        let mut open = File::options();
        open.write(true).create(true).truncate(true).mode(0o600);
        // The account owns the directory: it could put a link to a file of root here.
        let mut target = open.custom_flags(NO_LINK).open(file)?;
        // An earlier file may have other permissions.
        target.set_permissions(fs::Permissions::from_mode(0o600))?;
        target.write_all(content)?;
        account.map_or(Ok(()), |account| lchown(file, Some(account.user), Some(account.group)))
    };
    write().during(|| format!("write {}", file.display()))
}

/// Gives a directory and everything in it to an account. Nobody else but root may enter it.
pub(crate) fn hand_over(directory: &Path, account: Account) -> Result<(), Error> {
    let give = || {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        change_owner(directory, account)
    };
    give().during(|| format!("change the owner of {}", directory.display()))
}

fn change_owner(path: &Path, account: Account) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            change_owner(&entry?.path(), account)?;
        }
    }
    lchown(path, Some(account.user), Some(account.group))
}

/// Makes sure that `account` can enter `directory`.
///
/// Gives search permission on `directory` itself, and on its parents within the system's temporary
/// directory, but no permission to list them. Returns an error that names the first other parent
/// that `account` cannot enter.
pub(crate) fn make_reachable(directory: &Path, account: Account) -> Result<(), Error> {
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
