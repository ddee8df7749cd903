//! Creates a database cluster.
//!
//! `initdb` takes seconds, and a copy of its result takes a fraction of a second. Therefore the
//! first cluster of this user and version is kept as a template in the system's temporary
//! directory.

use std::{
    fs::{self, DirBuilder, File},
    io::Write,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    account::write_private,
    error::{Context, Error},
    private::{self, USER},
    process::{self, Account},
};

/// Version of the template. Raise it when the code below creates another cluster.
const TEMPLATE_VERSION: u32 = 3;
/// The file of a cluster that holds the password of its users.
const PASSWORD_FILE: &str = "thicket.password";
/// Settings for a cluster that has no data yet. On data, a crash after them could lose a recovery.
const UNSYNCED: [&str; 2] = ["-c", "fsync=off"];

/// Creates the cluster `data`, completely or not at all.
pub(super) fn create(
    binaries: &Path,
    data: &Path,
    account: Option<Account>,
    password: &str,
) -> Result<(), Error> {
    let partial = data.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).during(|| format!("remove {}", partial.display()))?;
    }
    copy_template(binaries, &partial, account)?;
    change_password(binaries, &partial, account, password, &UNSYNCED)?;
    fs::rename(&partial, data).during(|| format!("create {}", data.display()))
}

/// Gives the superuser this password, unless it has it already. The server must not run.
pub(super) fn set_password(
    binaries: &Path,
    data: &Path,
    account: Option<Account>,
    password: &str,
) -> Result<(), Error> {
    change_password(binaries, data, account, password, &[])
}

fn change_password(
    binaries: &Path,
    data: &Path,
    account: Option<Account>,
    password: &str,
    settings: &[&str],
) -> Result<(), Error> {
    let file = data.join(PASSWORD_FILE);
    if fs::read_to_string(&file).is_ok_and(|known| known == password) {
        return Ok(());
    }
    let statement = format!("ALTER ROLE {USER} PASSWORD '{password}'\n");
    run_single(binaries, data, account, (settings, &statement, USER))?;
    write_private(&file, password.as_bytes(), account)
}

/// The template has the password of the demo and the tests: that of a deployment stays in it alone.
fn copy_template(binaries: &Path, target: &Path, account: Option<Account>) -> Result<(), Error> {
    let directory = private::directory("postgres")?;
    let template = directory.join(template_name(binaries)?);
    if !template.exists() {
        let path = directory.join("lock");
        let lock = File::create(&path).during(|| format!("create {}", path.display()))?;
        lock.lock().during(|| format!("lock {}", path.display()))?;
        // Another process may have created the template while this process waited for the lock.
        if !template.exists() {
            initialise(binaries, target, account)?;
            change_password(binaries, target, account, &private::password()?, &UNSYNCED)?;
            let unfinished = tempfile::tempdir_in(&directory)
                .during(|| format!("create a directory in {}", directory.display()))?;
            let made = unfinished.path().join("template");
            copy(target, &made)?;
            return fs::rename(&made, &template).during(|| format!("create {}", template.display()));
        }
    }
    copy(&template, target)
}

/// Returns the template's file name, which contains the version of the server.
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

/// Runs `initdb` and renames the database `postgres`, without a running server: single-user mode
/// takes SQL on standard input. (A further database would be 300 more files to copy, which is a
/// third of the time of a start on a busy disk.)
fn initialise(binaries: &Path, data: &Path, account: Option<Account>) -> Result<(), Error> {
    DirBuilder::new().mode(0o700).create(data).during(|| format!("create {}", data.display()))?;
    if let Some(Account { user, group }) = account {
        std::os::unix::fs::chown(data, Some(user), Some(group))
            .during(|| format!("change the owner of {}", data.display()))?;
    }
    let mut initdb = process::command(&binaries.join("initdb"), account, "KILL")?;
    initdb.arg("-D").arg(data).current_dir(data);
    initdb.args([
        "-U",
        USER,
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

    let statement = format!("ALTER DATABASE postgres RENAME TO {USER}\n");
    run_single(binaries, data, account, (&UNSYNCED, &statement, "template1"))
}

/// Runs a statement in a database of a cluster whose server does not run, with these settings.
fn run_single(
    binaries: &Path,
    data: &Path,
    account: Option<Account>,
    (settings, statement, database): (&[&str], &str, &str),
) -> Result<(), Error> {
    let mut single = process::command(&binaries.join("postgres"), account, "KILL")?;
    single.args(["--single", "-D"]).arg(data).args(settings).arg(database);
    single.current_dir(data).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = single.spawn().during(|| "start postgres --single".to_owned())?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(statement.as_bytes()).during(|| "write to postgres --single".to_owned())?;
    }
    let output = child.wait_with_output().during(|| "wait for postgres --single".to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // In single-user mode only the log tells that a statement failed.
    if output.status.success() && !errors.contains("ERROR") {
        return Ok(());
    }
    Err(Error::Command {
        command: "postgres --single".to_owned(),
        status: output.status.to_string(),
        output: errors,
    })
}
