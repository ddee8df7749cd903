//! A subscription that fits some of the messages.

use std::collections::BTreeSet;

use figment::value::{Dict, Value};
use serde::Serialize;
use thicket_schema::Reason;

use super::capture::Message;
use super::findings::Findings;
use super::groups::Group;
use super::members::{ArrayOfObjects, Suggestions};
use crate::config::{ConfigError, MessageConfig, merge_subscription};

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

/// A preset with its subscriptions.
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) keys: Dict,
    pub(super) subscriptions: Vec<MessageConfig>,
    pub(super) filters: Vec<String>,
}

/// Which levels of a topic name the sensors of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Those that its template captures.
    Captures,
    /// All of them.
    Levels,
}

impl Proposal {
    /// Proposes a preset for the messages of its topics; `None` if it does not fit.
    pub(super) fn of_preset(
        preset: Preset,
        messages: &[&Message],
        now_micros: i64,
    ) -> Result<Option<Self>, ConfigError> {
        if messages.is_empty() {
            return Ok(None);
        }
        let Preset { name, keys, subscriptions, filters } = preset;
        let judged = Findings::of(&subscriptions, read_by_engine(messages), now_micros)?;
        if judged.readings == 0 || judged.share_of_readings() < FITS {
            return Ok(None);
        }
        let findings = Findings::of(&subscriptions, messages.iter().copied(), now_micros)?;
        let topics: BTreeSet<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
        let mut notes: Vec<String> = note_of_retained(&findings).into_iter().collect();
        if 2 * findings.without_time > findings.readings
            && subscriptions.iter().any(|one| !one.timestamp_keys.is_empty())
        {
            let advice = if findings.local_times > 0 { " Set time_zone: the times are local." } else { "" };
            notes.push(format!(
                "{} of {} readings have no usable time and get their arrival time.{advice}",
                findings.without_time, findings.readings
            ));
        }
        Ok(Some(Self { filters, topics: topics.len(), preset: Some(name), keys, notes, findings }))
    }

    /// Proposes a subscription for the messages of a group. If the configuration cannot express it,
    /// the proposal has no settings and says why: the other groups do not suffer.
    pub(super) fn of_group(base: &MessageConfig, group: &Group<'_>, naming: Naming, now_micros: i64) -> Self {
        Self::with_settings(base, group, naming, now_micros).unwrap_or_else(|error| Self {
            filters: group.filters.clone(),
            topics: group.topics.len(),
            preset: None,
            keys: Dict::new(),
            notes: vec![format!("No settings are proposed for these topics: {error}")],
            findings: Findings::unread(&group.messages),
        })
    }

    fn with_settings(
        base: &MessageConfig,
        group: &Group<'_>,
        naming: Naming,
        now_micros: i64,
    ) -> Result<Self, ConfigError> {
        let evaluate = |keys: &Dict| {
            let subscription = merge_subscription(base, keys)?;
            Findings::of(&subscription, group.messages.iter().copied(), now_micros)
        };
        let mut settings = Settings::of(base, group, naming, None);
        let mut findings = evaluate(&settings.keys)?;
        if let Some(array) = &group.suggestions.array {
            let with_root = Settings::of(base, group, naming, Some(array));
            let of_array = evaluate(&with_root.keys)?;
            if findings.readings == 0 && of_array.readings > 0 {
                (settings, findings) = (with_root, of_array);
            } else if of_array.readings > 0 {
                settings.notes.push(with_root.as_note(&array.path));
            }
        }
        let Settings { mut keys, mut notes } = settings;
        if findings.are_mostly(Reason::BadTimestamp) {
            keys.insert("on_bad_time".to_owned(), Value::from("arrival"));
            notes.push("Most times cannot be read, so that readings get their arrival time.".to_owned());
            findings = evaluate(&keys)?;
        }
        for member in findings.apart.keys() {
            notes.push(format!(
                "Elements of one array have the same fields and one sensor, and differ in {member}. If it names what each measures, add {{{member}}} to sensor."
            ));
        }
        notes.extend(note_of_retained(&findings));
        let (filters, topics) = (group.filters.clone(), group.topics.len());
        Ok(Self { filters, topics, preset: None, keys, notes, findings })
    }
}

/// The keys of a subscription, and notes about them.
struct Settings {
    keys: Dict,
    notes: Vec<String>,
}

impl Settings {
    /// Returns the keys for the messages of a group; with an array, those by which each of its objects
    /// is a reading.
    fn of(base: &MessageConfig, group: &Group<'_>, naming: Naming, array: Option<&ArrayOfObjects>) -> Self {
        let of_message = &group.suggestions;
        let Suggestions { timestamp_keys, local_times, device, .. } =
            array.map_or(of_message, |array| &array.suggestions);
        let mut notes = Vec::new();
        let mut keys = Dict::from([
            ("topics".to_owned(), Value::from(group.filters.clone())),
            ("templates".to_owned(), Value::from(vec![group.template.clone()])),
        ]);
        let mut timestamp_keys = timestamp_keys.clone();
        if let Some(array) = array {
            keys.insert("root".to_owned(), Value::from(array.path.clone()));
            // The time of the message is that of the objects without one.
            let others = of_message
                .timestamp_keys
                .iter()
                .filter(|key| !array.suggestions.timestamp_keys.contains(key));
            timestamp_keys.extend(others.cloned());
        }
        let of_base = base.timestamp_keys.iter().filter(|key| timestamp_keys.contains(key));
        if !of_base.eq(&timestamp_keys) {
            keys.insert("timestamp_keys".to_owned(), Value::from(timestamp_keys));
        }
        if *local_times {
            keys.insert("on_bad_time".to_owned(), Value::from("arrival"));
            notes.push(
                "Times have no offset from UTC. Set time_zone to use them; until then, readings get their arrival time."
                    .to_owned(),
            );
        }
        let levels = group.template.split('/');
        let mut sensor: Vec<String> = match naming {
            Naming::Captures => levels.filter(|level| level.starts_with('{')).map(str::to_owned).collect(),
            Naming::Levels => levels.map(str::to_owned).collect(),
        };
        if let Some(device) = device {
            sensor.push(format!("{{{}}}", device.path));
            notes
                .push(format!("Several devices share a topic; the member {} tells them apart.", device.path));
        }
        if device.is_some() || naming == Naming::Levels {
            keys.insert("sensor".to_owned(), Value::from(sensor.join("/")));
        }
        Self { keys, notes }
    }

    /// Returns the note that these keys, which have a root, read an array beside other fields.
    fn as_note(&self, array: &str) -> String {
        let set = ["root", "sensor", "timestamp_keys"].into_iter().filter_map(|key| {
            let value = toml::Value::try_from(self.keys.get(key)?).ok()?;
            Some(format!("{key} = {value}"))
        });
        let set: Vec<String> = set.collect();
        format!(
            "The objects of the array {array} are not read. If each is a reading, set {}.",
            set.join(", ")
        )
    }
}

/// Returns the messages that are not retained; all if there is no other.
fn read_by_engine<'m>(messages: &[&'m Message]) -> impl Iterator<Item = &'m Message> {
    let all_are_retained = messages.iter().all(|message| message.retained);
    messages.iter().copied().filter(move |message| all_are_retained || !message.retained)
}

fn note_of_retained(findings: &Findings) -> Option<String> {
    let note = "There were only retained messages, which the engine does not read.";
    findings.are_all_retained().then(|| note.to_owned())
}
