//! `thicket up`: the README's five lines, restarts with the same data, and what it says when it
//! cannot start.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::{BINARY, stderr, stdout};

/// How long rows may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A deployment of its own, stopped when it is dropped.
struct Deployment {
    /// Removed at the end.
    _folder: tempfile::TempDir,
    data: PathBuf,
}

impl Deployment {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { _folder: folder, data }
    }

    fn thicket(&self, arguments: &[&str]) -> Output {
        Command::new(BINARY).args(arguments).env("THICKET_DATA", &self.data).output().unwrap()
    }

    fn up(&self) -> String {
        let up = self.thicket(&["up", "--free-ports"]);
        assert!(up.status.success(), "{}{}", stderr(&up), logs(&self.data));
        stdout(&up)
    }

    /// Runs lines of a shell that finds the deployment.
    fn shell(&self, lines: &str) -> Output {
        let lines = format!("eval \"$(thicket up --env)\"\n{lines}");
        let mut command = shell(&lines);
        command.env("THICKET_DATA", &self.data).output().unwrap()
    }

    /// Waits until a query prints a text.
    fn until(&self, query: &str, text: &str) {
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

    fn port(&self, name: &str) -> String {
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

/// A shell that finds this binary as `thicket`.
fn shell(lines: &str) -> Command {
    let binaries = Path::new(BINARY).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command.args(["-euc", lines]).env("PATH", format!("{}:{path}", binaries.display()));
    command
}

fn logs(data: &Path) -> String {
    let logs = Command::new(BINARY).args(["up", "--logs", "--data"]).arg(data).output().unwrap();
    stdout(&logs)
}

#[test]
fn it_starts_again_with_the_same_rows_ports_and_settings() {
    let deployment = Deployment::new();
    let said = deployment.up();
    assert!(said.contains("mosquitto_pub -p"), "{said}");
    let publish = format!("mosquitto_pub -p {} -q 1 -t sensors/kitchen -m", deployment.port("mqtt"));
    assert!(deployment.shell(&format!("{publish} '{{\"temperature\":21.5}}'")).status.success());
    let rows = "SELECT count(*), max(value) FROM reading_values WHERE sensor = 'kitchen'";
    deployment.until(rows, "1|21.5");

    let config = deployment.data.join("thicket.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[mqtt]\n", "[mqtt]\ntopics = [\"sensors/#\", \"plant/#\"]\n"))
        .unwrap();
    let ports = std::fs::read(deployment.data.join("ports.json")).unwrap();
    // A second start finds the first.
    assert!(deployment.up().contains("already"));
    let down = deployment.thicket(&["down"]);
    assert!(stdout(&down).contains("the data stays"), "{}{}", stdout(&down), stderr(&down));
    assert_eq!(deployment.thicket(&["up", "--status"]).status.code(), Some(1));

    deployment.up();
    assert_eq!(std::fs::read(deployment.data.join("ports.json")).unwrap(), ports);
    assert!(std::fs::read_to_string(&config).unwrap().contains("plant/#"));
    assert!(deployment.shell(&format!("{publish} '{{\"temperature\":22.5}}'")).status.success());
    deployment.until(rows, "2|22.5");
    let status = deployment.thicket(&["up", "--status"]);
    assert!(status.status.success(), "{}", stdout(&status));
    assert_eq!(stdout(&status).matches(" runs ").count(), 5, "{}", stdout(&status));
    let ledger = deployment.shell("thicket status");
    assert!(stdout(&ledger).contains("2 delivered"), "{}{}", stdout(&ledger), stderr(&ledger));
}

#[test]
fn a_server_that_is_killed_is_started_again() {
    let deployment = Deployment::new();
    deployment.up();
    let record = || -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(deployment.data.join("up.json")).unwrap()).unwrap()
    };
    let first = record();
    let redis =
        first["processes"].as_array().unwrap().iter().find(|process| process["name"] == "redis").unwrap();
    let killed = Command::new("kill").args(["-KILL", &redis["pid"].to_string()]).status().unwrap();
    assert!(killed.success());
    let started = Instant::now();
    while record()["processes"].as_array().unwrap().iter().all(|process| process["restarts"] == 0) {
        assert!(started.elapsed() < LIMIT, "{}", logs(&deployment.data));
    }
    let port = deployment.port("mqtt");
    assert!(deployment.shell(&format!("mosquitto_pub -p {port} -q 1 -t sensors/a -m 1")).status.success());
    deployment.until("SELECT count(*) FROM readings", "1");
}

