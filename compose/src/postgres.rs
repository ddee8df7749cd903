//! PostgreSQL: the rows and the commit point.

mod account;
mod cluster;

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
};

use cluster::NAME;

use crate::{
    error::{Context, Error},
    program,
    server::{Launch, Server, Service, Signal},
};

const SETTINGS: &str = include_str!("../postgres/postgresql.conf");

/// A private PostgreSQL with `compose/postgres/postgresql.conf`, the superuser `thicket` and the
/// database `thicket`. It listens on 127.0.0.1 only and needs no password.
pub type Postgres = Server<PostgresService>;

/// How to start and probe PostgreSQL.
#[derive(Debug)]
pub struct PostgresService;

impl Server<PostgresService> {
    /// Starts PostgreSQL in `directory`. Started by root, it runs as the user `postgres`. That user
    /// gets search permission on `directory` and on its parents within the system's temporary
    /// directory.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(PostgresService, directory)
    }
}

impl Service for PostgresService {
    const NAME: &'static str = "postgres";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let binaries = program::postgres_binaries()?;
        let account = account::unprivileged()?;
        if let Some(account) = account {
            account::make_reachable(directory, account)?;
        }
        let data = directory.join("data");
        if !data.exists() {
            cluster::create(&binaries, &data, account)?;
        }
        let file = data.join("postgresql.conf");
        std::fs::write(&file, SETTINGS).during(|| format!("write {}", file.display()))?;
        let arguments = vec![
            "-D".into(),
            data.into(),
            "-c".into(),
            format!("port={port}").into(),
            "-c".into(),
            "listen_addresses=127.0.0.1".into(),
            "-c".into(),
            "unix_socket_directories=".into(),
        ];
        // SIGINT ends sessions and shuts down cleanly. SIGQUIT leaves no shared memory behind;
        // SIGKILL would.
        Ok(Launch {
            program: binaries.join("postgres"),
            arguments,
            account,
            stop: Signal::INT,
            orphaned: "QUIT",
        })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.write_all(&startup_message())?;
        loop {
            let mut header = [0; 5];
            connection.read_exact(&mut header)?;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            let mut body = vec![0; length.saturating_sub(4).min(65_536) as usize];
            connection.read_exact(&mut body)?;
            match header[0] {
                // ReadyForQuery: answer with Terminate.
                b'Z' => return connection.write_all(&[b'X', 0, 0, 0, 4]),
                // ErrorResponse: the system is starting up.
                b'E' => return Err(io::ErrorKind::ResourceBusy.into()),
                _ => {}
            }
        }
    }

    fn url(&self, port: u16) -> String {
        format!("postgres://{NAME}@127.0.0.1:{port}/{NAME}")
    }
}

/// Returns the first message of protocol 3.0: its length, its version, the user and the database.
fn startup_message() -> Vec<u8> {
    let parameters = format!("user\0{NAME}\0database\0{NAME}\0\0");
    let length = 8 + parameters.len() as u32;
    [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters.as_bytes()].concat()
}
