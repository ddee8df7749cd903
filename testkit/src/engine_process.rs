//! An engine process: started with faults, asked, signalled, waited for.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How often a condition is looked at.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// What an engine is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The binary, built with the feature `faults`.
    pub(crate) binary: &'a Path,
    /// Where its configuration, its log and its notes go.
    pub(crate) directory: &'a Path,
    /// What PostgreSQL and its files know it by.
    pub(crate) node: &'a str,
    /// The configuration file's text.
    pub(crate) config: &'a str,
    /// `THICKET_FAULTS`
    pub(crate) faults: &'a str,
    /// `THICKET_BREAK`
    pub(crate) broken: &'a str,
    /// Anything else in its environment.
    pub(crate) environment: &'a [(&'static str, &'static str)],
}

/// A running engine. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    child: Child,
    port: u16,
    config: PathBuf,
    log: PathBuf,
    fired: PathBuf,
}

impl Engine {
    pub(crate) fn start(launch: &Launch<'_>) -> anyhow::Result<Self> {
        let port = free_port()?;
        let file = |ending: &str| launch.directory.join(format!("{}-{port}.{ending}", launch.node));
        let (config, log, fired) = (file("toml"), file("log"), file("fired"));
        std::fs::write(&config, launch.config)?;
        let mut command = Command::new(launch.binary);
        command
            .arg("--config")
            .arg(&config)
            .arg("run")
            .env("THICKET__HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .env("THICKET_FAULTS", launch.faults)
            .env("THICKET_BREAK", launch.broken)
            .env("THICKET_FIRED", &fired)
            .envs(launch.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", launch.binary.display()))?;
        Ok(Self { child, port, config, log, fired })
    }

    /// Waits until it is ready, or has died of its faults.
    pub(crate) async fn ready(&mut self, patience: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            if self.get("/readyz").await.is_some_and(|answer| answer.contains(" 200 ")) {
                return Ok(());
            }
            match self.ended()? {
                Some(status) if status.signal() == Some(9) => return Ok(()),
                Some(status) => bail!("the engine ended at its start: {status}"),
                None if started.elapsed() > patience => bail!("the engine does not become ready"),
                None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// The sum of a metric over its labels; nothing if the engine does not answer.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await?;
        let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        Some(text.lines().filter(of).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    async fn get(&self, path: &str) -> Option<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            Some(answer)
        };
        tokio::time::timeout(Duration::from_secs(2), ask).await.ok()?
    }

    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended; nothing if it goes on.
    pub(crate) async fn end(&mut self, patience: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let started = Instant::now();
        while started.elapsed() < patience {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(None)
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(self.child.id().cast_signed()).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The places that have fired.
    pub(crate) fn fired(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.fired).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Runs a command of the binary with this engine's configuration; what it prints if it fails.
    pub(crate) fn command(&self, binary: &Path, arguments: &[&str]) -> anyhow::Result<Option<String>> {
        let output = Command::new(binary).arg("--config").arg(&self.config).args(arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let printed = || format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        Ok((!output.status.success()).then(printed))
    }

    /// Puts another configuration in the place of its own.
    pub(crate) fn rewrite_config(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.config, text)?)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Dead already is as good.
        drop(self.kill());
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
