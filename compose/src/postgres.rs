//! PostgreSQL: the rows and the commit point.

mod cluster;
mod stale_lock;

use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    path::{Path, PathBuf},
};

use crate::{
    account::{make_reachable, unprivileged, write_private},
    error::Error,
    private::{USER, password},
    process::Account,
    program,
    ready::Answer,
    server::{Launch, Server, Service, Signal},
    tls::TlsFiles,
};

/// SQLSTATE of a server that is starting up or shutting down.
const CANNOT_CONNECT_NOW: &str = "57P03";
const SETTINGS: &str = include_str!("../postgres/postgresql.conf");

/// A private PostgreSQL with `compose/postgres/postgresql.conf`, the superuser `thicket`, the
/// database `thicket`. It listens on 127.0.0.1 only.
pub type Postgres = Server<PostgresService>;

/// How to start and probe PostgreSQL.
#[derive(Debug)]
pub struct PostgresService {
    /// The password of the superuser.
    password: String,
    /// The files for TLS, if there is TLS.
    tls: Option<TlsFiles>,
    /// The language of the messages, if it is not English.
    messages: Option<MessageLocale>,
}

/// A locale that `localedef` has compiled.
#[derive(Clone, Debug)]
pub struct MessageLocale {
    /// The directory that holds compiled locales.
    pub directory: PathBuf,
    /// The name of the locale, such as `de_DE.UTF-8`.
    pub name: String,
}

/// Every client needs a password.
const RULES: &str = "host all all 127.0.0.1/32 scram-sha-256\n";
/// With TLS, clients need a certificate instead. Without it, only the superuser may connect.
const TLS_RULES: &str = "hostnossl all thicket 127.0.0.1/32 scram-sha-256
hostssl all all 127.0.0.1/32 trust clientcert=verify-ca
";

impl Server<PostgresService> {
    /// Starts PostgreSQL in `directory`. Started by root, it runs as the user `postgres`. That user
    /// gets search permission on `directory` and on its parents within the system's temporary
    /// directory.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(PostgresService::new(password()?), directory)
    }

    /// Starts PostgreSQL in `directory`, with TLS on the same port. With TLS, clients need a
    /// certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let service = PostgresService { tls: Some(files), ..PostgresService::new(password()?) };
        Self::start_service(service, directory)
    }

    /// Starts PostgreSQL in `directory`, with messages in another language.
    pub fn start_with_messages(directory: &Path, messages: MessageLocale) -> Result<Self, Error> {
        let service = PostgresService { messages: Some(messages), ..PostgresService::new(password()?) };
        Self::start_service(service, directory)
    }

    /// Returns the URL of a database for the superuser.
    pub fn url_of(&self, database: &str) -> String {
        self.service().url_as(USER, self.port(), database)
    }

    /// Returns the URL of the database for another user, who has the password of the superuser.
    pub fn url_as(&self, user: &str) -> String {
        self.service().url_as(user, self.port(), USER)
    }
}

impl PostgresService {
    /// Returns a PostgreSQL whose superuser has this password.
    pub(crate) fn new(password: String) -> Self {
        Self { password, tls: None, messages: None }
    }

    fn url_as(&self, user: &str, port: u16, database: &str) -> String {
        format!("postgres://{user}:{}@127.0.0.1:{port}/{database}", self.password)
    }
}

impl Service for PostgresService {
    const NAME: &'static str = "postgres";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let data = directory.join("data");
        let binaries = program::postgres_binaries(version_of(&data))?;
        let account = unprivileged("postgres")?;
        if let Some(account) = account {
            make_reachable(directory, account)?;
        }
        if !data.exists() {
            cluster::create(&binaries, &data, account, &self.password)?;
        }
        stale_lock::release(&data, account)?;
        cluster::set_password(&binaries, &data, account, &self.password)?;
        write_private(&data.join("postgresql.conf"), SETTINGS.as_bytes(), account)?;
        let rules = if self.tls.is_some() { TLS_RULES } else { RULES };
        write_private(&data.join("pg_hba.conf"), rules.as_bytes(), account)?;
        let mut arguments: Vec<OsString> = vec![
            "-D".into(),
            data.clone().into(),
            "-c".into(),
            format!("port={port}").into(),
            "-c".into(),
            "listen_addresses=127.0.0.1".into(),
            "-c".into(),
            "unix_socket_directories=".into(),
        ];
        if let Some(files) = &self.tls {
            arguments.extend(install_tls(files, &data, account)?);
        }
        let mut program = binaries.join("postgres");
        if let Some(MessageLocale { directory, name }) = &self.messages {
            arguments.extend(["-c".into(), format!("lc_messages={name}").into()]);
            let environment = format!("LOCPATH={}", directory.display());
            arguments.splice(..0, [environment.into(), program.into()]);
            // It becomes the server, under the same process id.
            program = "/usr/bin/env".into();
        }
        // SIGINT ends sessions and shuts down cleanly. SIGQUIT leaves no shared memory behind;
        // SIGKILL would.
        Ok(Launch { program, arguments, account, stop: Signal::INT, orphaned: "QUIT" })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<Answer> {
        connection.write_all(&startup_message())?;
        loop {
            let mut header = [0; 5];
            connection.read_exact(&mut header)?;
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
            let mut body = vec![0; length.saturating_sub(4).min(65_536) as usize];
            connection.read_exact(&mut body)?;
            match header[0] {
                // Authentication: it asks for the password or does not, and accepts connections.
                // Waits until the process of this connection has ended.
                b'R' => {
                    connection.shutdown(Shutdown::Write)?;
                    return io::copy(&mut connection, &mut io::sink()).map(|_| Answer::Ready);
                }
                b'E' => {
                    let message = starting(&body).ok_or(io::ErrorKind::InvalidData)?;
                    return Ok(Answer::Starting(format!("is recovering its data ({message})")));
                }
                _ => {}
            }
        }
    }

    fn url(&self, port: u16) -> String {
        self.url_as(USER, port, USER)
    }
}

/// Returns the version of PostgreSQL that has made a cluster. Only this version can start it.
fn version_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

/// Returns the message of an ErrorResponse if its SQLSTATE says that the server is starting up.
fn starting(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let field = |kind| text.split('\0').find_map(|field| field.strip_prefix(kind)).map(str::to_owned);
    (field('C')? == CANNOT_CONNECT_NOW).then(|| field('M').unwrap_or_default())
}

/// Returns the first message of protocol 3.0: its length, its version, the user and the database.
fn startup_message() -> Vec<u8> {
    let parameters = format!("user\0{USER}\0database\0{USER}\0\0");
    let length = 8 + parameters.len() as u32;
    [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), parameters.as_bytes()].concat()
}

/// Copies the files of TLS into `data`, because PostgreSQL accepts only a key that its own account
/// owns. Returns the arguments that name them.
fn install_tls(files: &TlsFiles, data: &Path, account: Option<Account>) -> Result<Vec<OsString>, Error> {
    let names = ["ssl_ca_file", "ssl_cert_file", "ssl_key_file"];
    let TlsFiles { ca, cert, key } = files.install(data, names, account)?;
    let mut arguments = vec!["-c".into(), "ssl=on".into()];
    for (setting, file) in names.into_iter().zip([ca, cert, key]) {
        arguments.extend(["-c".into(), format!("{setting}={}", file.display()).into()]);
    }
    Ok(arguments)
}
