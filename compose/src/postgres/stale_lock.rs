//! The lock file of a PostgreSQL that was killed.
//!
//! `postmaster.pid` names the process of the server. PostgreSQL does not start while a process with
//! this id exists and belongs to the same user, even if it is a zombie, or, after a restart of the
//! machine, any other program. It does not start with an empty file either, which a power failure
//! can leave.

use std::{fs, io, path::Path};

use procfs::process::Process;

use crate::{
    account::write_private,
    error::{Context, Error},
    process::Account,
};

/// Makes the lock file in `data` one that PostgreSQL accepts, unless its server still runs. The
/// caller holds the lock on the directory of the server.
///
/// The file keeps its other lines: by them, PostgreSQL finds processes of the killed server that
/// still use its shared memory.
pub(super) fn release(data: &Path, account: Option<Account>) -> Result<(), Error> {
    let file = data.join("postmaster.pid");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).during(|| format!("read {}", file.display())),
    };
    if text.trim().is_empty() {
        return fs::remove_file(&file).during(|| format!("remove {}", file.display()));
    }
    let (pid, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if pid.trim().parse().is_ok_and(|pid| is_server_of(pid, data)) {
        return Ok(());
    }
    // PostgreSQL knows that its parent process is no other server.
    let partial = data.join("postmaster.pid.partial");
    write_private(&partial, format!("{}\n{rest}", std::process::id()).as_bytes(), account)?;
    fs::rename(&partial, &file).during(|| format!("write {}", file.display()))
}

/// Whether a process runs and is a server of the cluster: a server works in its cluster's
/// directory.
fn is_server_of(pid: i32, data: &Path) -> bool {
    let Ok(process) = Process::new(pid) else { return false };
    let is_dead = process.stat().is_ok_and(|stat| matches!(stat.state, 'Z' | 'X'));
    // A process whose directory cannot be read may be a server.
    !is_dead && process.cwd().map_or(true, |directory| directory == data)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn in_directory(directory: &Path) -> Child {
        Command::new("sleep").arg("60").current_dir(directory).spawn().unwrap()
    }

    #[test]
    fn a_lock_file_is_released_unless_its_process_works_in_the_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap();
        let file = data.join("postmaster.pid");
        release(&data, None).unwrap();
        assert!(!file.exists());

        let mut server = in_directory(&data);
        let mut other = in_directory(Path::new("/"));
        let lock_of = |pid: u32| format!("{pid}\n/data\n17\n");
        let released = format!("{}\n/data\n17\n", std::process::id());
        let after = |lock: &str| {
            fs::write(&file, lock).unwrap();
            release(&data, None).unwrap();
            fs::read_to_string(&file).ok()
        };
        assert_eq!(after(&lock_of(server.id())), Some(lock_of(server.id())));
        assert_eq!(after(&lock_of(other.id())), Some(released.clone()));
        server.kill().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        // The server is a zombie until its parent asks for its status.
        while !matches!(Process::new(server.id().cast_signed()).unwrap().stat().unwrap().state, 'Z') {}
        assert_eq!(after(&lock_of(server.id())), Some(released.clone()));
        server.wait().unwrap();
        assert_eq!(after(&lock_of(other.id())), Some(released));
        assert_eq!(after(""), None);
    }
}
