//! Errors of starting and stopping servers, and what to do about each.

use std::{io, net::SocketAddr, path::PathBuf};

/// Why a server could not be started, stopped or prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server is not installed.
    #[error("{program} not found: install the package {package} (`sudo apt-get install {package}`)")]
    NotInstalled {
        /// The missing executable.
        program: String,
        /// The Debian package that contains it.
        package: &'static str,
    },
    /// The server exited during its start.
    #[error("{server} ended while starting ({status}); its log ends:\n{log}")]
    Ended {
        /// Which server.
        server: &'static str,
        /// The exit status.
        status: String,
        /// The last lines of its log.
        log: String,
    },
    /// The server runs and has not become ready.
    #[error("{server} has not become ready {limit}; its log ends:\n{log}")]
    NotReady {
        /// Which server.
        server: &'static str,
        /// Which limit has passed, such as `within 30 s`.
        limit: String,
        /// The last lines of its log.
        log: String,
    },
    /// The start was given up, because the user asked for it.
    #[error("the start of {server} was stopped")]
    Cancelled {
        /// Which server.
        server: &'static str,
    },
    /// Another instance uses the directory.
    #[error("another {server} runs in {}: choose another directory, or stop it", .directory.display())]
    InUse {
        /// Which server.
        server: &'static str,
        /// The directory.
        directory: PathBuf,
    },
    /// No loopback port could be reserved.
    #[error("no free loopback port for {server} after {tries} tries")]
    NoPort {
        /// Which server.
        server: &'static str,
        /// How many ports were tried.
        tries: u32,
    },
    /// The given port is not free.
    #[error("port {port} for {server} is taken: stop the program that listens there, or give another port")]
    PortTaken {
        /// Which server.
        server: &'static str,
        /// The port.
        port: u16,
    },
    /// The server cannot listen at the given address.
    #[error("{server} cannot listen on {address}: {source}")]
    AddressUnusable {
        /// Which server.
        server: &'static str,
        /// The address and the port.
        address: SocketAddr,
        /// Why: this machine has no such address, or another program listens there.
        source: io::Error,
    },
    /// A server that root starts runs as a user without privileges, who cannot reach the data
    /// directory.
    #[error(
        "the servers run as users without privileges, who cannot enter {}: choose another data directory, or `chmod o+x` it",
        .directory.display()
    )]
    Unreachable {
        /// The topmost directory that the user cannot enter.
        directory: PathBuf,
    },
    /// A helper command failed.
    #[error("{command} failed ({status}): {output}")]
    Command {
        /// The command.
        command: String,
        /// The exit status.
        status: String,
        /// The output.
        output: String,
    },
    /// Reading or writing a file, or talking to the kernel, failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// The failed action, a verb phrase.
        action: String,
        /// The cause.
        source: io::Error,
    },
}

/// Adds the failed action to an I/O error.
pub(crate) trait Context<T> {
    /// Wraps the error with `action`, a verb phrase such as "write /tmp/x".
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Context<T> for io::Result<T> {
    fn during(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { action: action(), source })
    }
}
