//! The steps of a message, from its topic to its readings.

use std::collections::BTreeMap;

use serde::Serialize;
use thicket_actors::detector::DetectorConfigs;
use thicket_actors::source::{DecodeExplanation, IgnoreReason, MessageDecoder};
use thicket_detector::DetectorConfig;
use thicket_schema::{Item, Reading};

use crate::brokers::decode_options;
use crate::config::{Config, ConfigError, MessageConfig};
use crate::time_arg;

/// The steps of a message.
#[derive(Debug, Serialize)]
pub(super) struct Steps {
    pub(super) topic: String,
    pub(super) payload_bytes: usize,
    /// The subscription that receives the message; `None` if none does.
    pub(super) subscription: Option<SubscriptionStep>,
    /// All topic filters of the configuration, if no subscription receives the message.
    pub(super) filters: Vec<String>,
    /// Why the message is ignored.
    pub(super) ignored: Option<&'static str>,
    /// The format, and the compression around it.
    pub(super) format: Option<String>,
    pub(super) compression: Option<&'static str>,
    pub(super) readings: Vec<ReadingStep>,
    /// The members that are in no reading, each with the reason.
    pub(super) left_out: Vec<LeftOutStep>,
    /// The member that tells the elements of an array apart, if they are readings of one series.
    pub(super) apart: Option<Apart>,
}

/// What keeps the elements of an array apart that have the same fields.
#[derive(Debug, Serialize)]
pub(super) struct Apart {
    /// The path of the member.
    pub(super) member: String,
    /// The template of the sensor's name with this member.
    pub(super) sensor: String,
    /// The topic templates, if one of them captures a level under the name of the member.
    pub(super) templates: Option<Vec<String>>,
}

/// The subscription of a message.
#[derive(Debug, Serialize)]
pub(super) struct SubscriptionStep {
    /// Its place in the configuration, such as `mqtt.subscriptions[1]`.
    pub(super) place: String,
    pub(super) preset: Option<String>,
    pub(super) filter: String,
    /// How the sensor's name is made: by the template of the configuration.
    pub(super) sensor: Option<String>,
    /// What the topic template captures; `None` if no template matches.
    pub(super) captured: Option<Vec<(String, String)>>,
    /// Whether the message is one of Sparkplug B, whose topic names the sensor without a template.
    #[serde(skip)]
    pub(super) is_sparkplug: bool,
    pub(super) templates: Vec<String>,
}

/// How far arrival times of one message may be after its arrival, in µs: each is 1 µs after the one
/// before.
const MANY_STAMPS: i64 = 100_000;

/// A reading or a dead letter of a message.
#[derive(Debug, Serialize)]
pub(super) struct ReadingStep {
    /// `None` for a dead letter.
    pub(super) sensor: Option<String>,
    pub(super) time: Option<String>,
    /// Whether the message has no usable time, so that the reading has its arrival time.
    pub(super) is_arrival_time: bool,
    /// Whether its time was set back, because it is further ahead than `mqtt.max_lead`.
    pub(super) is_set_back: bool,
    pub(super) values: BTreeMap<String, f64>,
    /// The fields that are stored and not scored, each with the reason.
    pub(super) not_scored: BTreeMap<String, String>,
    /// The reason and the detail of a dead letter.
    pub(super) dead_letter: Option<(String, String)>,
}

/// A member that is in no reading.
#[derive(Debug, Serialize)]
pub(super) struct LeftOutStep {
    pub(super) path: String,
    pub(super) reason: String,
}

/// Decodes a message as the engine does, and returns the steps.
pub(super) fn steps_of(
    config: &Config,
    topic: &str,
    payload: Vec<u8>,
    now_micros: i64,
) -> Result<Steps, ConfigError> {
    let payload_bytes = payload.len();
    let detectors = config.detector_configs()?;
    let subscriptions = places(config)?;
    let decoder = MessageDecoder::new(decode_options(config)?);
    let explained = decoder.explain(topic, &payload.into(), now_micros);
    let filters = match explained.subscription {
        Some(_) => Vec::new(),
        None => subscriptions.iter().flat_map(|(_, one)| one.topics.iter().cloned()).collect(),
    };
    let DecodeExplanation {
        subscription,
        filter,
        ignored,
        captured,
        format,
        is_sparkplug,
        compression,
        left_out,
        apart,
        items,
    } = explained;
    let subscription = subscription.and_then(|index| subscriptions.get(index)).map(|(place, one)| {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        SubscriptionStep {
            place: place.clone(),
            preset: given(&one.preset),
            filter: filter.unwrap_or_default(),
            sensor: given(&one.sensor),
            captured,
            is_sparkplug,
            templates: one.templates.clone(),
        }
    });
    let apart =
        subscription.as_ref().zip(apart).map(|(subscription, member)| Apart::by(member, subscription));
    let left_out = left_out
        .into_iter()
        .map(|member| LeftOutStep { path: member.path, reason: member.reason.to_string() });
    Ok(Steps {
        topic: topic.to_owned(),
        payload_bytes,
        subscription,
        filters,
        ignored: ignored.map(|reason| match reason {
            IgnoreReason::Empty => "the payload is empty, which deletes a retained message",
            IgnoreReason::Rule => "a rule of mqtt.ignore matches",
        }),
        format,
        compression,
        readings: items.iter().filter_map(|item| reading_step(item, &detectors, now_micros)).collect(),
        left_out: left_out.collect(),
        apart,
    })
}

