//! Proposes subscriptions for captured messages.

use std::collections::BTreeSet;

use figment::value::{Dict, Value};
use serde::Serialize;
use thicket_actors::source::filter_receives;

use super::capture::{Capture, Message};
use super::findings::Findings;
use super::members::{Members, Suggestions};
use super::topics::{TopicForm, forms};
use crate::config::{ConfigError, MessageConfig, merge_subscription};
use crate::presets;

/// The least share of a preset's messages that must become readings.
const FITS: f64 = 0.5;

/// A subscription that fits some of the messages.
#[derive(Debug, Serialize)]
pub(super) struct Proposal {
    /// The topic filters.
    pub(super) filters: Vec<String>,
    /// The number of topics.
    pub(super) topics: usize,
    pub(super) preset: Option<&'static str>,
    /// The keys of the subscription.
    #[serde(skip)]
    pub(super) keys: Dict,
    /// What else a user should know, in sentences.
    pub(super) notes: Vec<String>,
    pub(super) findings: Findings,
}

/// Proposes subscriptions. First the presets are tried, then the rest is grouped by topic.
pub(super) fn proposals(
    base: &MessageConfig,
    capture: &Capture,
    now_micros: i64,
) -> Result<Vec<Proposal>, ConfigError> {
    let mut rest: Vec<&Message> = capture.messages.iter().collect();
    let mut proposals = Vec::new();
    for Preset { name, keys, subscriptions, filters } in presets_in_order(base)? {
        let (of_preset, others): (Vec<&Message>, Vec<&Message>) = rest
            .iter()
            .partition(|message| filters.iter().any(|filter| filter_receives(filter, &message.topic)));
        if of_preset.is_empty() {
            continue;
        }
        let findings = Findings::of(&subscriptions, of_preset.iter().copied(), now_micros)?;
        if findings.readings == 0 || findings.share_of_readings() < FITS {
            continue;
        }
        let topics: BTreeSet<&str> = of_preset.iter().map(|message| message.topic.as_str()).collect();
        let mut notes = Vec::new();
        if 2 * findings.without_time > findings.readings
            && subscriptions.iter().any(|one| !one.timestamp_keys.is_empty())
        {
            let advice = if findings.local_times > 0 { " Set time_zone: the times are local." } else { "" };
            notes.push(format!(
                "{} of {} readings have no usable time and get their arrival time.{advice}",
                findings.without_time, findings.readings
            ));
        }
        let topics = topics.len();
        proposals.push(Proposal { filters, topics, preset: Some(name), keys, notes, findings });
        rest = others;
    }
    let topics: BTreeSet<&str> = rest.iter().map(|message| message.topic.as_str()).collect();
    for (form, topics) in forms(&topics) {
        let messages: Vec<&Message> =
            rest.iter().filter(|message| topics.contains(&message.topic)).copied().collect();
        proposals.push(of_form(base, form, topics.len(), &messages, now_micros)?);
    }
    Ok(proposals)
}

/// A preset with its subscriptions.
struct Preset {
    name: &'static str,
    keys: Dict,
    subscriptions: Vec<MessageConfig>,
    filters: Vec<String>,
}

/// Returns the presets, last those whose topics begin with any text: they also receive the messages
/// of others.
fn presets_in_order(base: &MessageConfig) -> Result<Vec<Preset>, ConfigError> {
    let preset = |name| {
        let keys = Dict::from([("preset".to_owned(), Value::from(name))]);
        let subscriptions = merge_subscription(base, &keys)?;
        let filters = subscriptions.iter().flat_map(|one| one.topics.iter().cloned()).collect();
        Ok::<_, ConfigError>(Preset { name, keys, subscriptions, filters })
    };
    let mut presets: Vec<Preset> = presets::names().into_iter().map(preset).collect::<Result<_, _>>()?;
    presets.sort_by_key(|preset| preset.filters.iter().any(|filter| filter.starts_with(['+', '#'])));
    Ok(presets)
}

fn of_form(
    base: &MessageConfig,
    form: TopicForm,
    topics: usize,
    messages: &[&Message],
    now_micros: i64,
) -> Result<Proposal, ConfigError> {
    let mut members = Members::default();
    for message in messages {
        members.add(&message.topic, &message.payload);
    }
    let Suggestions { timestamp_keys, local_times, device } = members.suggestions();
    let mut notes = Vec::new();
    let mut keys = Dict::from([
        ("topics".to_owned(), Value::from(vec![form.filter.clone()])),
        ("templates".to_owned(), Value::from(vec![form.template.clone()])),
    ]);
    if timestamp_keys.iter().any(|key| !base.timestamp_keys.contains(key)) {
        keys.insert("timestamp_keys".to_owned(), Value::from(timestamp_keys));
    }
    if local_times {
        keys.insert("on_bad_time".to_owned(), Value::from("arrival"));
        notes.push(
            "Times have no offset from UTC. Set time_zone to use them; until then, readings get their arrival time."
                .to_owned(),
        );
    }
    if let Some(device) = device {
        let captures: Vec<&str> = form.template.split('/').filter(|level| level.starts_with('{')).collect();
        keys.insert("sensor".to_owned(), Value::from(format!("{}/{{{device}}}", captures.join("/"))));
        notes.push(format!("Several devices share a topic; the member {device} tells them apart."));
    }
    let findings = Findings::of(&merge_subscription(base, &keys)?, messages.iter().copied(), now_micros)?;
    Ok(Proposal { filters: vec![form.filter], topics, preset: None, keys, notes, findings })
}
