//! Redis: the log and the checkpoints.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
};

use crate::{
    account::{hand_over, make_reachable, unprivileged, write_private},
    error::Error,
    private::password,
    program,
    ready::Answer,
    server::{Launch, Server, Service, Signal},
    settings,
    tls::{TlsFiles, TlsPort},
};

const SETTINGS: &str = include_str!("../redis/redis.conf");
/// Bytes that are read of an answer.
const MOST_ANSWER: u64 = 4096;

/// A private Redis with `compose/redis/redis.conf`. Started by root, it runs as the user `redis`,
/// who then owns its directory.
pub type Redis = Server<RedisService>;

/// How to start and probe Redis.
#[derive(Debug)]
pub struct RedisService {
    password: String,
    /// The port for TLS, if there is one.
    tls: Option<TlsPort>,
}

impl Server<RedisService> {
    /// Starts Redis in `directory`.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(RedisService::new(password()?), directory)
    }

    /// Starts Redis in `directory`, with TLS on a further port. There, clients need a certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let tls = Some(TlsPort::reserve(RedisService::NAME, files)?);
        Self::start_service(RedisService { password: password()?, tls }, directory)
    }

    /// Returns the port for TLS, `None` if it was started without.
    pub fn tls_port(&self) -> Option<u16> {
        self.service().tls.as_ref().map(TlsPort::number)
    }
}

impl RedisService {
    /// Returns a Redis whose clients need this password.
    pub(crate) fn new(password: String) -> Self {
        Self { password, tls: None }
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
        text.extend([format!("requirepass {}\n", self.password)]);
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

    fn probe(&self, connection: TcpStream) -> io::Result<Answer> {
        let mut connection = BufReader::new(connection);
        connection.get_mut().write_all(format!("AUTH {}\r\nPING\r\n", self.password).as_bytes())?;
        let mut line = || {
            let mut line = String::new();
            connection.by_ref().take(MOST_ANSWER).read_line(&mut line)?;
            io::Result::Ok(line)
        };
        let (_, answer) = (line()?, line()?);
        match answer.trim_end() {
            "+PONG" => return Ok(Answer::Ready),
            answer if answer.starts_with("-LOADING") => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        connection.get_mut().write_all(b"INFO persistence\r\n")?;
        let mut info = vec![0; MOST_ANSWER as usize];
        let length = connection.read(&mut info)?;
        let info = String::from_utf8_lossy(&info[..length]);
        let percent = info.lines().find_map(|line| line.strip_prefix("loading_loaded_perc:"));
        let percent = percent.map(|percent| format!(" ({} %)", percent.split('.').next().unwrap_or(percent)));
        Ok(Answer::Starting(format!("is loading its data{}", percent.unwrap_or_default())))
    }

    fn url(&self, port: u16) -> String {
        format!("redis://:{}@127.0.0.1:{port}", self.password)
    }
}