impl Apart {
    fn by(member: String, subscription: &SubscriptionStep) -> Self {
        let captured = || subscription.captured.iter().flatten().map(|(name, _)| name);
        // In the template of the sensor's name, the name would stand for the level.
        let is_taken = captured().any(|name| *name == member);
        let renamed = |text: &str| {
            if !is_taken {
                return text.to_owned();
            }
            let one = text.replace(&format!("{{{member}}}"), "{level}");
            one.replace(&format!("{{{member}...}}"), "{level...}")
        };
        let before = match &subscription.sensor {
            Some(template) => renamed(&format!("{template}/")),
            None => captured().map(|name| renamed(&format!("{{{name}}}/"))).collect(),
        };
        let templates =
            is_taken.then(|| subscription.templates.iter().map(|template| renamed(template)).collect());
        Self { sensor: format!("{before}{{{member}}}"), templates, member }
    }
}

/// Returns every subscription with its place in the configuration.
fn places(config: &Config) -> Result<Vec<(String, MessageConfig)>, ConfigError> {
    let mut places = Vec::new();
    for mqtt in &config.mqtt {
        places.extend(mqtt.placed_subscriptions()?);
    }
    Ok(places)
}

fn reading_step(item: &Item, detectors: &DetectorConfigs, now_micros: i64) -> Option<ReadingStep> {
    match item {
        Item::Reading(reading) => Some(ReadingStep {
            sensor: Some(reading.sensor.to_string()),
            time: Some(time_arg::show(reading.ts)),
            is_arrival_time: reading.stamped && reading.ts.0 <= now_micros + MANY_STAMPS,
            is_set_back: reading.stamped && reading.ts.0 > now_micros + MANY_STAMPS,
            values: reading.fields.names().iter().cloned().zip(reading.values.iter().copied()).collect(),
            not_scored: not_scored(&detectors.of(&reading.sensor).config, reading),
            dead_letter: None,
        }),
        Item::DeadLetter(letter) => Some(ReadingStep {
            sensor: None,
            time: None,
            is_arrival_time: false,
            is_set_back: false,
            values: BTreeMap::new(),
            not_scored: BTreeMap::new(),
            dead_letter: Some((letter.reason.to_string(), letter.detail.clone())),
        }),
        Item::Control(_) => None,
    }
}

/// Returns the fields that the configuration keeps out of the detector.
fn not_scored(config: &DetectorConfig, reading: &Reading) -> BTreeMap<String, String> {
    let reason = |name: &String| {
        if config.fields.contains(name) || config.counters.contains(name) {
            return None;
        }
        if !config.fields.is_empty() {
            return Some("detector.fields does not list it".to_owned());
        }
        let pattern = config.exclude.matching(name)?;
        Some(format!("the pattern {pattern} of detector.exclude matches its name"))
    };
    reading.fields.names().iter().filter_map(|name| Some((name.clone(), reason(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn apart(payload: &str) -> Option<(String, String, Option<Vec<String>>)> {
        let config = load(None, &Overrides::new()).unwrap().config;
        let steps = steps_of(&config, "sensors/gw/1", payload.as_bytes().to_vec(), 1_795_881_620_000_000);
        let found = |Apart { member, sensor, templates }| (member, sensor, templates);
        steps.unwrap().apart.map(found)
    }

    #[test]
    fn elements_of_one_series_lead_to_a_template_that_keeps_them_apart() {
        let opc = r#"[{"NodeId":"s=T","Value":{"Value":21.5}},{"NodeId":"s=P","Value":{"Value":900.1}}]"#;
        assert_eq!(apart(opc), Some(("NodeId".to_owned(), "{sensor}/{NodeId}".to_owned(), None)));
        let templates = vec!["sensors/{level...}".to_owned()];
        let sensors = r#"[{"sensor":"t","x":21.5},{"sensor":"p","x":900.1}]"#;
        assert_eq!(
            apart(sensors),
            Some(("sensor".to_owned(), "{level}/{sensor}".to_owned(), Some(templates)))
        );
        assert_eq!(apart(r#"[{"ts":1795881618,"x":21.5},{"ts":1795881619,"x":21.6}]"#), None);
    }

    #[test]
    fn a_message_of_sparkplug_has_its_format() {
        let config = load(None, &Overrides::new()).unwrap().config;
        let topic = "spBv1.0/plant/NDEATH/edge";
        let subscription = |config: &Config| {
            let mut config = config.clone();
            config.mqtt[0].messages.topics = vec!["spBv1.0/#".to_owned()];
            steps_of(&config, topic, Vec::from(*b"\x08\x01"), 1_795_881_620_000_000).unwrap()
        };
        let steps = subscription(&config);
        assert_eq!(steps.format.as_deref(), Some("Sparkplug B"));
        assert!(steps.subscription.is_some_and(|subscription| subscription.is_sparkplug));
    }
}
