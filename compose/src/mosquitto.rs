//! Mosquitto: the MQTT broker.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use crate::{
    account::{hand_over, make_reachable, unprivileged, write_private},
    error::Error,
    port::Port,
    private::{USER, password},
    process, program,
    server::{Account, Launch, Server, Service, Signal},
    settings,
    tls::{TlsFiles, TlsPort},
};

const SETTINGS: &str = include_str!("../mosquitto/mosquitto.conf");

/// A private Mosquitto with `compose/mosquitto/mosquitto.conf`. If clients need a password, their user
/// is [`USER`]. Started by root, it runs as the user `mosquitto`, who then owns its directory.
pub type Mosquitto = Server<MosquittoService>;

/// How to start and probe Mosquitto.
#[derive(Debug, Default)]
pub struct MosquittoService {
    /// The password; `None` if clients need none.
    password: Option<String>,
    /// The ports for TLS, if there are any.
    tls: Option<TlsPorts>,
}

/// The further ports of a Mosquitto with TLS.
#[derive(Debug)]
struct TlsPorts {
    mqtt: TlsPort,
    websockets: TlsPort,
    plain_websockets: Port,
}

impl Server<MosquittoService> {
    /// Starts Mosquitto in `directory`.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(MosquittoService { password: Some(password()?), tls: None }, directory)
    }

    /// Starts Mosquitto in `directory`, with further ports for TLS, for websockets, and for
    /// websockets with TLS. On ports with TLS, clients need a certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let ports = TlsPorts {
            mqtt: TlsPort::reserve(MosquittoService::NAME, files.clone())?,
            websockets: TlsPort::reserve(MosquittoService::NAME, files)?,
            plain_websockets: Port::reserve(MosquittoService::NAME)?,
        };
        Self::start_service(MosquittoService { password: Some(password()?), tls: Some(ports) }, directory)
    }

    /// Returns the URL for clients, with user and password.
    pub fn url_with_login(&self) -> String {
        match &self.service().password {
            Some(password) => format!("mqtt://{USER}:{password}@127.0.0.1:{}", self.port()),
            None => self.url(),
        }
    }

    /// Returns the port for TLS, `None` if it was started without.
    pub fn tls_port(&self) -> Option<u16> {
        self.service().tls.as_ref().map(|tls| tls.mqtt.number())
    }

    /// Returns the port for websockets with TLS, `None` if it was started without.
    pub fn tls_websocket_port(&self) -> Option<u16> {
        self.service().tls.as_ref().map(|tls| tls.websockets.number())
    }

    /// Returns the port for websockets, `None` if it was started without.
    pub fn websocket_port(&self) -> Option<u16> {
        self.service().tls.as_ref().map(|tls| tls.plain_websockets.number())
    }
}

impl Service for MosquittoService {
    const NAME: &'static str = "mosquitto";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let program = program::find("mosquitto", "mosquitto")?;
        let account = unprivileged("mosquitto")?;
        if let Some(account) = account {
            hand_over(directory, account)?;
            make_reachable(directory, account)?;
        }
        let file = directory.join("mosquitto.conf");
        let access = match &self.password {
            Some(password) => {
                let file = write_passwords(directory, account, password)?;
                format!("allow_anonymous false\npassword_file {}", file.display())
            }
            None => "allow_anonymous true".to_owned(),
        };
        let mut text = settings::replace(
            SETTINGS,
            &[
                ("listener", format!("listener {port} 127.0.0.1")),
                ("persistence_location", format!("persistence_location {}/", directory.display())),
                ("allow_anonymous", access),
            ],
        );
        if let Some(tls) = &self.tls {
            let names = ["tls-ca.pem", "tls-cert.pem", "tls-key.pem"];
            let files = tls.mqtt.files.install(directory, names, account)?;
            text.push_str(&tls_listener(tls.mqtt.number(), &files));
            text.push_str(&tls_listener(tls.websockets.number(), &files));
            text.push_str("protocol websockets\n");
            let plain = tls.plain_websockets.number();
            text.extend([format!("listener {plain} 127.0.0.1\nprotocol websockets\n")]);
        }
        write_private(&file, text.as_bytes(), account)?;
        let arguments = vec!["-c".into(), file.into()];
        Ok(Launch { program, arguments, account, stop: Signal::TERM, orphaned: "TERM" })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<()> {
        // MQTT 3.1.1 CONNECT: user and password, clean session, keep-alive 5 s, no client id. Then
        // DISCONNECT.
        let flags = if self.password.is_some() { 0xc2 } else { 2 };
        let mut connect = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 5, 0, 0];
        for text in self.password.iter().flat_map(|password| [USER, password]) {
            connect.extend([0, text.len() as u8]);
            connect.extend(text.as_bytes());
        }
        connection.write_all(&[&[0x10, connect.len() as u8], &connect[..]].concat())?;
        let mut answer = [0; 4];
        connection.read_exact(&mut answer)?;
        connection.write_all(&[0xe0, 0])?;
        if answer == [0x20, 2, 0, 0] { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    fn url(&self, port: u16) -> String {
        format!("mqtt://127.0.0.1:{port}")
    }
}

/// Writes the file of users and hashed passwords.
fn write_passwords(directory: &Path, account: Option<Account>, password: &str) -> Result<PathBuf, Error> {
    let file = directory.join("passwords");
    write_private(&file, format!("{USER}:{password}\n").as_bytes(), account)?;
    // Replaces passwords by their hashes.
    let program = program::find("mosquitto_passwd", "mosquitto")?;
    let mut hash = process::command(&program, account, "KILL")?;
    hash.arg("-U").arg(&file);
    process::run(hash)?;
    Ok(file)
}

fn tls_listener(number: u16, files: &TlsFiles) -> String {
    let TlsFiles { ca, cert, key } = files;
    let (ca, cert, key) = (ca.display(), cert.display(), key.display());
    format!(
        "listener {number} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
    )
}
