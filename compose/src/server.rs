//! One running server of any kind: start, stop, kill, restart.

use std::{
    fs::{DirBuilder, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{Context, Error},
    port::{Port, PortChoice},
    process::{NO_LINK, Process},
    ready::{self, Answer, Patience},
    wait,
};

pub use crate::process::{Account, Launch};
pub use rustix::process::Signal;

/// Attempts to start a server: with another port each, or with the same port until the previous
/// process is gone.
const STARTS: u32 = 20;
/// How long the servers of a killed owner may take to release a directory.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How long a readiness probe may take.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What differs between the kinds of servers.
pub trait Service {
    /// The server's name in errors, and the name of its log file.
    const NAME: &'static str;

    /// Prepares `directory` and returns how to start the server there on a loopback port.
    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error>;

    /// Asks the server, in its own protocol, whether it accepts requests. An error means: not yet.
    /// `InvalidData` stands for an answer that is neither a yes nor a "still starting".
    fn probe(&self, connection: TcpStream) -> io::Result<Answer>;

    /// Returns the URL for clients.
    fn url(&self, port: u16) -> String;
}

/// How to start a server.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The port that the server shall have.
    pub port: PortChoice,
    /// How long to wait for the server, also at each restart.
    pub patience: Patience,
}

/// A private server on a loopback port. Dropping it stops the server; its directory stays.
#[derive(Debug)]
pub struct Server<S: Service> {
    service: S,
    directory: PathBuf,
    port: Port,
    patience: Patience,
    process: Process,
    /// Held by this handle, and by the server as its standard input. Two servers therefore never
    /// share a directory, even if the first owner was killed and its server is still stopping.
    lock: File,
}

impl<S: Service> Server<S> {
    /// Starts the server in `directory` and waits until it answers, at most 30 s. Creates the
    /// directory if it is missing, with no permission for other users, and uses the data of an
    /// earlier instance if there is any.
    pub fn start_service(service: S, directory: &Path) -> Result<Self, Error> {
        Self::start_service_on(service, directory, Start::default())
    }

    /// Starts the server like [`start_service`](Self::start_service), with the port and the
    /// patience of the caller's choice.
    pub fn start_service_on(service: S, directory: &Path, start: Start) -> Result<Self, Error> {
        let Start { port, patience } = start;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .during(|| format!("create {}", directory.display()))?;
        let directory = directory.canonicalize().during(|| format!("find {}", directory.display()))?;
        let lock = lock(&directory, S::NAME)?;
        let mut starts = 0;
        loop {
            let reserved = Port::choose(port, S::NAME)?;
            starts += 1;
            match start_on(&service, &directory, (reserved.number(), &patience), &lock) {
                Ok(process) => {
                    return Ok(Server { service, directory, port: reserved, patience, process, lock });
                }
                Err(Error::Ended { log, .. }) if starts < STARTS && is_transient(&log) => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn service(&self) -> &S {
        &self.service
    }

    /// Returns the URL for clients, for instance `redis://127.0.0.1:16379`.
    pub fn url(&self) -> String {
        self.service.url(self.port())
    }

    /// Returns the loopback port of the server, which is the same after every restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Returns the process id; if the server is stopped, that of its last process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns the directory with its data and its log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns whether the process is running.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Stops the server gracefully and waits. Kills it after 60 s. Does nothing if it is not
    /// running.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop()
    }

    /// Kills the server and its children at once (SIGKILL), as in a crash, and waits until they are
    /// gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.process.kill()
    }

    /// Stops the server if it runs. Starts it again with the same data on the same port.
    pub fn restart_on_same_port(&mut self) -> Result<(), Error> {
        self.stop()?;
        let mut starts = 0;
        loop {
            starts += 1;
            match start_on(&self.service, &self.directory, (self.port.number(), &self.patience), &self.lock) {
                Ok(process) => {
                    self.process = process;
                    return Ok(());
                }
                Err(Error::Ended { log, .. }) if starts < STARTS && is_transient(&log) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<S: Service> Drop for Server<S> {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // A destructor cannot report the error. Killing the server at least leaves nothing
            // behind.
            let _ = self.kill();
        }
    }
}

/// Locks `directory` for this handle.
fn lock(directory: &Path, server: &'static str) -> Result<File, Error> {
    let path = directory.join(format!("{server}.lock"));
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .custom_flags(NO_LINK)
        .open(&path)
        .during(|| format!("create {}", path.display()))?;
    wait::until(LOCK_LIMIT, || file.try_lock().is_ok().then_some(()))
        .ok_or_else(|| Error::InUse { server, directory: directory.to_path_buf() })?;
    Ok(file)
}

fn start_on<S: Service>(
    service: &S,
    directory: &Path,
    (port, patience): (u16, &Patience),
    lock: &File,
) -> Result<Process, Error> {
    let launch = service.launch(directory, port)?;
    let log = directory.join(format!("{}.log", S::NAME));
    let mut process = Process::start(&launch, directory, &log, lock)?;
    ready::wait_for(S::NAME, &mut process, patience, || service.probe(connect(port)?))?;
    Ok(process)
}

/// Returns whether the start may succeed with another port, or a moment later.
fn is_transient(log: &str) -> bool {
    let log = log.to_ascii_lowercase();
    log.contains("address already in use") || log.contains("pre-existing shared memory block")
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connection = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
    connection.set_read_timeout(Some(PROBE_LIMIT))?;
    connection.set_write_timeout(Some(PROBE_LIMIT))?;
    Ok(connection)
}
