//! The engine as a server of the demo: a process of this very program, started, asked and stopped like the others.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use thicket_compose::server::{Launch, Server, Service, Signal};
use thicket_compose::{Error, Servers};

use crate::scrape::{Samples, scrape};

/// A running engine.
pub(super) struct Engine {
    server: Server<EngineService>,
}

#[derive(Debug)]
struct EngineService {
    program: PathBuf,
    settings: String,
}

impl Service for EngineService {
    const NAME: &'static str = "engine";

    fn launch(&self, directory: &Path, port: u16) -> Result<Launch, Error> {
        let file = directory.join("thicket.toml");
        let text = format!("{}\n[http]\nlisten = \"127.0.0.1:{port}\"\n", self.settings);
        std::fs::write(&file, text)
            .map_err(|source| Error::Io { action: format!("write {}", file.display()), source })?;
        let arguments = vec!["--config".into(), file.into(), "run".into()];
        Ok(Launch {
            program: self.program.clone(),
            arguments,
            account: None,
            stop: Signal::TERM,
            orphaned: "TERM",
        })
    }

    fn probe(&self, mut connection: TcpStream) -> io::Result<()> {
        connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        if answer.contains(" 200 ") { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }
}

impl Engine {
    /// Starts the engine on the servers, with the settings that ship but for one, and waits until readings would flow. The demo lasts about
    /// an hour of the sensors' time: the shipped quota of alarms, one a week, would leave most of what happens unsaid.
    pub(super) async fn start(directory: &Path, servers: &Servers) -> anyhow::Result<Self> {
        let settings = format!(
            "[mqtt]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n[postgres]\nurl = \"{}\"\n\
             [detector]\nalarms_per_week = 100\n",
            servers.mosquitto.url(),
            servers.redis.url(),
            servers.postgres.url()
        );
        let service = EngineService { program: std::env::current_exe()?, settings };
        let directory = directory.join("engine");
        let server = super::blocking(move || Ok(Server::start_service(service, &directory)?)).await?;
        Ok(Self { server })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) async fn scrape(&self) -> anyhow::Result<Samples> {
        scrape(SocketAddr::from((Ipv4Addr::LOCALHOST, self.server.port()))).await
    }

    /// Stops it gracefully.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.server.stop()?)
    }
}
