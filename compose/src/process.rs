//! Child processes that end with their handle, and with this process.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
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

/// How long a server may take to stop. Longer than the engine's own deadline.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// How long the kernel may take to remove killed processes.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of a log's end that an error shows.
const LOG_TAIL: usize = 2_000;

/// The flag of `open` that refuses a symbolic link.
pub(crate) const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// A system account to run a server as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// How to start a server's process, and how to stop it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The executable.
    pub program: PathBuf,
    /// The arguments of the executable.
    pub arguments: Vec<OsString>,
    /// The account to run as, or `None` for the current one.
    pub account: Option<Account>,
    /// The signal that asks for a graceful stop.
    pub stop: Signal,
    /// The signal, such as `TERM`, that the kernel sends if this process dies first.
    pub orphaned: &'static str,
}

/// A running child process and its log file.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stop: Signal,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts the process in its own process group, so that Ctrl-C in the terminal does not reach
    /// it. Appends its output to `log`. Its standard input is `lock`, which therefore stays locked
    /// while it runs.
    pub(crate) fn start(
        launch: &Launch,
        directory: &Path,
        log: &Path,
        lock: &File,
    ) -> Result<Process, Error> {
        let output = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .custom_flags(NO_LINK)
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
        let child = spawn_owned(command).during(|| format!("start {}", launch.program.display()))?;
        Ok(Process { child, stop: launch.stop, log: log.to_path_buf(), log_start })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the exit status, or `None` while the process runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Returns the CPU time that the process and its children have used, in clock ticks.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let pid = self.child.id();
        let all = std::iter::once(pid).chain(children(pid));
        all.filter_map(|pid| {
            let stat = ProcEntry::new(pid.cast_signed()).ok()?.stat().ok()?;
            Some(stat.utime + stat.stime)
        })
        .sum()
    }

    /// Returns the last lines of this process's log.
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

    /// Asks the process to stop and waits. Kills it if it does not stop in time.
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

    /// Kills the process and its children at once, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        if self.ended().is_some() {
            return Ok(());
        }
        // PostgreSQL's children leave the process group. They must die too, or they could still
        // write.
        let children = children(self.child.id());
        signal(|pid| kill_process_group(pid, Signal::KILL), &self.child)
            .during(|| "kill a server".to_owned())?;
        for child in &children {
            if let Some(pid) = Pid::from_raw(child.cast_signed()) {
                // The child may have ended already.
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

/// Returns a command that runs as `account` and receives the signal `orphaned` when this process
/// dies.
///
/// `setpriv` changes the user first and sets the parent-death signal afterwards, because a change
/// of the user clears that signal. It then becomes the program by `exec`, so the child's process id
/// is that of the program.
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

/// Runs a command to its end and returns its standard output.
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

/// Returns a command whose process is killed when this process ends, however that ends. Start it with
/// [`spawn_owned`].
///
/// # Errors
/// The program `setpriv` cannot be looked for.
pub fn owned_command(program: &Path) -> Result<Command, Error> {
    command(program, None, "KILL")
}

/// Starts a child from a thread that lives as long as this process.
///
/// The kernel sends the parent-death signal when the *thread* that started the child ends. A server
/// that is started from a thread pool would die with its idle thread.
///
/// # Errors
/// The program cannot be started.
pub fn spawn_owned(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // If the caller is gone, the child is dropped and ends with this process.
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

/// Returns whether a process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    let stat = ProcEntry::new(pid.cast_signed()).and_then(|process| process.stat());
    stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}
