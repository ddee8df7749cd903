//! Runs `docker`, and does to containers what it cannot.

use std::{
    iter,
    process::{Command, Output},
};

use serde_json::Value;

/// The image of helper containers. The composition's own image is made of it, so it is there.
const HELPER: &str = "debian:12.15-slim";

/// Runs `docker` and returns its standard output. Panics, with what it printed, if it fails.
pub(crate) fn docker<I: AsRef<str>>(arguments: impl IntoIterator<Item = I>) -> String {
    let arguments: Vec<String> = arguments.into_iter().map(|text| text.as_ref().to_owned()).collect();
    let output = Command::new("docker").args(&arguments).output().unwrap();
    assert!(output.status.success(), "docker {}\n{}", arguments.join(" "), shown(&output));
    text(&output.stdout)
}

/// Returns everything that a command printed.
pub(crate) fn shown(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A container of a service.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) service: String,
    /// `running`, `exited` and so on.
    pub(crate) status: String,
    pub(crate) exit_code: i64,
    /// The process in the host's namespace; 0 if none runs.
    pub(crate) pid: u64,
    /// How often the engine has restarted it.
    pub(crate) restarts: u64,
    /// Whether the health check succeeds; true if there is none.
    pub(crate) healthy: bool,
}

impl Container {
    /// Returns the containers of a project, stopped ones too.
    pub(crate) fn of(project: &str) -> Vec<Self> {
        let filter = format!("label=com.docker.compose.project={project}");
        let ids = docker(["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        if ids.trim().is_empty() {
            return Vec::new();
        }
        let text = docker(iter::once("inspect").chain(ids.split_whitespace()));
        let containers: Value = serde_json::from_str(&text).unwrap();
        containers.as_array().unwrap().iter().map(Self::parse).collect()
    }

    fn parse(container: &Value) -> Self {
        let (state, labels) = (&container["State"], &container["Config"]["Labels"]);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            id: text(&container["Id"]),
            service: text(&labels["com.docker.compose.service"]),
            status: text(&state["Status"]),
            exit_code: state["ExitCode"].as_i64().unwrap(),
            pid: state["Pid"].as_u64().unwrap(),
            restarts: container["RestartCount"].as_u64().unwrap(),
            healthy: state["Health"].is_null() || state["Health"]["Status"] == "healthy",
        }
    }

    /// Returns whether the container runs and is healthy.
    pub(crate) fn is_well(&self) -> bool {
        self.status == "running" && self.healthy
    }
}

/// Kills the processes of containers as a crash does. `docker kill` would count as a stop by the
/// operator, after which the engine restarts nothing.
pub(crate) fn crash(containers: &[Container]) {
    let pids: Vec<String> = containers.iter().map(|container| container.pid.to_string()).collect();
    host(&format!("kill -9 {}", pids.join(" ")));
}

/// Runs a shell command that sees the processes of the host, and returns its output.
pub(crate) fn host(command: &str) -> String {
    docker(["run", "--rm", "--pid=host", "--network=none", HELPER, "sh", "-c", command])
}
