//! What `thicket up` says about a deployment: addresses, state and logs.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;

use super::place::Place;
use super::record::{self, Phase, ProcessRecord};
use crate::terminal::{outln, shown};

/// Prints the addresses of a running deployment, and what to do next.
pub(super) fn addresses(place: &Place, processes: &[ProcessRecord]) {
    let port =
        |name: &str| processes.iter().find(|process| process.name == name).map_or(0, |found| found.port);
    let http = port("engine");
    outln!();
    outln!(
        "  publish    mosquitto_pub -p {} -q 1 -t sensors/kitchen -m '{{\"temperature\":21.5}}'",
        port("mosquitto")
    );
    outln!("  rows       psql postgres://thicket@127.0.0.1:{}/thicket", port("postgres"));
    outln!("  metrics    http://127.0.0.1:{http}/metrics");
    outln!("  settings   {}", place.config().display());
    let flag = place.flag();
    outln!("  commands   eval \"$(thicket up{flag} --env)\"; thicket status");
    outln!("  stop       thicket down{flag}");
    outln!();
}

/// Prints whether the deployment runs, and the state of each process.
pub(super) fn status(place: &Place) -> anyhow::Result<ExitCode> {
    let directory = place.directory().display();
    let Some(record) = record::running(place)? else {
        outln!("no deployment runs in {directory}; `thicket up` starts it");
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
    addresses(place, &record.processes);
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
    let keys: toml::Table = text.parse().with_context(|| format!("cannot read {}", path.display()))?;
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
    variables.extend(url("redis").map(|url| ("REDISCLI_URI", url.to_owned())));
    for (name, value) in variables {
        outln!("export {name}={}", quoted(&value));
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns a text as a word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Prints the last lines of each log file.
pub(super) fn logs(place: &Place, lines: usize) -> ExitCode {
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
    ExitCode::SUCCESS
}
