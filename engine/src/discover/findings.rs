//! What the messages of a proposal become.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thicket_actors::source::{DecodeExplanation, DecodeOptions, MessageDecoder};
use thicket_codecs::{LeftOutReason, TimestampError};
use thicket_schema::{Item, Reason};

use super::capture::Message;
use crate::config::{ConfigError, MessageConfig};

/// Maximum number of names that are kept of each kind. The counts go on.
const MAX_NAMES: usize = 1_000;

/// What the messages of a proposal become.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) messages: u64,
    /// Messages that the broker kept from before.
    pub(super) retained: u64,
    pub(super) ignored: u64,
    pub(super) readings: u64,
    /// Readings that have no usable time, so that they get their arrival time.
    pub(super) without_time: u64,
    /// Members that hold a local time, which cannot be read without `time_zone`.
    #[serde(skip)]
    pub(super) local_times: u64,
    pub(super) sensors: BTreeSet<String>,
    /// The number of readings that have each field.
    pub(super) fields: BTreeMap<String, u64>,
    /// The unit of a field, as far as it is known.
    pub(super) units: BTreeMap<String, String>,
    /// The number of messages of each format.
    pub(super) formats: BTreeMap<String, u64>,
    /// Members that are in no reading, with the reason and their number.
    pub(super) left_out: BTreeMap<String, LeftOutFinding>,
    /// Members that tell elements of one array apart that are readings of one series, with the number
    /// of messages.
    #[serde(skip)]
    pub(super) apart: BTreeMap<String, u64>,
    /// Dead letters by reason.
    pub(super) dead_letters: BTreeMap<String, DeadLetterFinding>,
}

/// A member that is in no reading.
#[derive(Debug, Serialize)]
pub(super) struct LeftOutFinding {
    pub(super) reason: String,
    pub(super) count: u64,
}

/// The dead letters of one reason.
#[derive(Debug, Serialize)]
pub(super) struct DeadLetterFinding {
    pub(super) count: u64,
    /// The topic and the detail of the first one.
    pub(super) topic: String,
    pub(super) detail: String,
}

impl Findings {
    /// Decodes the messages as the engine would.
    pub(super) fn of<'m>(
        subscriptions: &[MessageConfig],
        messages: impl Iterator<Item = &'m Message>,
        now_micros: i64,
    ) -> Result<Self, ConfigError> {
        let options = subscriptions.iter().map(MessageConfig::options);
        let options = DecodeOptions { partitions: 1, subscriptions: options.collect::<Result<_, _>>()? };
        let decoder = MessageDecoder::new(options);
        let mut findings = Self::default();
        for message in messages {
            findings.messages += 1;
            findings.retained += u64::from(message.retained);
            let payload = message.payload.clone().into();
            findings.add(message, decoder.explain(&message.topic, &payload, now_micros));
        }
        Ok(findings)
    }

    /// Counts messages that are not decoded.
    pub(super) fn unread(messages: &[&Message]) -> Self {
        let retained = messages.iter().filter(|message| message.retained).count();
        Self { messages: messages.len() as u64, retained: retained as u64, ..Self::default() }
    }

    fn add(&mut self, message: &Message, explained: DecodeExplanation) {
        self.ignored += u64::from(explained.ignored.is_some());
        if let Some(format) = explained.format {
            *self.formats.entry(format).or_default() += 1;
        }
        if let Some(member) = explained.apart {
            *self.apart.entry(member).or_default() += 1;
        }
        for member in explained.left_out {
            let is_local = matches!(&member.reason, LeftOutReason::BadTime(TimestampError::NoZone(_)));
            self.local_times += u64::from(is_local);
            // An element of an array stands for all of them.
            let path = member.path.split_once("].").map_or(member.path.as_str(), |(_, path)| path).to_owned();
            if self.left_out.len() < MAX_NAMES || self.left_out.contains_key(&path) {
                let reason = member.reason.to_string();
                self.left_out.entry(path).or_insert(LeftOutFinding { reason, count: 0 }).count += 1;
            }
        }
        for item in explained.items {
            match item {
                Item::Reading(reading) => {
                    self.readings += 1;
                    self.without_time += u64::from(reading.stamped);
                    if self.sensors.len() < MAX_NAMES {
                        self.sensors.insert(reading.sensor.to_string());
                    }
                    for name in reading.fields.names() {
                        if let Some(unit) = super::units::unit_of(name, &message.payload) {
                            self.units.entry(name.clone()).or_insert(unit);
                        }
                        if self.fields.len() < MAX_NAMES || self.fields.contains_key(name) {
                            *self.fields.entry(name.clone()).or_default() += 1;
                        }
                    }
                }
                Item::DeadLetter(letter) => {
                    let first = DeadLetterFinding {
                        count: 0,
                        topic: message.topic.clone(),
                        detail: letter.detail.clone(),
                    };
                    self.dead_letters.entry(letter.reason.to_string()).or_insert(first).count += 1;
                }
                Item::Control(_) => {}
            }
        }
    }

    /// Returns whether most of what the messages become are dead letters of one reason.
    pub(super) fn are_mostly(&self, reason: Reason) -> bool {
        let of_reason = self.dead_letters.get(reason.as_str()).map_or(0, |letter| letter.count);
        2 * of_reason > self.readings + self.letters()
    }

    /// Returns whether the broker kept all messages from before. The engine does not read such
    /// messages.
    pub(super) fn are_all_retained(&self) -> bool {
        self.messages > 0 && self.retained == self.messages
    }

    fn letters(&self) -> u64 {
        self.dead_letters.values().map(|letter| letter.count).sum()
    }

    /// Returns the share of those messages that are not ignored which become readings, 0 to 1.
    pub(super) fn share_of_readings(&self) -> f64 {
        let all = self.readings + self.letters();
        if all == 0 { 0.0 } else { self.readings as f64 / all as f64 }
    }
}
