//! `thicket deadletter`: what could not be processed, why, and what to do about it.
//!
//! - `args`: the command line. `letter`: letters as the table has them. `verdicts`: readings that are skipped.
//! - `resend`: what is published for a letter. `front_door`: MQTT. `replay`: both, and the mark.
//! - `discard`: deleting letters.

mod args;
mod discard;
mod front_door;
mod letter;
mod replay;
mod resend;
mod verdicts;

pub(crate) use args::DeadletterCommand;
pub(crate) use verdicts::counts as verdict_counts;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use diesel_async::AsyncPgConnection;
use thicket_actors::writer::connect_postgres;

use crate::cli::Format;
use crate::config::Config;
use crate::when;
use crate::words::count;
use args::{Filter, Selection};
use letter::{Letter, LetterKey};
use replay::How;

/// Characters of a payload in a listing.
const PREVIEW: usize = 60;
/// Letters that are read at once to be shown.
const PAGE: usize = 500;

/// Runs `thicket deadletter`.
pub(crate) async fn deadletter(config: &Config, command: DeadletterCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let postgres = &mut postgres;
    match command {
        DeadletterCommand::List { filter, limit, format } => list(postgres, &filter, limit, format).await?,
        DeadletterCommand::Show { selection, format } => {
            let keys: Vec<LetterKey> =
                chosen(postgres, &selection).await?.into_iter().map(|(key, _)| key).collect();
            show(postgres, &keys, format).await?;
        }
        DeadletterCommand::Replay { selection, again, dry_run, format } => {
            let mut chosen = chosen(postgres, &selection).await?;
            // Who names a letter hears that it was replayed before; who describes letters means those that wait.
            chosen.retain(|(_, was_replayed)| again || !was_replayed || !selection.keys.is_empty());
            let keys: Vec<LetterKey> = chosen.into_iter().map(|(key, _)| key).collect();
            return replay::replay(config, postgres, &keys, How { again, dry_run }, format).await;
        }
        DeadletterCommand::Drop { selection, yes, format } => {
            let keys: Vec<LetterKey> =
                chosen(postgres, &selection).await?.into_iter().map(|(key, _)| key).collect();
            return drop_letters(postgres, &keys, yes, format).await;
        }
        DeadletterCommand::Verdicts { limit, format } => list_verdicts(postgres, limit, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The letters that are chosen; an error that names those that are not there.
async fn chosen(
    postgres: &mut AsyncPgConnection,
    selection: &Selection,
) -> anyhow::Result<Vec<(LetterKey, bool)>> {
    let found = letter::chosen(postgres, selection).await.context("run `thicket migrate` first?")?;
    let is_there = |key: &&LetterKey| found.iter().any(|(found, _)| found == *key);
    let missing: Vec<String> =
        selection.keys.iter().filter(|key| !is_there(key)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        bail!("there is no such letter: {}; `thicket deadletter list` shows the keys", missing.join(", "));
    }
    Ok(found)
}

async fn list(
    postgres: &mut AsyncPgConnection,
    filter: &Filter,
    limit: i64,
    format: Format,
) -> anyhow::Result<()> {
    let letters = letter::newest(postgres, filter, limit).await.context("run `thicket migrate` first?")?;
    if format.json {
        return print_json(&letters);
    }
    if letters.is_empty() {
        println!("no dead letters");
    }
    for letter in &letters {
        let payload: String = String::from_utf8_lossy(&letter.payload).chars().take(PREVIEW).collect();
        println!(
            "{}  {}  {}  {}  {} bytes: {}{}\n    {}",
            letter.key(),
            letter.received.format("%Y-%m-%d %H:%M:%S"),
            letter.reason,
            letter.topic,
            letter.payload_bytes,
            on_one_line(&payload),
            letter.replayed.map_or_else(String::new, |at| format!("  [replayed {}]", when::show(at))),
            letter.detail
        );
    }
    let verdicts = verdicts::counts(postgres).await?;
    if !verdicts.is_empty() {
        let words: Vec<String> =
            verdicts.iter().map(|row| format!("{} {}", row.readings, row.verdict)).collect();
        println!(
            "besides, readings skipped by verdict: {}; see `thicket deadletter verdicts`",
            words.join(", ")
        );
    }
    Ok(())
}

async fn show(postgres: &mut AsyncPgConnection, keys: &[LetterKey], format: Format) -> anyhow::Result<()> {
    let mut letters = Vec::new();
    for page in keys.chunks(PAGE) {
        letters.extend(letter::of_keys(postgres, page).await?);
    }
    if format.json {
        return print_json(&letters);
    }
    for (index, letter) in letters.iter().enumerate() {
        if index > 0 {
            println!();
        }
        print_whole(letter);
    }
    Ok(())
}

fn print_whole(letter: &Letter) {
    let kept = if letter.is_cut() {
        format!(", of which {} were kept", letter.payload.len())
    } else {
        String::new()
    };
    println!("key       {}", letter.key());
    println!("received  {}", when::show(letter.received));
    println!("reason    {}", letter.reason);
    println!("detail    {}", letter.detail);
    println!("topic     {}", letter.topic);
    println!("replayed  {}", letter.replayed.map_or_else(|| "never".to_owned(), when::show));
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => println!("payload   {} bytes{kept}\n{}", letter.payload_bytes, harmless(text)),
        Err(_) => println!(
            "payload   {} bytes{kept}, in hexadecimal\n{}",
            letter.payload_bytes,
            hex(&letter.payload)
        ),
    }
}

/// A text that a terminal takes for nothing else: control characters other than line feeds are escaped.
fn harmless(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(on_one_line).collect();
    lines.join("\n")
}

/// A text with every control character escaped.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Thirty-two bytes a line.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    bytes.chunks(32).map(line).collect::<Vec<_>>().join("\n")
}

async fn drop_letters(
    postgres: &mut AsyncPgConnection,
    keys: &[LetterKey],
    yes: bool,
    format: Format,
) -> anyhow::Result<ExitCode> {
    if !keys.is_empty() && !yes && !discard::confirm(keys.len())? {
        println!("nothing was deleted");
        return Ok(ExitCode::FAILURE);
    }
    let dropped = discard::discard(postgres, keys).await?;
    if format.json {
        println!("{}", serde_json::json!({ "dropped": dropped }));
    } else {
        println!("{} deleted", count(dropped, "letter"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn list_verdicts(postgres: &mut AsyncPgConnection, limit: i64, format: Format) -> anyhow::Result<()> {
    let found = verdicts::newest(postgres, limit).await.context("run `thicket migrate` first?")?;
    if format.json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    if found.is_empty() {
        println!("no verdicts");
    }
    for row in &found {
        println!(
            "{:02}/{}  {}  {:<10}  {} at {}\n    {}",
            row.partition,
            row.place,
            row.decided.format("%Y-%m-%d %H:%M:%S"),
            row.verdict,
            row.sensor,
            when::show(row.ts),
            row.detail
        );
    }
    Ok(())
}

/// The letters with their keys; a payload that is no text also in hexadecimal.
fn print_json(letters: &[Letter]) -> anyhow::Result<()> {
    let mut all = Vec::with_capacity(letters.len());
    for letter in letters {
        let mut value = serde_json::to_value(letter)?;
        if let Some(members) = value.as_object_mut() {
            members.insert("key".to_owned(), letter.key().to_string().into());
            if std::str::from_utf8(&letter.payload).is_err() {
                members
                    .insert("payload_hex".to_owned(), hex(&letter.payload).replace([' ', '\n'], "").into());
            }
        }
        all.push(value);
    }
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}
