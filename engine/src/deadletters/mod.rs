//! `thicket deadletter`: what could not be processed, why, and what to do about it.
//!
//! - `args`: the command line. `print`: dead letters for people and as JSON. `cause_place`: where in a
//!   payload the cause is.
//! - `message_for`: the `message` that is published for a dead letter, by the `rules` of its broker;
//!   `at_arrival`: without its own time; `letter_reading`: for one that was made of a reading.
//! - `republish`: publishes it over MQTT. `replay`: both, and marks it as replayed.
//! - `discard`: deletes dead letters.

pub(crate) mod args;
mod at_arrival;
mod cause_place;
mod discard;
mod letter_reading;
mod message;
mod message_for;
mod print;
mod replay;
mod republish;
mod rules;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use thicket_schema::postgres::DeadLetterRow;
use thicket_store::postgres::{
    DeadLetterFilter, DeadLetterKey, DeadLetterSelection, PostgresConnection, SelectedDeadLetter,
    dead_letters_by_key, newest_dead_letters, quarantined_by_reason, select_dead_letters,
};

use self::args::DeadletterCommand;
use self::print::{print_list, print_quarantined, print_whole, to_json};
use self::replay::ReplayOptions;
use crate::config::Config;
use crate::output::{Format, JsonArray};
use crate::stores::{self, TABLES_MISSING};
use crate::terminal::outln;

/// Dead letters that are held at once to be shown: their payloads may be long.
const PAGE: usize = 50;

/// Runs `thicket deadletter`.
pub(crate) async fn deadletter(config: &Config, command: DeadletterCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    let postgres = &mut postgres;
    match command {
        DeadletterCommand::List { filter, limit, format } => {
            list(postgres, &filter.into(), limit, format).await?;
        }
        DeadletterCommand::Show { selection, format } => {
            let keys = keys_of(&select(postgres, &selection.into()).await?);
            show(postgres, &keys, format).await?;
        }
        DeadletterCommand::Replay { selection, again, at_arrival, broker, dry_run, format } => {
            let selection = selection.into();
            let mut selected = select(postgres, &selection).await?;
            // A named key that was replayed before is refused. A filter means dead letters that
            // wait.
            selected.retain(|letter| again || !letter.was_replayed || !selection.keys.is_empty());
            let options = ReplayOptions { broker, again, at_arrival, dry_run };
            return replay::replay(config, postgres, &keys_of(&selected), options, format).await;
        }
        DeadletterCommand::Drop { selection, yes, format } => {
            let keys = keys_of(&select(postgres, &selection.into()).await?);
            return discard::discard(postgres, &keys, yes, format).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the dead letters that a selection contains. Fails if one of its keys does not exist.
async fn select(
    postgres: &mut PostgresConnection,
    selection: &DeadLetterSelection,
) -> anyhow::Result<Vec<SelectedDeadLetter>> {
    let found = select_dead_letters(postgres, selection).await.context(TABLES_MISSING)?;
    let exists = |key: &&DeadLetterKey| found.iter().any(|letter| letter.key == **key);
    let missing: Vec<String> =
        selection.keys.iter().filter(|key| !exists(key)).map(ToString::to_string).collect();
    if !missing.is_empty() {
        bail!("no such dead letter: {}; `thicket deadletter list` shows the keys", missing.join(", "));
    }
    Ok(found)
}

fn keys_of(selected: &[SelectedDeadLetter]) -> Vec<DeadLetterKey> {
    selected.iter().map(|letter| letter.key).collect()
}

async fn list(
    postgres: &mut PostgresConnection,
    filter: &DeadLetterFilter,
    limit: i64,
    format: Format,
) -> anyhow::Result<()> {
    let letters = newest_dead_letters(postgres, filter, limit).await.context(TABLES_MISSING)?;
    if format.json {
        return print_array(&letters);
    }
    print_list(&letters);
    print_quarantined(&quarantined_by_reason(postgres).await?);
    Ok(())
}

async fn show(
    postgres: &mut PostgresConnection,
    keys: &[DeadLetterKey],
    format: Format,
) -> anyhow::Result<()> {
    let mut array = format.json.then(JsonArray::default);
    for (page, keys) in keys.chunks(PAGE).enumerate() {
        for (index, letter) in dead_letters_by_key(postgres, keys).await?.iter().enumerate() {
            if let Some(array) = &mut array {
                array.push(&to_json(letter))?;
                continue;
            }
            if page + index > 0 {
                outln!();
            }
            print_whole(letter);
        }
    }
    Ok(())
}

fn print_array(letters: &[DeadLetterRow]) -> anyhow::Result<()> {
    let mut array = JsonArray::default();
    letters.iter().try_for_each(|letter| array.push(&to_json(letter)))
}
