//! Makes a database cluster. `initdb` takes seconds, a copy of what it made takes a fraction of one: so the first cluster
//! of this user and version is kept as a template in the system's temporary directory.

use std::{
    fs::{self, DirBuilder, File},
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    error::{Context, Error},
    private,
    process::{self, Account},
};

/// The superuser, trusted without a password, and the database.
pub(super) const NAME: &str = "thicket";
/// Counts up when what is made below changes.
const TEMPLATE_VERSION: u32 = 2;

/// Makes the cluster `data`, whole or not at all.
pub(super) fn create(binaries: &Path, data: &Path, account: Option<Account>) -> Result<(), Error> {
    let partial = data.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).during(|| format!("remove {}", partial.display()))?;
    }
    copy_template(binaries, &partial, account)?;
    fs::rename(&partial, data).during(|| format!("create {}", data.display()))
}

fn copy_template(binaries: &Path, target: &Path, account: Option<Account>) -> Result<(), Error> {
    let directory = private::directory("postgres")?;
    let template = directory.join(template_name(binaries)?);
    if !template.exists() {
        let path = directory.join("lock");
        let lock = File::create(&path).during(|| format!("create {}", path.display()))?;
        lock.lock().during(|| format!("lock {}", path.display()))?;
        // Another process may have made it while this one waited.
        if !template.exists() {
            initialise(binaries, target, account)?;
            let unfinished = tempfile::tempdir_in(&directory)
                .during(|| format!("create a directory in {}", directory.display()))?;
            let made = unfinished.path().join("template");
            copy(target, &made)?;
            return fs::rename(&made, &template).during(|| format!("create {}", template.display()));
        }
    }
    copy(&template, target)
}

/// The version of the server, as a file name.
fn template_name(binaries: &Path) -> Result<String, Error> {
    let mut command = Command::new(binaries.join("postgres"));
    command.arg("--version");
    let version = process::run(command)?;
    let words = version.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
    let name: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    Ok(format!("{}-{TEMPLATE_VERSION}", name.join("-")))
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut command = Command::new("cp");
    command.args(["--archive", "--reflink=auto", "--no-target-directory", "--"]).args([from, to]);
    process::run(command).map(drop)
}

/// Runs `initdb` and renames the database it makes, without a server: single-user mode takes SQL on standard input. (One
/// more database would be 300 more files to copy, a third of the time that a start takes on a busy disk.)
fn initialise(binaries: &Path, data: &Path, account: Option<Account>) -> Result<(), Error> {
    DirBuilder::new().mode(0o700).create(data).during(|| format!("create {}", data.display()))?;
    if let Some(Account { user, group }) = account {
        std::os::unix::fs::chown(data, Some(user), Some(group))
            .during(|| format!("give away {}", data.display()))?;
    }
    let mut initdb = process::command(&binaries.join("initdb"), account, "KILL")?;
    initdb.arg("-D").arg(data).current_dir(data);
    initdb.args([
        "-U",
        NAME,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
        "--wal-segsize=4",
    ]);
    process::run(initdb)?;

    let mut single = process::command(&binaries.join("postgres"), account, "KILL")?;
    single.args(["--single", "-D"]).arg(data).args(["-c", "fsync=off", "template1"]);
    single.current_dir(data).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = single.spawn().during(|| "start postgres --single".to_owned())?;
    let statement = format!("ALTER DATABASE postgres RENAME TO {NAME}\n");
    if let Some(mut input) = child.stdin.take() {
        input.write_all(statement.as_bytes()).during(|| "talk to postgres --single".to_owned())?;
    }
    let output = child.wait_with_output().during(|| "wait for postgres --single".to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // Single-user mode reports a failed statement in its log only.
    if output.status.success() && !errors.contains("ERROR") {
        return Ok(());
    }
    let command = format!("postgres --single: {}", statement.trim());
    Err(Error::Command { command, status: output.status.to_string(), output: errors })
}
