//! Servers and engine of a deployment: started together, watched, and stopped in the order of the
//! data flow.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use thicket_compose::server::{Server, Service};
use thicket_compose::{Error, Lasting, Patience, Servers, Start};

use super::addresses::{SavedPorts, WantedPorts};
use super::engine::{self, Engine};
use super::place::Place;
use super::record::ProcessRecord;
use super::secrets::Secrets;
use super::servers;
use crate::terminal::{errln, on_one_line};

/// Bounds of the wait before a process is started again.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A process that has run this long begins again with the first wait.
const STEADY: Duration = Duration::from_mins(1);

/// A running deployment. Dropping the value stops the engine before its servers, in the order of
/// the fields.
pub(super) struct Deployment {
    engine: Engine,
    servers: Servers,
    /// The address beside 127.0.0.1 at which devices reach Mosquitto.
    listen: Option<IpAddr>,
    /// In the order of [`Self::records`].
    restarts: [Restarts; 4],
}

/// When a process is started again.
#[derive(Debug)]
struct Restarts {
    count: u32,
    wait: Duration,
    /// When the process was last seen running.
    last_seen: Instant,
    /// When it was last started.
    started: Instant,
}

impl Restarts {
    fn new() -> Self {
        Self { count: 0, wait: FIRST_WAIT, last_seen: Instant::now(), started: Instant::now() }
    }
}

impl Deployment {
    /// Starts the servers, brings the tables up to date and starts the engine.
    pub(super) fn start(place: &Place, ports: WantedPorts, patience: &Patience) -> anyhow::Result<Self> {
        errln!("thicket: starting Mosquitto, Redis and PostgreSQL");
        let listen = ports.listen;
        let secrets = Secrets::of(place)?;
        let lasting = servers::lasting(&secrets, ports.servers, patience.clone());
        let servers = servers::start(place, &Lasting { listen, ..lasting })?;
        secrets.write_client_options(place, servers.mosquitto.port())?;
        errln!("thicket: starting the engine");
        let start = Start { port: ports.http, patience: patience.clone() };
        let engine = engine::start(place, &servers, start)?;
        let restarts = std::array::from_fn(|_| Restarts::new());
        let deployment = Self { engine, servers, listen, restarts };
        deployment.ports().write(place)?;
        Ok(deployment)
    }

    /// Returns the ports of servers and engine.
    pub(super) fn ports(&self) -> SavedPorts {
        SavedPorts {
            mqtt: self.servers.mosquitto.port(),
            redis: self.servers.redis.port(),
            postgres: self.servers.postgres.port(),
            http: self.engine.port(),
            listen: self.listen,
        }
    }

    /// Returns the state of each process.
    pub(super) fn records(&mut self) -> Vec<ProcessRecord> {
        let [first, second, third, fourth] = &self.restarts;
        vec![
            record(&mut self.engine, first),
            record(&mut self.servers.mosquitto, second),
            record(&mut self.servers.redis, third),
            record(&mut self.servers.postgres, fourth),
        ]
    }

    /// Starts every process again that has ended, after a wait that grows with each failure.
    pub(super) fn revive(&mut self) {
        let [first, second, third, fourth] = &mut self.restarts;
        revive(&mut self.servers.postgres, fourth);
        revive(&mut self.servers.redis, third);
        revive(&mut self.servers.mosquitto, second);
        revive(&mut self.engine, first);
    }

    /// Stops the engine, which drains, and then the servers. Stops all before it returns the first
    /// error.
    pub(super) fn stop(&mut self) -> Result<(), Error> {
        let engine = self.engine.stop();
        self.servers.stop().and(engine)
    }
}

fn record<S: Service>(server: &mut Server<S>, restarts: &Restarts) -> ProcessRecord {
    ProcessRecord {
        name: S::NAME.to_owned(),
        pid: server.pid(),
        port: server.port(),
        is_running: server.is_running(),
        restarts: restarts.count,
    }
}

fn revive<S: Service>(server: &mut Server<S>, restarts: &mut Restarts) {
    if server.is_running() {
        restarts.last_seen = Instant::now();
        if restarts.started.elapsed() >= STEADY {
            restarts.wait = FIRST_WAIT;
        }
        return;
    }
    if restarts.last_seen.elapsed() < restarts.wait {
        return;
    }
    errln!("thicket: {} has ended; starting it again", S::NAME);
    restarts.count = restarts.count.saturating_add(1);
    restarts.wait = (restarts.wait * 2).min(LONGEST_WAIT);
    if let Err(error) = server.restart_on_same_port() {
        errln!("thicket: {}", on_one_line(&error.to_string()));
    }
    restarts.started = Instant::now();
    restarts.last_seen = restarts.started;
}
