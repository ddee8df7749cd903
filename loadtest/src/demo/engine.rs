//! The engine as a server of the demo: a process of the binary `thicket`, which the server
//! starter starts, probes and stops like Redis, Mosquitto and PostgreSQL.

use std::{
    io,
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use thicket_compose::{
    Answer, Error, Servers,
    server::{Launch, Server, Service, Signal},
};

use super::blocking::blocking;
use crate::{
    http,
    metrics_page::{MetricsError, MetricsPage},
};

/// How long the engine may take to answer a request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The engine's user of the database. It is no superuser.
pub(super) const LOGIN: &str = "engine";

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

    /// Succeeds once the engine reports that it is ready.
    fn probe(&self, connection: TcpStream) -> io::Result<Answer> {
        let url = format!("http://{}/readyz", connection.peer_addr()?);
        http::get(&url, TIMEOUT).map(|_| Answer::Ready).map_err(io::Error::other)
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }
}

impl Engine {
    /// Starts the engine on the servers and waits until it accepts readings.
    ///
    /// The engine runs with its default settings except for the quota of alarms. The demo lasts
    /// about an hour of event time: the default of one alarm a week would hide most anomalies.
    pub(super) async fn start(program: PathBuf, directory: &Path, servers: &Servers) -> anyhow::Result<Self> {
        let settings = format!(
            "[mqtt]\nurl = \"{}\"\nusername = \"{}\"\npassword = \"{}\"\n\
             [redis]\nurl = \"{}\"\n[postgres]\nurl = \"{}\"\n\
             [detector]\nalarms_per_week = 300\n",
            servers.mosquitto.url(),
            thicket_compose::USER,
            thicket_compose::password()?,
            servers.redis.url(),
            servers.postgres.url_as(LOGIN)
        );
        let service = EngineService { program, settings };
        let directory = directory.join("engine");
        let server = blocking(move || Ok(Server::start_service(service, &directory)?)).await?;
        Ok(Self { server })
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) async fn scrape(&self) -> Result<MetricsPage, MetricsError> {
        MetricsPage::fetch(&format!("{}/metrics", self.url()), TIMEOUT).await
    }

    /// Stops the engine gracefully.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.server.stop()?)
    }
}
