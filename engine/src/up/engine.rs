//! The engine as a server of the deployment: a process of this binary, which the server starter
//! starts, probes and stops like Redis, Mosquitto and PostgreSQL.

use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thicket_compose::server::{Launch, Server, Service, Signal};
use thicket_compose::{Answer, Error, Servers, Start};

use super::config_file::{self, Addresses};
use super::place::Place;

/// How long the engine may take to answer a request.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A running engine.
pub(super) type Engine = Server<EngineService>;

/// How to start and probe the engine.
#[derive(Debug)]
pub(super) struct EngineService {
    program: PathBuf,
    place: Place,
    mqtt: String,
    redis: String,
    postgres: String,
}

impl Service for EngineService {
    const NAME: &'static str = "engine";

    fn launch(&self, _: &Path, port: u16) -> Result<Launch, Error> {
        let addresses = Addresses {
            mqtt: self.mqtt.clone(),
            mqtt_password_file: self.place.password().display().to_string(),
            redis: self.redis.clone(),
            postgres: self.postgres.clone(),
            http: format!("127.0.0.1:{port}"),
        };
        config_file::write(&self.place, &addresses).map_err(|error| Error::Io {
            action: "prepare the configuration".to_owned(),
            source: io::Error::other(format!("{error:#}")),
        })?;
        let arguments = vec!["--config".into(), self.place.config().into(), "run".into()];
        let program = self.program.clone();
        Ok(Launch { program, arguments, account: None, stop: Signal::TERM, orphaned: "TERM" })
    }

    /// Asks the engine whether it is ready, and if not, why.
    fn probe(&self, connection: TcpStream) -> io::Result<Answer> {
        let url = format!("http://{}/readyz", connection.peer_addr()?);
        let request = ureq::get(&url).config().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
        let mut answer = request.build().call().map_err(io::Error::other)?;
        if answer.status().is_success() {
            return Ok(Answer::Ready);
        }
        let reasons = answer.body_mut().read_to_string().map_err(io::Error::other)?;
        Ok(Answer::Starting(format!("is not ready: {}", reasons.trim_end().replace('\n', "; "))))
    }

    fn url(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}")
    }
}

/// Starts the engine on the servers and waits until it is ready.
pub(super) fn start(place: &Place, servers: &Servers, start: Start) -> anyhow::Result<Engine> {
    let service = EngineService {
        program: std::env::current_exe()?,
        place: place.clone(),
        mqtt: servers.mosquitto.url(),
        redis: servers.redis.url(),
        postgres: servers.postgres.url(),
    };
    Ok(Server::start_service_on(service, &place.directory().join(EngineService::NAME), start)?)
}
