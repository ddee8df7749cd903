//! A deployment of `thicket up` for one test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::support::{BINARY, stderr, stdout};

/// How long rows may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A deployment of its own, stopped when it is dropped.
pub(crate) struct Deployment {
    /// Removed at the end.
    _folder: tempfile::TempDir,
    pub(crate) data: PathBuf,
    /// The program that starts and stops it.
    pub(crate) binary: String,
    /// Its ports for devices, Redis, PostgreSQL and HTTP. They stay free between two starts.
    ports: [u16; 4],
}

impl Deployment {
    pub(crate) fn new() -> Self {
        Self::of(BINARY)
    }

    /// Returns a deployment of this binary.
    pub(crate) fn of(binary: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { _folder: folder, data, binary: binary.to_owned(), ports: [(); 4].map(|()| own_port()) }
    }

    pub(crate) fn thicket(&self, arguments: &[&str]) -> Output {
        Command::new(&self.binary).args(arguments).env("THICKET_DATA", &self.data).output().unwrap()
    }

    pub(crate) fn up(&self) -> String {
        let [mqtt, redis, postgres, http] = self.ports.map(|port| port.to_string());
        let up = self.thicket(&[
            "up",
            "--mqtt-port",
            &mqtt,
            "--redis-port",
            &redis,
            "--postgres-port",
            &postgres,
            "--http-port",
            &http,
        ]);
        assert!(up.status.success(), "{}{}", stderr(&up), logs(&self.data));
        stdout(&up)
    }

    /// Runs lines of a shell that finds the deployment.
    pub(crate) fn shell(&self, lines: &str) -> Output {
        let lines = format!("eval \"$(thicket up --env)\"\n{lines}");
        let mut command = shell_with(&self.binary, &lines);
        command.env("THICKET_DATA", &self.data).output().unwrap()
    }

    /// Waits until a query prints a text.
    pub(crate) fn until(&self, query: &str, text: &str) {
        let started = Instant::now();
        loop {
            let answer = self.shell(&format!("psql --no-psqlrc -At -c \"{query}\""));
            if stdout(&answer).contains(text) {
                return;
            }
            let late = started.elapsed() > LIMIT;
            assert!(!late, "{query}: {}{}{}", stdout(&answer), stderr(&answer), logs(&self.data));
        }
    }

    pub(crate) fn port(&self, name: &str) -> String {
        let ports = std::fs::read(self.data.join("ports.json")).unwrap();
        let ports: serde_json::Value = serde_json::from_slice(&ports).unwrap();
        ports[name].to_string()
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        self.thicket(&["down"]);
    }
}

/// Returns a port that no other test of this program gets. It is below the ports that the system
/// gives to connections, and no server of the tests prefers it.
fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(30_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A shell that finds the binary under test as `thicket`.
pub(crate) fn shell(lines: &str) -> Command {
    shell_with(BINARY, lines)
}

fn shell_with(binary: &str, lines: &str) -> Command {
    let binaries = Path::new(binary).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command.args(["-euc", lines]).env("PATH", format!("{}:{path}", binaries.display()));
    command
}

pub(crate) fn logs(data: &Path) -> String {
    let logs = Command::new(BINARY).args(["up", "--logs", "--data"]).arg(data).output().unwrap();
    stdout(&logs)
}
