//! Mosquitto: the MQTT broker.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
};

use crate::{
    error::{Context, Error},
    program,
    server::{Launch, Server, Service, Signal},
    settings,
};

const SETTINGS: &str = include_str!("../mosquitto/mosquitto.conf");

/// A private Mosquitto with `compose/mosquitto/mosquitto.conf`.
pub type Mosquitto = Server<MosquittoService>;

/// How to start and probe Mosquitto.
#[derive(Debug)]
pub struct MosquittoService;

impl Server<MosquittoService> {
    /// Starts Mosquitto in `directory`.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        Self::start_service(MosquittoService, directory)
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
