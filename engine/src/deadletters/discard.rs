//! Deletes dead letters, after the operator has confirmed it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use thicket_store::postgres::{DeadLetterKey, PostgresConnection, delete_dead_letters};

use crate::format::count;
use crate::output::Format;
use crate::terminal::{err, errln, outln, write_json};

/// Deletes dead letters. Asks first unless `yes`.
pub(super) async fn discard(
    postgres: &mut PostgresConnection,
    keys: &[DeadLetterKey],
    yes: bool,
    format: Format,
) -> anyhow::Result<ExitCode> {
    if !keys.is_empty() && !yes && !confirm(keys.len())? {
        errln!("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    let deleted = delete_dead_letters(postgres, keys).await?;
    if format.json {
        write_json(&serde_json::json!({ "dropped": deleted }).to_string());
    } else {
        outln!("{} deleted", count(deleted, "dead letter"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks whether to delete this many dead letters.
fn confirm(letters: usize) -> anyhow::Result<bool> {
    let letters = count(letters as u64, "dead letter");
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("{letters} would be deleted; pass --yes when not on a terminal");
    }
    err!("delete {letters} permanently? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
