//! Redis: the log and the checkpoints.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
};

use crate::{
    account::{hand_over, make_reachable, unprivileged, write_private},
    error::Error,
    private::password,
    program,
    server::{Launch, Server, Service, Signal},
    settings,
    tls::{TlsFiles, TlsPort},
};

const SETTINGS: &str = include_str!("../redis/redis.conf");

/// A private Redis with `compose/redis/redis.conf`. Started by root, it runs as the user `redis`, who
/// then owns its directory.
pub type Redis = Server<RedisService>;

/// How to start and probe Redis.
#[derive(Debug, Default)]
pub struct RedisService {
    /// The password; `None` if clients need none.
    password: Option<String>,
    /// The port for TLS, if there is one.
    tls: Option<TlsPort>,
}

impl Server<RedisService> {
    /// Starts Redis in `directory`.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(RedisService { password: Some(password()?), tls: None }, directory)
    }

    /// Starts Redis in `directory`, with TLS on a further port. There, clients need a certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let tls = Some(TlsPort::reserve(RedisService::NAME, files)?);
        Self::start_service(RedisService { password: Some(password()?), tls }, directory)
    }

    /// Returns the port for TLS, `None` if it was started without.
    pub fn tls_port(&self) -> Option<u16> {
        self.service().tls.as_ref().map(TlsPort::number)
    }
}

impl Service for RedisService {
    const NAME: &'static str = "redis";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let program = program::find("redis-server", "redis-server")?;
        let account = unprivileged("redis")?;
        if let Some(account) = account {
            hand_over(directory, account)?;
            make_reachable(directory, account)?;
        }
        let file = directory.join("redis.conf");
        let mut text = settings::replace(
            SETTINGS,
            &[("bind", "bind 127.0.0.1".to_owned()), ("port", format!("port {port}"))],
        );
        text.extend(self.password.iter().map(|password| format!("requirepass {password}\n")));
        if let Some(tls) = &self.tls {
            let names = ["tls-ca.pem", "tls-cert.pem", "tls-key.pem"];
            let TlsFiles { ca, cert, key } = tls.files.install(directory, names, account)?;
            let (ca, cert, key) = (ca.display(), cert.display(), key.display());
            text.extend([format!(
                "tls-port {}\ntls-ca-cert-file {ca}\ntls-cert-file {cert}\ntls-key-file {key}\n",
                tls.number()
            )]);
        }
        write_private(&file, text.as_bytes(), account)?;
        let arguments = vec![file.into(), "--dir".into(), directory.into()];
        Ok(Launch { program, arguments, account, stop: Signal::TERM, orphaned: "TERM" })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<()> {
        if let Some(password) = &self.password {
            connection.write_all(format!("AUTH {password}\r\n").as_bytes())?;
            connection.read_exact(&mut [0; 5])?;
        }
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 5];
        connection.read_exact(&mut answer)?;
        // Redis answers -LOADING while it loads its file.
        if &answer == b"+PONG" { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
    }

    fn url(&self, port: u16) -> String {
        match &self.password {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}"),
            None => format!("redis://127.0.0.1:{port}"),
        }
    }
}
