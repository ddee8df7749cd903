//! Republishes dead letters page by page, and marks each page after the broker has acknowledged it.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::Utc;
use serde::Serialize;
use thicket_actors::source::{DecodeMessage, MessageDecoder};
use thicket_codecs::{PayloadDecoder, PayloadLimits};
use thicket_schema::Item;
use thicket_schema::postgres::DeadLetterRow;
use thicket_store::postgres::{
    DeadLetterKey, PostgresConnection, dead_letters_by_key, mark_replayed, present_name,
};

use super::message_for::{Message, Refusal, Rules, message_for};
use super::republish::{AT_ONCE, Republishers};
use crate::brokers::decode_options;
use crate::config::Config;
use crate::format::count;
use crate::output::Format;
use crate::terminal::{on_one_line, outln, write_json};
use crate::time_arg;

/// How to replay.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplayOptions {
    /// Whether to replay dead letters that have been replayed before.
    pub(super) again: bool,
    /// Whether readings get the time at which they first arrived instead of their own.
    pub(super) at_arrival: bool,
    /// Whether to publish nothing.
    pub(super) dry_run: bool,
}

/// The message of a dead letter with the index of its broker.
type Decision = Result<(usize, Message), Refusal>;

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
    let rules = rules_of(config)?;
    let decoder = MessageDecoder::new(decode_options(config)?);
    let mut republishers = Republishers::new(config);
    let mut results = Vec::with_capacity(keys.len());
    for page in keys.chunks(AT_ONCE) {
        let mut letters = dead_letters_by_key(postgres, page).await?;
        for letter in letters.iter_mut().filter(|letter| letter.of_reading) {
            letter.topic = present_name(postgres, &letter.topic).await?;
        }
        let decided: Vec<(DeadLetterRow, Decision)> = letters
            .into_iter()
            .map(|letter| {
                let message = decide(&letter, &rules, options);
                (letter, message)
            })
            .collect();
        if !options.dry_run {
            let messages: Vec<&(usize, Message)> =
                decided.iter().filter_map(|(_, message)| message.as_ref().ok()).collect();
            republishers.publish(&messages).await?;
            let published: Vec<DeadLetterKey> = decided
                .iter()
                .filter(|(_, message)| message.is_ok())
                .map(|(letter, _)| DeadLetterKey::of(letter))
                .collect();
            mark_replayed(postgres, &published)
                .await
                .context("the dead letters are published, but not marked as replayed")?;
        }
        for (letter, message) in decided {
            let result = result_of(&letter, message.map(|(_, message)| message), options, &decoder);
            if !format.json {
                print_result(&result, options);
            }
            results.push(result);
        }
    }
    republishers.close().await;
    let refused = results.iter().filter(|result| result.outcome == "refused").count();
    if format.json {
        write_json(&serde_json::to_string(&results)?);
    } else {
        let verb = if options.dry_run { "would be replayed" } else { "replayed" };
        outln!("{} {verb}, {refused} refused", count((results.len() - refused) as u64, "dead letter"));
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn rules_of(config: &Config) -> anyhow::Result<Vec<Rules>> {
    let mut rules = Vec::new();
    for (broker, mqtt) in config.mqtt.iter().enumerate() {
        for subscription in mqtt.subscriptions()? {
            // A payload may be longer than the limit now, because its time was added.
            let limits = PayloadLimits { max_bytes: usize::MAX, ..subscription.payload_limits() };
            rules.push(Rules {
                broker,
                templates: subscription.topic_templates()?,
                payloads: PayloadDecoder::new(limits, subscription.timestamp_keys.clone())
                    .with_rules(subscription.payload_rules()?),
                format: subscription.format,
                subscribed: subscription.topics,
                timestamp_keys: subscription.timestamp_keys,
            });
        }
    }
    Ok(rules)
}

fn decide(letter: &DeadLetterRow, rules: &[Rules], options: ReplayOptions) -> Decision {
    match letter.replayed {
        Some(replayed) if !options.again => Err(Refusal::Replayed(time_arg::show(replayed))),
        _ => message_for(letter, rules, options.at_arrival),
    }
}

fn result_of(
    letter: &DeadLetterRow,
    message: Result<Message, Refusal>,
    options: ReplayOptions,
    decoder: &MessageDecoder,
) -> ReplayResult {
    let key = DeadLetterKey::of(letter).to_string();
    match message {
        Err(refusal) => {
            let detail = Some(refusal.to_string());
            ReplayResult { key, outcome: "refused", topic: None, payload: None, detail }
        }
        Ok(message) => ReplayResult {
            key,
            outcome: if options.dry_run { "would_be_replayed" } else { "replayed" },
            detail: next_failure(&message, decoder),
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

fn print_result(result: &ReplayResult, options: ReplayOptions) {
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
