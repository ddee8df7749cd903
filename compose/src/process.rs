//! Child processes that outlive neither their handle nor this process.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{OnceLock, mpsc},
    thread,
    time::Duration,
};

use procfs::process::Process as ProcEntry;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::{
    error::{Context, Error},
    program, wait,
};

/// How long a server may take to end after it was asked to; more than the engine's own deadline.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// How long the kernel may take to bury what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How much of a log an error shows.
const LOG_TAIL: usize = 2_000;

/// A system account to run a server as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// What it takes to start a server's process, and to end it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The account to run as; `None` is the current one.
    pub account: Option<Account>,
    /// The signal that asks for a graceful end.
    pub stop: Signal,
    /// The signal (`TERM`) that the kernel sends should this process die first.
    pub orphaned: &'static str,
}

/// A running child process and where it logs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stop: Signal,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts the process in a group of its own, so that Ctrl-C in the terminal does not reach it; its output is appended
    /// to `log`. Its standard input is `lock`, which stays locked as long as it runs.
    pub(crate) fn start(
        launch: &Launch,
        directory: &Path,
        log: &Path,
        lock: &File,
    ) -> Result<Process, Error> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .during(|| format!("open {}", log.display()))?;
        let log_start = output.metadata().during(|| format!("read {}", log.display()))?.len();
        let input = lock.try_clone().during(|| "share a lock".to_owned())?;
        let errors = output.try_clone().during(|| format!("open {}", log.display()))?;
        let mut command = command(&launch.program, launch.account, launch.orphaned)?;
        command
            .args(&launch.arguments)
            .current_dir(directory)
            .process_group(0)
            .stdin(input)
            .stdout(output)
            .stderr(errors);
        let child = spawn(command).during(|| format!("start {}", launch.program.display()))?;
        Ok(Process { child, stop: launch.stop, log: log.to_path_buf(), log_start })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines that this process has logged.
    pub(crate) fn log_tail(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut file| {
            let length = file.metadata()?.len();
            let start = self.log_start.max(length.saturating_sub(LOG_TAIL as u64));
            file.seek(SeekFrom::Start(start))?;
            file.read_to_end(&mut text)
        });
        match read {
            Ok(_) => String::from_utf8_lossy(&text).trim_end().to_owned(),
            Err(error) => format!("({} cannot be read: {error})", self.log.display()),
        }
    }

    /// Asks the process to end and waits; kills it when it does not.
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        if self.ended().is_some() {
            return Ok(());
        }
        signal(|pid| kill_process(pid, self.stop), &self.child).during(|| "signal a server".to_owned())?;
        if wait::until(STOP_LIMIT, || self.ended()).is_some() {
            return Ok(());
        }
        self.kill()
    }

    /// Kills the process and its children at once and waits until they are gone.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        if self.ended().is_some() {
            return Ok(());
        }
        // PostgreSQL's children leave the process group; killed with their parent, they cannot go on writing.
        let children = children(self.child.id());
        signal(|pid| kill_process_group(pid, Signal::KILL), &self.child)
            .during(|| "kill a server".to_owned())?;
        for child in &children {
            if let Some(pid) = Pid::from_raw(child.cast_signed()) {
                // Already gone is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let gone = wait::until(KILL_LIMIT, || {
            let all = self.ended().is_some() && !children.iter().any(|child| is_alive(*child));
            all.then_some(())
        });
        gone.ok_or_else(|| Error::Io {
            action: "wait for a killed server".to_owned(),
            source: io::ErrorKind::TimedOut.into(),
        })
    }
}

/// A command that runs as `account` and that the kernel signals with `orphaned` when this process dies.
///
/// `setpriv` sets the parent-death signal after it has changed the user (a change would clear it) and then becomes the
/// program, so the child's process id is the program's.
pub(crate) fn command(program: &Path, account: Option<Account>, orphaned: &str) -> Result<Command, Error> {
    let setpriv = match program::find("setpriv", "util-linux") {
        Ok(setpriv) => setpriv,
        Err(error) if account.is_some() => return Err(error),
        Err(_) => return Ok(Command::new(program)),
    };
    let mut command = Command::new(setpriv);
    command.arg(format!("--pdeathsig={orphaned}"));
    if let Some(Account { user, group }) = account {
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(mut command: Command) -> Result<String, Error> {
    let name = format!("{command:?}");
    let output = command.output().during(|| format!("run {name}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let output_text = format!("{} {}", text(&output.stdout), text(&output.stderr));
    Err(Error::Command { command: name, status: output.status.to_string(), output: output_text })
}

/// Starts a child from a thread that lives as long as this process.
///
/// The kernel sends the parent-death signal when the *thread* ends that started the child: servers started from a
/// thread pool would die with the first idle thread.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // Whoever asked has gone: the child is dropped unseen, and ends with this process.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts servers has ended");
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn signal(send: impl Fn(Pid) -> rustix::io::Result<()>, child: &Child) -> io::Result<()> {
    let pid = Pid::from_raw(child.id().cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
    match send(pid) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the process ids of a process's children, or none if it has ended.
fn children(pid: u32) -> Vec<u32> {
    let main_thread = ProcEntry::new(pid.cast_signed()).and_then(|process| process.task_main_thread());
    main_thread.and_then(|thread| thread.children()).unwrap_or_default()
}

/// Whether a process exists and is not merely waiting to be buried.
fn is_alive(pid: u32) -> bool {
    let stat = ProcEntry::new(pid.cast_signed()).and_then(|process| process.stat());
    stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}
