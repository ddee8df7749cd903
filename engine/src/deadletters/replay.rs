//! Putting letters back: what is published, page by page, and what is marked once the broker has taken it.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::Utc;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use serde::Serialize;
use thicket_actors::source::MessageDecoder;
use thicket_schema::{Item, PayloadDecoder, PayloadLimits};

use super::front_door::{AT_ONCE, FrontDoor};
use super::letter::{KeyColumns, Letter, LetterKey, NAMED, of_keys};
use super::on_one_line;
use super::resend::{Message, Refusal, Rules, resend};
use crate::cli::Format;
use crate::config::Config;
use crate::topology::decode_options;
use crate::when;
use crate::words::count;

/// How to replay.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    pub(super) again: bool,
    pub(super) dry_run: bool,
}

/// What became of a letter.
#[derive(Debug, Serialize)]
struct LetterFate {
    key: String,
    /// `replayed`, `would_be_replayed` or `refused`.
    outcome: &'static str,
    topic: Option<String>,
    payload: Option<String>,
    /// Of a refusal: why. Of a letter that is still wrong: what the engine will say of it.
    detail: Option<String>,
}

/// Replays letters and prints what became of each; fails if one is refused.
pub(super) async fn replay(
    config: &Config,
    postgres: &mut AsyncPgConnection,
    keys: &[LetterKey],
    how: How,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let rules = rules(config)?;
    let mut forecast = MessageDecoder::new(decode_options(config)?);
    let mut door = if how.dry_run || keys.is_empty() { None } else { Some(FrontDoor::open(config).await?) };
    let mut outcomes = Vec::with_capacity(keys.len());
    for page in keys.chunks(AT_ONCE) {
        let letters = of_keys(postgres, page).await?;
        let decided: Vec<(Letter, Result<Message, Refusal>)> = letters
            .into_iter()
            .map(|letter| {
                let message = decide(&letter, &rules, how);
                (letter, message)
            })
            .collect();
        if let Some(door) = &mut door {
            let messages: Vec<&Message> =
                decided.iter().filter_map(|(_, message)| message.as_ref().ok()).collect();
            door.publish(&messages).await?;
            let taken: Vec<LetterKey> = decided
                .iter()
                .filter(|(_, message)| message.is_ok())
                .map(|(letter, _)| letter.key())
                .collect();
            mark(postgres, &taken).await.context("the letters are published, but not marked as replayed")?;
        }
        for (letter, message) in decided {
            let outcome = outcome(&letter, message, how, &mut forecast);
            if !format.json {
                print(&outcome, how);
            }
            outcomes.push(outcome);
        }
    }
    if let Some(door) = door {
        door.close().await;
    }
    let refused = outcomes.iter().filter(|outcome| outcome.outcome == "refused").count();
    if format.json {
        println!("{}", serde_json::to_string(&outcomes)?);
    } else {
        let done = if how.dry_run { "would be replayed" } else { "replayed" };
        println!("{} {done}, {refused} refused", count((outcomes.len() - refused) as u64, "letter"));
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rules(config: &Config) -> anyhow::Result<Rules> {
    let mqtt = &config.mqtt;
    // Longer than when it came: its time was added.
    let limits =
        PayloadLimits { max_bytes: usize::MAX, max_fields: mqtt.max_fields, max_readings: mqtt.max_readings };
    Ok(Rules {
        templates: mqtt.topic_templates()?,
        subscribed: mqtt.topics.clone(),
        timestamp_keys: mqtt.timestamp_keys.clone(),
        payloads: PayloadDecoder::new(limits, mqtt.timestamp_keys.clone()),
    })
}

fn decide(letter: &Letter, rules: &Rules, how: How) -> Result<Message, Refusal> {
    match letter.replayed {
        Some(replayed) if !how.again => Err(Refusal::Replayed(when::show(replayed))),
        _ => resend(letter, rules),
    }
}

async fn mark(postgres: &mut AsyncPgConnection, keys: &[LetterKey]) -> diesel::QueryResult<usize> {
    let columns = KeyColumns::of(keys);
    sql_query(format!("UPDATE dead_letters SET replayed = now() WHERE {NAMED}"))
        .bind::<Array<Integer>, _>(columns.partition)
        .bind::<Array<BigInt>, _>(columns.generation)
        .bind::<Array<BigInt>, _>(columns.n)
        .bind::<Array<Integer>, _>(columns.item)
        .execute(postgres)
        .await
}

fn outcome(
    letter: &Letter,
    message: Result<Message, Refusal>,
    how: How,
    forecast: &mut MessageDecoder,
) -> LetterFate {
    let key = letter.key().to_string();
    match message {
        Err(refusal) => {
            let detail = Some(refusal.to_string());
            LetterFate { key, outcome: "refused", topic: None, payload: None, detail }
        }
        Ok(message) => LetterFate {
            key,
            outcome: if how.dry_run { "would_be_replayed" } else { "replayed" },
            detail: still_wrong(&message, forecast),
            payload: Some(String::from_utf8_lossy(&message.payload).into_owned()),
            topic: Some(message.topic),
        },
    }
}

/// What the engine, with this configuration, will say of a message that it cannot use either.
fn still_wrong(message: &Message, forecast: &mut MessageDecoder) -> Option<String> {
    let payload = message.payload.clone().into();
    let (_, records) = forecast.decode(&message.topic, &payload, false, Utc::now().timestamp_micros());
    records.into_iter().find_map(|record| match record.item {
        Item::DeadLetter(letter) => {
            Some(format!("it will be a dead letter again: {}: {}", letter.reason, letter.detail))
        }
        Item::Reading(_) | Item::Control(_) => None,
    })
}

fn print(outcome: &LetterFate, how: How) {
    let LetterFate { key, topic, payload, detail, .. } = outcome;
    let detail = detail.as_deref().unwrap_or_default();
    match (topic, payload) {
        (Some(topic), Some(payload)) if how.dry_run => {
            println!("{key}  {topic}  {}", on_one_line(payload));
            if !detail.is_empty() {
                println!("    {detail}");
            }
        }
        (Some(_), Some(_)) if detail.is_empty() => {}
        _ => println!("{key}  {detail}"),
    }
}
