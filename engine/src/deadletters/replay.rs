//! Republishes dead letters page by page, and marks each page after the broker has acknowledged it.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::Utc;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thicket_actors::source::{DecodeMessage, MessageDecoder};
use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{Item, Timestamp};
use thicket_store::postgres::{
    DeadLetterKey, PostgresConnection, dead_letters_by_key, mark_replayed, present_name,
};

use super::message::{Message, Refusal};
use super::message_for::{ReplayTime, message_for};
use super::republish::{AT_ONCE, Republishers};
use super::rules::{BrokerRules, named};
use crate::config::Config;
use crate::format::count;
use crate::output::{Format, JsonArray};
use crate::terminal::{on_one_line, outln};
use crate::time_arg;

/// How to replay.
#[derive(Clone, Debug)]
pub(super) struct ReplayOptions {
    /// The broker to publish to; `None` for the one that receives the topic.
    pub(super) broker: Option<String>,
    /// Whether to replay dead letters that have been replayed before.
    pub(super) again: bool,
    /// Whether readings get the time at which they first arrived instead of their own.
    pub(super) at_arrival: bool,
    /// Whether to publish nothing.
    pub(super) dry_run: bool,
}

/// The message of a dead letter with its broker.
type Decision<'b> = Result<(&'b BrokerRules, Message), Refusal>;

/// The outcome of one dead letter.
#[derive(Debug, Serialize)]
struct ReplayResult {
    key: String,
    /// `replayed`, `would_be_replayed` or `refused`.
    outcome: &'static str,
    topic: Option<String>,
    payload: Option<String>,
    /// Why it is refused, or why the engine will make a dead letter of it again.
    detail: Option<String>,
}

/// Replays dead letters and prints the outcome of each. Fails if one is refused.
pub(super) async fn replay(
    config: &Config,
    postgres: &mut PostgresConnection,
    keys: &[DeadLetterKey],
    options: ReplayOptions,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut brokers = BrokerRules::of(config)?;
    if let Some(name) = &options.broker {
        brokers = vec![named(brokers, name)?];
    }
    let mut republishers = Republishers::new(config);
    // The dead letters of one message may be on several pages.
    let mut published = HashSet::new();
    let (mut replayed, mut refused) = (0, 0);
    let mut array = format.json.then(JsonArray::default);
    for page in keys.chunks(AT_ONCE) {
        let mut letters = dead_letters_by_key(postgres, page).await?;
        for letter in letters.iter_mut().filter(|letter| letter.of_reading) {
            letter.topic = present_name(postgres, &letter.topic).await?;
        }
        let decided: Vec<(DeadLetterRow, Decision)> = letters
            .into_iter()
            .map(|letter| {
                let message = decide(&letter, &brokers, &options);
                (letter, message)
            })
            .collect();
        if !options.dry_run {
            let able =
                || decided.iter().filter_map(|(letter, message)| Some((letter, message.as_ref().ok()?)));
            let messages: Vec<(usize, &Message)> = able()
                .filter(|(letter, _)| published.insert(message_hash(letter)))
                .map(|(_, (broker, message))| (broker.index, message))
                .collect();
            republishers.publish(&messages).await?;
            let keys: Vec<DeadLetterKey> = able().map(|(letter, _)| DeadLetterKey::of(letter)).collect();
            mark_replayed(postgres, &keys)
                .await
                .context("the dead letters are published, but not marked as replayed")?;
        }
        for (letter, message) in decided {
            *(if message.is_ok() { &mut replayed } else { &mut refused }) += 1;
            let result = result_of(&letter, message, &options);
            match &mut array {
                Some(array) => array.push(&result)?,
                None => print_result(&result, &options),
            }
        }
    }
    republishers.close().await;
    if array.is_none() {
        let verb = if options.dry_run { "would be replayed" } else { "replayed" };
        outln!("{} {verb}, {refused} refused", count(replayed, "dead letter"));
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns a hash of what the dead letters of one message have in common: a message with several
/// readings may have several, each with the whole payload, and is published once.
fn message_hash(letter: &DeadLetterRow) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(letter.received.0.to_le_bytes());
    hash.update([u8::from(letter.of_reading)]);
    hash.update(letter.topic.len().to_le_bytes());
    hash.update(&letter.topic);
    hash.update(&letter.payload);
    hash.finalize().into()
}

fn decide<'b>(letter: &DeadLetterRow, brokers: &'b [BrokerRules], options: &ReplayOptions) -> Decision<'b> {
    match letter.replayed {
        Some(replayed) if !options.again => Err(Refusal::Replayed(time_arg::show(replayed))),
        _ => {
            let now = Timestamp(Utc::now().timestamp_micros());
            message_for(letter, brokers, ReplayTime { at_arrival: options.at_arrival, now })
        }
    }
}

fn result_of(letter: &DeadLetterRow, message: Decision<'_>, options: &ReplayOptions) -> ReplayResult {
    let key = DeadLetterKey::of(letter).to_string();
    match message {
        Err(refusal) => {
            let detail = Some(refusal.to_string());
            ReplayResult { key, outcome: "refused", topic: None, payload: None, detail }
        }
        Ok((broker, message)) => ReplayResult {
            key,
            outcome: if options.dry_run { "would_be_replayed" } else { "replayed" },
            detail: next_failure(&message, &broker.decoder),
            payload: Some(String::from_utf8_lossy(&message.payload).into_owned()),
            topic: Some(message.topic),
        },
    }
}

/// Returns why the engine, with this configuration, will make a dead letter of a message; `None` if
/// it will not.
fn next_failure(message: &Message, decoder: &MessageDecoder) -> Option<String> {
    let payload = message.payload.clone().into();
    let message = DecodeMessage::new(&message.topic, &payload, Utc::now().timestamp_micros());
    let records = decoder.decode(message);
    records.into_iter().find_map(|(_, record)| match record.item {
        Item::DeadLetter(letter) => {
            Some(format!("it will be a dead letter again: {}: {}", letter.reason, letter.detail))
        }
        Item::Reading(_) | Item::Control(_) => None,
    })
}

fn print_result(result: &ReplayResult, options: &ReplayOptions) {
    let ReplayResult { key, topic, payload, detail, .. } = result;
    let detail = on_one_line(detail.as_deref().unwrap_or_default());
    match (topic, payload) {
        (Some(topic), Some(payload)) if options.dry_run => {
            outln!("{key}  {}  {}", on_one_line(topic), on_one_line(payload));
            if !detail.is_empty() {
                outln!("    {detail}");
            }
        }
        (Some(_), Some(_)) if detail.is_empty() => {}
        _ => outln!("{key}  {detail}"),
    }
}
