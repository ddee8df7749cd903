//! What `thicket up` says about a deployment: addresses, state and logs.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use thicket_compose::DEVICE;

use super::addresses::SavedPorts;
use super::place::Place;
use super::record::{self, Phase, ProcessRecord};
use super::shell_words::{quoted, quoted_if_needed};
use crate::terminal::{outln, shown};
use crate::toml_keys::table_of;

/// Prints the addresses of a running deployment, and what to do next.
pub(super) fn addresses(place: &Place, ports: SavedPorts) {
    let SavedPorts { mqtt, http, listen, .. } = ports;
    let (flag, clients) = (place.flag(), quoted_if_needed(&place.clients().display().to_string()));
    let password = quoted_if_needed(&place.device_password().display().to_string());
    outln!();
    outln!(
        "  publish    XDG_CONFIG_HOME={clients} mosquitto_pub -q 1 -t sensors/kitchen -m '{{\"temperature\":21.5}}'"
    );
    outln!("  commands   eval \"$(thicket up{flag} --env)\"; then: mosquitto_pub, psql, thicket status");
    let broker = match listen {
        None => format!("127.0.0.1:{mqtt}"),
        Some(address) if address.is_unspecified() => format!("ADDRESS-OF-THIS-MACHINE:{mqtt}"),
        Some(address) => SocketAddr::new(address, mqtt).to_string(),
    };
    outln!("  devices    mqtt://{broker}, user {DEVICE}, password: cat {password}");
    if listen.is_none() {
        outln!(
            "             this machine only; for the network: thicket down{flag}; thicket up{flag} --listen 0.0.0.0"
        );
    }
    outln!("  metrics    http://127.0.0.1:{http}/metrics");
    outln!("  settings   {}", place.config().display());
    outln!("  stop       thicket down{flag}");
    outln!("  move       thicket down{flag}; {}; then: thicket import --help", export(place));
    outln!();
}

/// Returns the command that writes the deployment into a file, to move it elsewhere.
pub(super) fn export(place: &Place) -> String {
    let directory = quoted_if_needed(&place.directory().display().to_string());
    format!("thicket export --data {directory} thicket.tar.gz")
}

/// Prints whether the deployment runs, and the state of each process.
pub(super) fn status(place: &Place) -> anyhow::Result<ExitCode> {
    let directory = place.directory().display();
    let Some(record) = record::running(place)? else {
        outln!("no deployment runs in {directory}; `thicket up{}` starts it", place.flag());
        return Ok(ExitCode::FAILURE);
    };
    let phase = match record.phase {
        Phase::Starting => "is starting",
        Phase::Ready => "runs",
        Phase::Stopping => "is stopping",
    };
    outln!("the deployment in {directory} {phase} (process {})", record.pid);
    outln!();
    for ProcessRecord { name, pid, port, is_running, restarts } in &record.processes {
        let state = if *is_running { "runs" } else { "ended" };
        outln!("  {name:<10} {state:<6} port {port:<6} process {pid:<8} restarts {restarts}");
    }
    if let (Phase::Ready, Some(ports)) = (record.phase, SavedPorts::read(place)?) {
        addresses(place, ports);
    } else {
        outln!("  {}", last_line(&place.log()));
        outln!();
    }
    outln!("  logs       thicket up{} --logs, or:", place.flag());
    for log in place.logs() {
        outln!("             {}", log.display());
    }
    let all_run = record.phase == Phase::Ready && record.processes.iter().all(|process| process.is_running);
    Ok(if all_run { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints variables for the shell.
pub(super) fn env(place: &Place) -> anyhow::Result<ExitCode> {
    let path = place.config();
    let text = fs::read_to_string(&path).with_context(|| {
        format!("there is no deployment in {}; `thicket up` creates it", place.directory().display())
    })?;
    let keys = table_of(&path.display().to_string(), &text)?;
    let url = |section: &str| keys.get(section)?.get("url")?.as_str();
    let postgres: tokio_postgres::Config = url("postgres").context("postgres.url is missing")?.parse()?;
    let mut variables = vec![
        ("THICKET_CONFIG", path.display().to_string()),
        ("THICKET_DATA", place.directory().display().to_string()),
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", postgres.get_ports().first().map(ToString::to_string).unwrap_or_default()),
        ("PGUSER", postgres.get_user().unwrap_or_default().to_owned()),
        ("PGDATABASE", postgres.get_dbname().unwrap_or_default().to_owned()),
    ];
    let password = postgres.get_password().map(|password| String::from_utf8_lossy(password).into_owned());
    variables.extend(password.map(|password| ("PGPASSWORD", password)));
    let redis = url("redis").and_then(|url| url.strip_prefix("redis://:")?.split_once('@'));
    variables.extend(redis.map(|(password, _)| ("REDISCLI_AUTH", password.to_owned())));
    for (name, value) in variables {
        outln!("export {name}={}", quoted(&value));
    }
    // redis-cli has no variable for the port. A function of this name would be an error in dash.
    if let Some((_, port)) = redis.and_then(|(_, address)| address.rsplit_once(':')) {
        outln!("alias redis-cli={}", quoted(&format!("redis-cli -p {port}")));
    }
    // The options of the clients have the password, which must not stand on a command line. The
    // shell fish knows no such function.
    if !std::env::var("SHELL").is_ok_and(|shell| shell.ends_with("fish")) {
        let clients = quoted(&place.clients().display().to_string());
        for client in ["mosquitto_pub", "mosquitto_sub"] {
            outln!("{client}() {{ XDG_CONFIG_HOME={clients} command {client} \"$@\"; }}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the last line of a log.
fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    shown(String::from_utf8_lossy(&text).lines().next_back().unwrap_or_default())
}

/// Prints the last lines of each log file.
pub(super) fn logs(place: &Place, lines: usize) -> anyhow::Result<ExitCode> {
    if !place.log().exists() {
        bail!(
            "there is no log in {}; `thicket up{}` starts a deployment",
            place.directory().display(),
            place.flag()
        );
    }
    for log in place.logs() {
        let Ok(bytes) = fs::read(&log) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        outln!("==> {} <==", log.display());
        let all: Vec<&str> = text.lines().collect();
        for line in &all[all.len().saturating_sub(lines)..] {
            outln!("{}", shown(line));
        }
        outln!();
    }
    Ok(ExitCode::SUCCESS)
}
