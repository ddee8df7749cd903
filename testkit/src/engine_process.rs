//! An engine process: starts it, sends requests and signals to it, waits for it. Every method
//! returns an error instead of a panic. Tests use [`Engine`](crate::Engine).

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use thicket_compose::{owned_command, spawn_owned};

use crate::http::{Response, request};
use crate::metrics::Metrics;
use crate::system::free_port;
use crate::timing::POLL_INTERVAL;

/// How long an engine may take to answer a request.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The parameters of an engine's start.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// Where its configuration, its log and its list of fired fail points are written.
    pub directory: &'a Path,
    /// The beginning of the names of these files.
    pub name: &'a str,
    /// The text of the configuration file.
    pub config: &'a str,
    /// Additional environment variables.
    pub environment: &'a [(&'a str, &'a str)],
}

/// A running engine. Killed when dropped.
#[derive(Debug)]
pub struct EngineProcess {
    child: Child,
    port: u16,
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    fired: PathBuf,
}

impl EngineProcess {
    /// Starts an engine that answers on a free port.
    pub fn start(launch: &Launch<'_>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let file = |ending: &str| launch.directory.join(format!("{}-{port}.{ending}", launch.name));
        let (config, log, fired) = (file("toml"), file("log"), file("fired"));
        std::fs::write(&config, launch.config)?;
        // An engine that outlives its test would take leases in the servers of a later test.
        let mut command = owned_command(launch.binary)?;
        command
            .arg("--config")
            .arg(&config)
            .arg("run")
            .env("THICKET__HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("THICKET_FIRED", &fired)
            .envs(launch.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let child =
            spawn_owned(command).with_context(|| format!("{} cannot be started", launch.binary.display()))?;
        Ok(Self { child, port, binary: launch.binary.to_owned(), config, log, fired })
    }

    /// Waits until the engine is ready, or was killed, for instance by a fail point.
    pub async fn ready_or_killed(&mut self, limit: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while !self.is_ready().await {
            match self.ended()? {
                Some(status) if status.signal() == Some(Signal::KILL.as_raw()) => return Ok(()),
                Some(status) => bail!("the engine ended at its start: {status}"),
                None if started.elapsed() > limit => bail!("the engine does not become ready"),
                None => tokio::time::sleep(POLL_INTERVAL).await,
            }
        }
        Ok(())
    }

    /// The port of its HTTP server.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether `/readyz` answers 200, and readings flow through this node: a standby is not active.
    pub async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_ok_and(|answer| answer.status == 200 && answer.body.starts_with("ready"))
    }

    /// Requests a path of its HTTP server.
    pub async fn get(&self, path: &str) -> anyhow::Result<Response> {
        self.request("GET", path, None, None, ANSWER_LIMIT).await
    }

    /// Sends a request to its HTTP server. A `body` is JSON.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
        limit: Duration,
    ) -> anyhow::Result<Response> {
        request(method, format!("http://127.0.0.1:{}{path}", self.port), token, body, limit).await
    }

    /// Its metrics at this moment.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::parse(&self.get("/metrics").await?.body)
    }

    /// Its exit status, or `None` while it runs.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended. Returns `None` if it still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(None)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    /// Sets how many descriptors it may have open.
    pub fn limit_descriptors(&self, most: u64) -> anyhow::Result<()> {
        self.limit(Resource::Nofile, most)
    }

    /// Leaves it no more memory than it has: the next allocation that needs more ends it.
    pub fn limit_memory(&self) -> anyhow::Result<()> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let data = status.lines().find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB"));
        let kib: u64 = data.context("the kernel does not tell its memory")?.trim().parse()?;
        self.limit(Resource::Data, kib * 1_024)
    }

    fn limit(&self, resource: Resource, most: u64) -> anyhow::Result<()> {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        prlimit(Some(self.pid()?), resource, limit)?;
        Ok(())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Pid::from_raw(self.child.id().cast_signed()).context("no process id")
    }

    /// Sends SIGKILL and waits until it has ended.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The fail points that have fired, in order.
    pub fn fired(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.fired).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs a command of its binary with its configuration.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(Command::new(&self.binary).arg("--config").arg(&self.config).args(arguments).output()?)
    }

    /// Replaces the text of its configuration file. The engine notices by itself after a while, and
    /// at once after SIGHUP.
    pub fn rewrite_config(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.config, text)?)
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // Fails if it has ended already.
        drop(self.kill());
    }
}
