//! The private servers of a deployment, without the engine.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{bail, ensure};
use thicket_compose::{Lasting, Patience, Ports, Servers, missing_packages};
use thicket_schema::postgres::migrate;
use thicket_store::postgres::connect_postgres;

use super::addresses::SavedPorts;
use super::config_file::{self, Addresses};
use super::place::Place;
use super::record::{self, Lock};
use super::secrets::Secrets;
use super::start_watch::patience;

/// The servers of a deployment that no process supervises.
pub(crate) struct Idle {
    /// On free ports. They end with this value.
    servers: Servers,
    place: Place,
    _lock: Lock,
}

impl Idle {
    /// Starts the servers of the deployment in a data directory, on free ports. Creates the
    /// deployment if `is_new`; otherwise it must exist.
    ///
    /// # Errors
    /// Also if `thicket up` runs there.
    pub(crate) fn start(place: Place, is_new: bool) -> anyhow::Result<Self> {
        let directory = place.directory().display();
        let exists = place.config().exists();
        ensure!(
            exists || is_new,
            "there is no deployment in {directory}; name its data directory with --data"
        );
        ensure!(!exists || !is_new, "there is a deployment in {directory} already; name a new directory");
        place.create()?;
        let Some(lock) = record::lock(&place)? else {
            bail!("the deployment in {directory} runs; stop it with `thicket down`, and try again");
        };
        let secrets = Secrets::of(&place)?;
        // Ctrl-C ends this process, and the kernel then tells the servers to stop.
        let servers = start(&place, &lasting(&secrets, Ports::default(), patience(Arc::default())))?;
        let idle = Self { servers, place, _lock: lock };
        if !is_new {
            config_file::write(&idle.place, &idle.addresses())?;
        }
        Ok(idle)
    }

    /// Returns the configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.place.config()
    }

    /// Returns the configuration file of an import that has not ended.
    pub(crate) fn import_config(&self) -> PathBuf {
        self.place.import_config()
    }

    /// Writes the configuration file of an import. `text` has no addresses yet.
    pub(crate) fn write_import_config(&self, text: &str) -> anyhow::Result<()> {
        config_file::write_imported(&self.place, text, &self.addresses())
    }

    /// Makes the configuration file of an import that of the deployment.
    pub(crate) fn accept_import_config(&self) -> anyhow::Result<()> {
        std::fs::rename(self.import_config(), self.config())?;
        std::fs::File::open(self.place.directory())?.sync_all()?;
        Ok(())
    }

    /// Returns the addresses of the servers, and an address of HTTP that the next start replaces.
    fn addresses(&self) -> Addresses {
        Addresses {
            mqtt: self.servers.mosquitto.url(),
            mqtt_password_file: self.place.password().display().to_string(),
            redis: self.servers.redis.url(),
            postgres: self.servers.postgres.url(),
            http: "127.0.0.1:9464".to_owned(),
        }
    }
}

/// Returns how to start the servers, which only this machine reaches.
pub(super) fn lasting(secrets: &Secrets, ports: Ports, patience: Patience) -> Lasting {
    let (password, device_password) = (secrets.engine.clone(), secrets.device.clone());
    Lasting { ports, password, device_password, listen: None, patience }
}

/// Starts the servers and brings the tables up to date.
pub(super) fn start(place: &Place, lasting: &Lasting) -> anyhow::Result<Servers> {
    let missing = missing_packages();
    if !missing.is_empty() {
        let packages = missing.join(" ");
        bail!(
            "these packages are missing: {packages}; install them with `sudo apt-get install --no-install-recommends {packages}`; \
             the services that apt-get starts are not needed (`sudo systemctl disable --now redis-server mosquitto postgresql`); \
             in a checkout of the sources, compose/install-servers does both"
        );
    }
    let is_first = SavedPorts::read(place)?.is_none();
    let servers = Servers::start_lasting(place.directory(), lasting)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let connection = connect_postgres(&servers.postgres.url()).await?;
        anyhow::Ok(migrate(connection).await?)
    })?;
    if is_first {
        // The cluster was copied without a sync. From here on, PostgreSQL syncs what it writes.
        let directory = std::fs::File::open(place.directory())?;
        rustix::fs::syncfs(directory)?;
    }
    Ok(servers)
}
