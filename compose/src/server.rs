//! One running server, whichever it is: start, stop, kill, restart.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    error::{Context, Error},
    port::Port,
    process::Process,
    wait,
};

pub use crate::process::{Account, Launch};
pub use rustix::process::Signal;

/// How long a server may take until it answers.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How often a start is repeated with another port, or on the same one while its last owner's remains disappear.
const STARTS: u32 = 20;
/// How long the remains of an owner that was killed may take to leave a directory.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
/// How long a question whether the server is ready may take.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What is particular to one kind of server.
pub trait Service {
    /// The server's name in errors and of its log file.
    const NAME: &'static str;

    /// Prepares `directory` and says how to start the server there on a loopback port.
    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error>;

    /// Asks the server, in its own protocol, whether it takes requests. An error means not yet.
    fn probe(&self, connection: TcpStream) -> io::Result<()>;

    /// The address to give to clients.
    fn url(&self, port: u16) -> String;
}

/// A private server on a loopback port. Dropping it stops the server; its directory stays.
#[derive(Debug)]
pub struct Server<S: Service> {
    service: S,
    directory: PathBuf,
    port: Port,
    process: Process,
    /// Held by this handle and, as its standard input, by the server: two servers never share a directory, even when the
    /// first one's owner was killed and it is still stopping.
    lock: File,
}

impl<S: Service> Server<S> {
    /// Starts the server in `directory` (made if missing; what an earlier instance left there is used) and waits until it
    /// answers, 30 s at most.
    pub fn start_service(service: S, directory: &Path) -> Result<Self, Error> {
        fs::create_dir_all(directory).during(|| format!("create {}", directory.display()))?;
        let directory = directory.canonicalize().during(|| format!("find {}", directory.display()))?;
        let lock = lock(&directory, S::NAME)?;
        let mut starts = 0;
        loop {
            let port = Port::reserve(S::NAME)?;
            starts += 1;
            match start_on(&service, &directory, port.number(), &lock) {
                Ok(process) => return Ok(Server { service, directory, port, process, lock }),
                Err(Error::Ended { log, .. }) if starts < STARTS && passes(&log) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The address to give to clients, for instance `redis://127.0.0.1:16379`.
    pub fn url(&self) -> String {
        self.service.url(self.port())
    }

    /// The loopback port it listens on, the same after every restart.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process id; of the last process, when it is stopped.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where its data and its log are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Stops it gracefully and waits; after 60 s kills it. Does nothing when it is not running.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.process.stop()
    }

    /// Kills it at once (SIGKILL, children included), as a crash would, and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.process.kill()
    }

    /// Stops it if it runs, then starts it again with the same data on the same port.
    pub fn restart_on_same_port(&mut self) -> Result<(), Error> {
        self.stop()?;
        let mut starts = 0;
        loop {
            starts += 1;
            match start_on(&self.service, &self.directory, self.port.number(), &self.lock) {
                Ok(process) => {
                    self.process = process;
                    return Ok(());
                }
                Err(Error::Ended { log, .. }) if starts < STARTS && passes(&log) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<S: Service> Drop for Server<S> {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Nobody is left to tell; at least nothing is left behind.
            let _ = self.kill();
        }
    }
}

/// Makes `directory` this handle's own.
fn lock(directory: &Path, server: &'static str) -> Result<File, Error> {
    let path = directory.join(format!("{server}.lock"));
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .during(|| format!("create {}", path.display()))?;
    wait::until(LOCK_LIMIT, || file.try_lock().is_ok().then_some(()))
        .ok_or_else(|| Error::InUse { server, directory: directory.to_path_buf() })?;
    Ok(file)
}

fn start_on<S: Service>(service: &S, directory: &Path, port: u16, lock: &File) -> Result<Process, Error> {
    let launch = service.launch(directory, port)?;
    let log = directory.join(format!("{}.log", S::NAME));
    let mut process = Process::start(&launch, directory, &log, lock)?;
    let outcome = wait::until(READY_LIMIT, || match process.ended() {
        Some(status) => Some(Err(status)),
        None => connect(port).and_then(|connection| service.probe(connection)).ok().map(Ok),
    });
    match outcome {
        Some(Ok(())) => Ok(process),
        Some(Err(status)) => {
            Err(Error::Ended { server: S::NAME, status: status.to_string(), log: process.log_tail() })
        }
        None => {
            let log = process.log_tail();
            process.kill()?;
            Err(Error::NotReady { server: S::NAME, seconds: READY_LIMIT.as_secs(), log })
        }
    }
}

/// Whether what ended a start passes with another port or a moment later.
fn passes(log: &str) -> bool {
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
