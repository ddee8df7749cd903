//! A private composition: a copy of the files that only their owner may read, a project name and
//! ports of its own, and what can be asked of it.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::docker::{Container, docker, shown, text};

/// Services that exit when they are done.
const ONE_SHOT: [&str; 3] = ["permissions", "migrate", "sounds"];
/// How long to wait for something that a working composition does within seconds.
const PATIENCE: Duration = Duration::from_mins(4);

/// A file that nobody else may read, beside the settings.
const KEY: &str = "compose/mosquitto/server.key";

pub(crate) struct Project {
    name: String,
    folder: TempDir,
    /// Environment of `docker compose`.
    environment: Vec<(String, String)>,
    files: Vec<&'static str>,
    pub(crate) mqtt_port: u16,
    pub(crate) prometheus_port: u16,
    pub(crate) alertmanager_port: u16,
}

impl Project {
    /// Copies the files of the composition as a checkout under umask 077 has them.
    pub(crate) fn new(image: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        for part in ["compose", "dashboards/grafana", "dashboards/prometheus"] {
            copy(&root.join(part), &folder.path().join(part));
        }
        fs::write(folder.path().join(KEY), "a private key").unwrap();
        fs::set_permissions(folder.path().join(KEY), PermissionsExt::from_mode(0o600)).unwrap();
        let ports: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let [mqtt_port, prometheus_port, alertmanager_port, grafana_port] =
            [0, 1, 2, 3].map(|index: usize| ports[index].local_addr().unwrap().port());
        let environment = [
            ("THICKET_IMAGE", image.to_owned()),
            ("MQTT_PORT", mqtt_port.to_string()),
            ("PROMETHEUS_PORT", prometheus_port.to_string()),
            ("ALERTMANAGER_PORT", alertmanager_port.to_string()),
            ("GRAFANA_PORT", grafana_port.to_string()),
            ("COMPOSE_PROFILES", "demo".to_owned()),
        ];
        Self {
            name: format!("thicket-run-{}", std::process::id()),
            folder,
            environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            files: vec!["compose.yaml"],
            mqtt_port,
            prometheus_port,
            alertmanager_port,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of one of the project's networks or volumes.
    pub(crate) fn resource(&self, name: &str) -> String {
        format!("{}_{name}", self.name)
    }

    /// Returns whether the file beside the settings is as private as it was.
    pub(crate) fn keeps_its_key(&self) -> bool {
        fs::metadata(self.folder.path().join(KEY)).unwrap().permissions().mode() & 0o777 == 0o600
    }

    /// Returns the copy of the repository's root.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Runs lines of a shell in the root, as a reader of the documents does. Only `up` does not build.
    pub(crate) fn shell(&self, lines: &str) -> Output {
        const UP: &str = "docker() { if [ \"$2\" = up ]; then command docker compose up --no-build --quiet-pull \"${@:3}\"; \
                          else command docker \"$@\"; fi; }";
        let mut command = Command::new("bash");
        command.args(["-euc", &format!("{UP}\n{lines}")]).current_dir(self.root()).stdin(Stdio::null());
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.envs(environment).env("COMPOSE_PROJECT_NAME", &self.name).output().unwrap()
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Adds an override file.
    pub(crate) fn add_file(&mut self, file: &'static str) {
        self.files.push(file);
    }

    /// Runs `docker compose` and returns what came of it.
    pub(crate) fn try_compose(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker");
        command.args(["compose", "--project-name", &self.name, "--ansi", "never"]);
        for file in &self.files {
            command.arg("--file").arg(self.folder.path().join("compose").join(file));
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(arguments).envs(environment).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        let output = self.try_compose(arguments);
        assert!(
            output.status.success(),
            "docker compose {}\n{}{}",
            arguments.join(" "),
            shown(&output),
            self.complaints()
        );
        text(&output.stdout)
    }

    /// Starts or updates everything, without a build.
    pub(crate) fn up(&self) {
        self.compose(&["up", "--detach", "--no-build", "--quiet-pull"]);
    }

    pub(crate) fn containers(&self) -> Vec<Container> {
        Container::of(&self.name)
    }

    /// Returns the containers of a service.
    pub(crate) fn of(&self, service: &str) -> Vec<Container> {
        self.containers().into_iter().filter(|container| container.service == service).collect()
    }

    /// Returns the container of a service that has one.
    pub(crate) fn one(&self, service: &str) -> Container {
        let mut containers = self.of(service);
        assert_eq!(containers.len(), 1, "{service}: {containers:?}");
        containers.remove(0)
    }

    /// Returns the containers that run until they are stopped.
    pub(crate) fn lasting(&self) -> Vec<Container> {
        self.containers().into_iter().filter(|container| !ONE_SHOT.contains(&&*container.service)).collect()
    }

    /// Waits until every lasting service runs and is healthy, and every other has succeeded.
    pub(crate) fn wait_until_well(&self) {
        self.until("all services are healthy", || {
            let containers = self.containers();
            let done = |container: &Container| container.status == "exited" && container.exit_code == 0;
            containers.iter().any(|container| container.service == "engine")
                && containers.iter().all(|container| {
                    if ONE_SHOT.contains(&&*container.service) {
                        done(container)
                    } else {
                        container.is_well()
                    }
                })
        });
    }

    /// Waits until a condition holds. Fails after four minutes with the ends of the logs.
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "timed out waiting until {what}\n{}", self.complaints());
            pause(Duration::from_millis(300));
        }
    }

    /// Returns the states of all containers and the ends of the logs of those that are not well.
    fn complaints(&self) -> String {
        let mut complaints = String::new();
        for container in self.containers() {
            complaints.extend([format!("{container:?}"), "\n".to_owned()]);
            if !container.is_well() || container.service == "engine" {
                let logs =
                    Command::new("docker").args(["logs", "--tail", "15", &container.id]).output().unwrap();
                complaints += &shown(&logs);
            }
        }
        complaints
    }

    /// Runs SQL as a user of the database; returns rows with cells joined by `|`. `None` if the
    /// database does not answer.
    pub(crate) fn try_sql(&self, user: &str, sql: &str) -> Option<String> {
        let postgres = self.of("postgres").into_iter().find(Container::is_well)?;
        let psql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", "thicket", "-c", sql];
        let output = Command::new("docker").args(["exec", &postgres.id]).args(psql).output().unwrap();
        output.status.success().then(|| text(&output.stdout).trim_end().to_owned())
    }

    /// Runs named queries in one session, and returns the rows of each. Panics at the first that
    /// fails.
    pub(crate) fn sql_answers(&self, user: &str, queries: &[(String, String)]) -> Vec<String> {
        const MARK: &str = "next query: ";
        let mut arguments = vec!["psql".to_owned(), "-XqAt".to_owned()];
        arguments.extend(["-v", "ON_ERROR_STOP=1", "-d", "thicket", "-U", user].map(str::to_owned));
        for (name, sql) in queries {
            arguments.extend(["-c".to_owned(), format!("\\echo '{MARK}{name}'")]);
            arguments.extend(["-c".to_owned(), sql.clone()]);
        }
        let postgres = self.one("postgres");
        let output = Command::new("docker").args(["exec", &postgres.id]).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        let answers = text(&output.stdout);
        let rows = |answer: &str| answer.split_once('\n').map_or("", |(_, rows)| rows).trim_end().to_owned();
        answers.split(MARK).skip(1).map(rows).collect()
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.try_sql("thicket", sql).unwrap_or_else(|| panic!("no answer to {sql}\n{}", self.complaints()))
    }

    /// Returns the number of rows of readings.
    pub(crate) fn rows(&self) -> u64 {
        self.sql("SELECT sum(scored + unscored + poison + late) FROM ledger").parse().unwrap_or(0)
    }

    /// Waits until readings of the replay become rows.
    pub(crate) fn wait_until_flowing(&self) {
        let count = "SELECT sum(scored + unscored + poison + late) FROM ledger";
        let rows = || self.try_sql("thicket", count).and_then(|rows| rows.parse::<u64>().ok());
        let mut before = None;
        self.until("readings become rows", || {
            let now = rows();
            let flowing = matches!((before, now), (Some(before), Some(now)) if now > before);
            before = before.or(now);
            flowing
        });
    }

    /// Publishes one message from within the broker's container.
    pub(crate) fn publish(&self, topic: &str, message: &str, login: &[&str]) -> bool {
        let client = ["exec", "-T", "mosquitto", "mosquitto_pub", "-q", "1", "-t", topic, "-m", message];
        self.try_compose(&[&client[..], login].concat()).status.success()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.try_compose(&["down", "--volumes", "--timeout", "5", "--remove-orphans"]);
    }
}

/// Copies a folder; the copy has no rights for anybody but its owner.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        fs::set_permissions(&target, PermissionsExt::from_mode(mode & 0o700)).unwrap();
    }
    fs::set_permissions(to, PermissionsExt::from_mode(0o700)).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "no arbiter runs in these tests")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Removes a container or volume that may not be there.
pub(crate) fn remove(kind: &str, name: &str) {
    let _ = Command::new("docker").args([kind, "rm", "--force", name]).output();
}

/// Connects or disconnects a service from one of the project's networks.
pub(crate) fn network(project: &Project, verb: &str, network: &str, service: &str) {
    let (network, container) = (project.resource(network), project.one(service));
    let alias = if verb == "connect" { vec!["--alias", service] } else { vec![] };
    docker(["network", verb].into_iter().chain(alias).chain([&*network, &*container.id]));
}
