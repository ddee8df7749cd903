//! The member of payloads that tells the devices of one topic apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thicket_codecs::payload::apart::{DEVICE_NAMES, rank};

/// The members that may name a device, by topic.
#[derive(Debug, Default)]
pub(super) struct Devices {
    topics: BTreeMap<String, OfTopic>,
}

/// The messages of a topic.
#[derive(Debug, Default)]
struct OfTopic {
    messages: u64,
    /// The number of objects of the longest array.
    longest_array: usize,
    /// For each path that may name a device: in how many messages, and its values.
    members: BTreeMap<String, (u64, BTreeSet<String>)>,
}

/// A member that tells devices apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::discover) struct DeviceMember {
    pub(in crate::discover) path: String,
    /// The topics all of whose messages have it.
    pub(in crate::discover) topics: BTreeSet<String>,
}

impl Devices {
    /// Adds an array of this many objects.
    pub(super) fn add_array(&mut self, topic: &str, objects: usize) {
        let longest = &mut self.topics.entry(topic.to_owned()).or_default().longest_array;
        *longest = objects.max(*longest);
    }

    /// Adds a message with the paths and values of its members.
    pub(super) fn add(&mut self, topic: &str, members: &[(String, Value)]) {
        let of_topic = self.topics.entry(topic.to_owned()).or_default();
        of_topic.messages += 1;
        for (path, value) in members {
            if rank(path, &DEVICE_NAMES).is_none() {
                continue;
            }
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) if !number.is_f64() => number.to_string(),
                _ => continue,
            };
            let (count, values) = of_topic.members.entry(path.clone()).or_default();
            *count += 1;
            values.insert(text);
        }
    }

    /// Returns the member that tells devices apart; `None` if no topic has several.
    pub(super) fn best(&self) -> Option<DeviceMember> {
        let paths: BTreeSet<&String> = self.topics.values().flat_map(|one| one.members.keys()).collect();
        let found = paths.into_iter().filter_map(|path| self.member(path));
        // The more values, the more devices: two of them can have the same name, but not the same
        // id.
        let order =
            |(member, values): &(DeviceMember, usize)| (Reverse(*values), rank(&member.path, &DEVICE_NAMES));
        found.min_by_key(order).map(|(member, _)| member)
    }

    /// Returns a member if it tells devices apart. It has several values on one topic all of whose
    /// messages have it, and each of them in several messages, or all of them in one array. Also
    /// returns the number of values.
    fn member(&self, path: &str) -> Option<(DeviceMember, usize)> {
        let complete = || {
            self.topics.iter().filter_map(|(topic, one)| {
                let (count, values) = one.members.get(path)?;
                (*count == one.messages).then_some((topic, one, values.len()))
            })
        };
        let varying: Vec<(&OfTopic, usize)> =
            complete().filter(|(.., values)| *values > 1).map(|(_, one, values)| (one, values)).collect();
        let values: usize = varying.iter().map(|(_, values)| values).sum();
        let messages: u64 = varying.iter().map(|(one, _)| one.messages).sum();
        let recurs =
            2 * values as u64 <= messages || varying.iter().all(|(one, values)| *values <= one.longest_array);
        let topics = complete().map(|(topic, ..)| topic.clone()).collect();
        (values > 0 && recurs).then(|| (DeviceMember { path: path.to_owned(), topics }, values))
    }
}