#[test]
fn a_taken_port_is_named_and_leaves_no_process_behind() {
    let deployment = Deployment::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let up = deployment.thicket(&["up", "--free-ports", "--redis-port", &port]);
    assert_eq!(up.status.code(), Some(1));
    assert!(stderr(&up).contains(&format!("port {port} for redis is taken")), "{}", stderr(&up));
    assert_eq!(deployment.thicket(&["up", "--status"]).status.code(), Some(1));
    assert!(stdout(&deployment.thicket(&["down"])).contains("no deployment runs"));
}

#[test]
fn missing_packages_are_named_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Without PATH and the usual directories there is no way to hide an installed server, so this
    // needs a mount namespace, which only root can make.
    let script = format!(
        "mount --bind {empty} /usr/lib/postgresql && mount --bind /dev/null \"$(command -v redis-server)\" && \
         exec {BINARY} up --data {data}",
        empty = folder.path().display(),
        data = folder.path().join("data").display(),
    );
    let up = Command::new("unshare").args(["--mount", "bash", "-euc", &script]).output();
    let Some(up) = up.ok().filter(|up| !stderr(up).contains("unshare")) else {
        eprintln!("skipped: this user cannot hide installed servers in a mount namespace");
        return;
    };
    let said = stderr(&up);
    assert_eq!(up.status.code(), Some(1), "{said}");
    assert!(said.contains("redis-server postgresql") && said.contains("install-servers"), "{said}");
}

/// Returns the lines of the README's section on `thicket up`.
fn readme_lines() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    let section = text.split("## Your own sensor in five lines").nth(1).expect("the section of the README");
    let code = section.split("```sh\n").nth(1).and_then(|rest| rest.split("\n```").next());
    code.expect("the lines of the README").to_owned()
}

/// The lines use the default ports. A network namespace of its own has them free.
#[test]
fn the_five_lines_of_the_readme_do_what_they_say() {
    let lines = readme_lines();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let deployment = Deployment::new();
    // A reader waits a moment between the lines; the test asks until the row is there.
    let patient = lines.replace(
        "psql -c",
        "until psql -c \"SELECT 1 FROM reading_values WHERE sensor = 'kitchen'\" | grep -q '1 row'; do :; done\npsql -c",
    );
    let temporary = deployment.data.with_file_name("tmp");
    std::fs::create_dir(&temporary).unwrap();
    std::fs::set_permissions(
        temporary.parent().unwrap(),
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )
    .unwrap();
    let script = format!("ip link set lo up\n{patient}\nthicket down");
    let binaries = Path::new(BINARY).parent().unwrap();
    let run = Command::new("timeout")
        .args(["--kill-after=10", "180", "unshare", "--net", "bash", "-euc", &script])
        .env("PATH", format!("{}:/usr/sbin:{}", binaries.display(), std::env::var("PATH").unwrap()))
        .env("THICKET_DATA", &deployment.data)
        // Ports in use are locked by files in this directory, which other tests share.
        .env("TMPDIR", &temporary)
        .output();
    let Some(run) = run.ok().filter(|run| !stderr(run).contains("unshare: ")) else {
        eprintln!("skipped: this user cannot make a network namespace");
        return;
    };
    let (said, errors) = (stdout(&run), stderr(&run));
    assert!(run.status.success(), "{said}{errors}{}", logs(&deployment.data));
    assert!(said.contains("kitchen | ") && said.contains("21.5"), "{said}{errors}");
    assert!(said.contains("1 delivered"), "{said}{errors}");
}
