//! The system of a test: programs that it runs to their end, and free ports.

use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Runs a program. Returns what it printed.
///
/// # Errors
/// Fails with what the program says if it does not succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("no {program}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    ensure!(output.status.success(), "{program} {} failed: {}", arguments.join(" "), text(&output.stderr));
    Ok(text(&output.stdout))
}

/// Returns a port of the loopback interface on which no server listens.
///
/// # Errors
/// Fails if the system has no free port.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
