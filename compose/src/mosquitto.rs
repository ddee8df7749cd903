//! Mosquitto: the MQTT broker.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
};

use crate::{
    error::{Context, Error},
    port::Port,
    program,
    server::{Launch, Server, Service, Signal},
    settings,
    tls::{TlsFiles, TlsPort},
};

const SETTINGS: &str = include_str!("../mosquitto/mosquitto.conf");

/// A private Mosquitto with `compose/mosquitto/mosquitto.conf`.
pub type Mosquitto = Server<MosquittoService>;

/// How to start and probe Mosquitto.
#[derive(Debug, Default)]
pub struct MosquittoService {
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
        Self::start_service(MosquittoService::default(), directory)
    }

    /// Starts Mosquitto in `directory`, with further ports for TLS, for websockets, and for
    /// websockets with TLS. On ports with TLS, clients need a certificate.
    pub fn start_with_tls(directory: &Path, files: TlsFiles) -> Result<Self, Error> {
        let ports = TlsPorts {
            mqtt: TlsPort::reserve(MosquittoService::NAME, files.clone())?,
            websockets: TlsPort::reserve(MosquittoService::NAME, files)?,
            plain_websockets: Port::reserve(MosquittoService::NAME)?,
        };
        Self::start_service(MosquittoService { tls: Some(ports) }, directory)
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
        let file = directory.join("mosquitto.conf");
        let mut text = settings::replace(
            SETTINGS,
            &[
                ("listener", format!("listener {port} 127.0.0.1")),
                ("persistence_location", format!("persistence_location {}/", directory.display())),
            ],
        );
        if rustix::process::geteuid().is_root() {
            // By default a Mosquitto of root becomes the user `mosquitto`, who cannot enter the
            // directory.
            text.push_str("user root\n");
        }
        if let Some(tls) = &self.tls {
            text.push_str(&tls_listener(&tls.mqtt));
            text.push_str(&tls_listener(&tls.websockets));
            text.push_str("protocol websockets\n");
            let plain = tls.plain_websockets.number();
            text.extend([format!("listener {plain} 127.0.0.1\nprotocol websockets\n")]);
        }
        std::fs::write(&file, text).during(|| format!("write {}", file.display()))?;
        let arguments = vec!["-c".into(), file.into()];
        Ok(Launch { program, arguments, account: None, stop: Signal::TERM, orphaned: "TERM" })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<()> {
        // MQTT 3.1.1 CONNECT: clean session, keep-alive 5 s, no client id. Then DISCONNECT.
        connection.write_all(&[0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 5, 0, 0])?;
        let mut answer = [0; 4];
        connection.read_exact(&mut answer)?;
        connection.write_all(&[0xe0, 0])?;
        if answer == [0x20, 2, 0, 0] { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }

    fn url(&self, port: u16) -> String {
        format!("mqtt://127.0.0.1:{port}")
    }
}

fn tls_listener(port: &TlsPort) -> String {
    let TlsFiles { ca, cert, key } = &port.files;
    let (number, ca, cert, key) = (port.number(), ca.display(), cert.display(), key.display());
    format!(
        "listener {number} 127.0.0.1\ncafile {ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate true\n"
    )
}
