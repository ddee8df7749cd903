//! Mosquitto: the MQTT broker.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
};

use crate::{
    account::{hand_over, make_reachable, unprivileged, write_private},
    error::Error,
    port::Port,
    private::{DEVICE, USER, password},
    process, program,
    ready::Answer,
    server::{Account, Launch, Server, Service, Signal},
    settings,
    tls::{TlsFiles, TlsPort},
};

const SETTINGS: &str = include_str!("../mosquitto/mosquitto.conf");

/// A private Mosquitto with `compose/mosquitto/mosquitto.conf`. Clients need a password; their user
/// is [`USER`]. Started by root, it runs as the user `mosquitto`, who then owns its directory.
pub type Mosquitto = Server<MosquittoService>;

/// How to start and probe Mosquitto.
#[derive(Debug)]
pub struct MosquittoService {
    /// The password of [`USER`].
    password: String,
    /// The password of [`DEVICE`], if there is such a user.
    device_password: Option<String>,
    /// An address beside 127.0.0.1 at which clients reach it, on the same port.
    listen: Option<IpAddr>,
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
        Self::start_service(MosquittoService::new(password()?), directory)
    }

    /// Starts Mosquitto in `directory`, with further ports for TLS, for websockets, and for
    /// websockets with TLS. On ports with TLS, clients need a certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let ports = TlsPorts {
            mqtt: TlsPort::reserve(MosquittoService::NAME, files.clone())?,
            websockets: TlsPort::reserve(MosquittoService::NAME, files)?,
            plain_websockets: Port::reserve(MosquittoService::NAME)?,
        };
        let service = MosquittoService { tls: Some(ports), ..MosquittoService::new(password()?) };
        Self::start_service(service, directory)
    }

    /// Returns the URL for clients, with user and password.
    pub fn url_with_login(&self) -> String {
        format!("mqtt://{USER}:{}@127.0.0.1:{}", self.service().password, self.port())
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

impl MosquittoService {
    /// Returns a Mosquitto on 127.0.0.1 with one user, who has this password.
    pub(crate) fn new(password: String) -> Self {
        Self { password, device_password: None, listen: None, tls: None }
    }

    /// Adds the user [`DEVICE`], and an address at which clients reach it.
    pub(crate) fn for_devices(self, password: String, listen: Option<IpAddr>) -> Self {
        Self { device_password: Some(password), listen, ..self }
    }

    /// Writes the file of users and hashed passwords.
    fn write_passwords(&self, directory: &Path, account: Option<Account>) -> Result<PathBuf, Error> {
        let file = directory.join("passwords");
        let mut lines = format!("{USER}:{}\n", self.password);
        lines.extend(self.device_password.iter().map(|password| format!("{DEVICE}:{password}\n")));
        write_private(&file, lines.as_bytes(), account)?;
        // Replaces passwords by their hashes.
        let program = program::find("mosquitto_passwd", "mosquitto")?;
        let mut hash = process::command(&program, account, "KILL")?;
        hash.arg("-U").arg(&file);
        process::run(hash)?;
        Ok(file)
    }

    /// Returns the lines of the listeners without TLS.
    fn listeners(&self, port: u16) -> Result<String, Error> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let address = self.listen.unwrap_or(loopback);
        if address == loopback {
            return Ok(format!("listener {port} {address}"));
        }
        TcpListener::bind((address, port)).map_err(|source| Error::AddressUnusable {
            server: Self::NAME,
            address: SocketAddr::new(address, port),
            source,
        })?;
        if address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
            return Ok(format!("listener {port} {address}"));
        }
        Ok(format!("listener {port} {loopback}\nlistener {port} {address}"))
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
        let passwords = self.write_passwords(directory, account)?;
        let access = format!("allow_anonymous false\npassword_file {}", passwords.display());
        let mut text = settings::replace(
            SETTINGS,
            &[
                ("listener", self.listeners(port)?),
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

    fn probe(&self, mut connection: TcpStream) -> io::Result<Answer> {
        // MQTT 3.1.1 CONNECT: user and password, clean session, keep-alive 5 s, no client id. Then
        // DISCONNECT.
        let mut connect = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0xc2, 0, 5, 0, 0];
        for text in [USER, &self.password] {
            connect.extend([0, text.len() as u8]);
            connect.extend(text.as_bytes());
        }
        connection.write_all(&[&[0x10, connect.len() as u8], &connect[..]].concat())?;
        let mut answer = [0; 4];
        connection.read_exact(&mut answer)?;
        connection.write_all(&[0xe0, 0])?;
        if answer == [0x20, 2, 0, 0] { Ok(Answer::Ready) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn url(&self, port: u16) -> String {
        format!("mqtt://127.0.0.1:{port}")
    }
}

fn tls_listener(number: u16, files: &TlsFiles) -> String {
    let TlsFiles { ca, cert, key } = files;
    let (ca, cert, key) = (ca.display(), cert.display(), key.display());
    format!(
        "listener {number} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
    )
}
