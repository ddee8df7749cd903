//! Programs of the system that a test runs to their end.

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
