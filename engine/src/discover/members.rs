//! Finds the members of JSON payloads that hold a time or name a device.

mod devices;

use std::collections::BTreeMap;

pub(super) use devices::DeviceMember;
use devices::Devices;
use serde_json::Value;
use thicket_codecs::is_senml;
use thicket_codecs::timestamp::{TimestampError, parse_lenient};
use thicket_schema::Timestamp;

/// Maximum number of members of a payload that are looked at.
const MAX_MEMBERS: usize = 200;
const MAX_DEPTH: usize = 4;
/// Names of members that hold a time, in lower case.
const TIME_NAMES: [&str; 12] = [
    "ts",
    "time",
    "timestamp",
    "tst",
    "datetime",
    "date_time",
    "received_at",
    "measured_at",
    "created_at",
    "updated_at",
    "date",
    "t",
];
/// Times before 2015 and after 2100 are no times of readings, in µs since 1970.
const PLAUSIBLE: std::ops::Range<i64> = 1_420_070_400_000_000..4_102_444_800_000_000;

/// The members of the payloads of one form. Each object of an array is a message of its own.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// For each path that holds a time: in how many messages, and in how many without an offset.
    times: BTreeMap<String, (u64, u64)>,
    devices: Devices,
}

/// What the members of the payloads say about the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suggestions {
    /// Paths that hold the time, the most frequent first.
    pub(super) timestamp_keys: Vec<String>,
    /// Whether times have no offset from UTC.
    pub(super) local_times: bool,
    /// The member that tells the devices of one topic apart.
    pub(super) device: Option<DeviceMember>,
}

impl Members {
    /// Adds a message. Payloads other than JSON objects and arrays of them have no members.
    pub(super) fn add(&mut self, topic: &str, payload: &[u8]) {
        match serde_json::from_slice(payload) {
            Ok(Value::Array(elements)) if !std::str::from_utf8(payload).is_ok_and(is_senml) => {
                self.devices.add_array(topic, elements.len());
                for element in &elements {
                    self.add_object(topic, element);
                }
            }
            Ok(object) => self.add_object(topic, &object),
            Err(_) => self.devices.add(topic, &[]),
        }
    }

    fn add_object(&mut self, topic: &str, object: &Value) {
        let mut members = Vec::new();
        if object.is_object() {
            flatten("", object, 0, &mut members);
        }
        let members = members.into_iter().map(|(path, value)| {
            let name = name_of(&path);
            (path, name, value)
        });
        let members: Vec<(String, String, Value)> = members.collect();
        for (path, name, value) in &members {
            if TIME_NAMES.contains(&name.as_str())
                && let Some(is_local) = time_of(value)
            {
                let (count, local) = self.times.entry(path.clone()).or_default();
                *count += 1;
                *local += u64::from(is_local);
            }
        }
        self.devices.add(topic, &members);
    }

    /// Returns the settings that fit.
    pub(super) fn suggestions(&self) -> Suggestions {
        let mut times: Vec<(&String, &(u64, u64))> = self.times.iter().collect();
        times.sort_by_key(|(path, (count, _))| (std::cmp::Reverse(*count), path.matches('.').count()));
        times.truncate(3);
        Suggestions {
            local_times: times.first().is_some_and(|(_, (count, local))| 2 * local > *count),
            timestamp_keys: times.into_iter().map(|(path, _)| path.clone()).collect(),
            device: self.devices.best(name_of),
        }
    }
}

/// Returns the last name of a path in the form in which names are compared.
fn name_of(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).to_lowercase()
}

fn flatten(path: &str, value: &Value, depth: usize, members: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) if depth < MAX_DEPTH => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, depth + 1, members);
            }
        }
        Value::Object(_) | Value::Array(_) => {}
        scalar if members.len() < MAX_MEMBERS => members.push((path.to_owned(), scalar.clone())),
        _ => {}
    }
}

/// Returns whether a time has no offset from UTC; `None` if the value is no time.
fn time_of(value: &Value) -> Option<bool> {
    let is_plausible = |time: Timestamp| PLAUSIBLE.contains(&time.0);
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    match parse_lenient(&text, None) {
        Ok(time) => is_plausible(time).then_some(false),
        Err(TimestampError::NoZone(_)) => Some(true),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggestions(messages: &[(&str, &str)]) -> Suggestions {
        let mut members = Members::default();
        for (topic, payload) in messages {
            members.add(topic, payload.as_bytes());
        }
        members.suggestions()
    }

    impl Suggestions {
        fn device(&self) -> Option<&str> {
            self.device.as_ref().map(|device| device.path.as_str())
        }
    }

    #[test]
    fn a_time_is_found_by_its_name_and_its_value() {
        let found = suggestions(&[
            ("a", r#"{"Time":"2026-11-25T19:00:18","t":21.5,"meta":{"ts":1795629600}}"#),
            ("a", r#"{"Time":"2026-11-25T19:00:28","t":21.6,"time":"late"}"#),
        ]);
        assert_eq!(found.timestamp_keys, ["Time", "meta.ts"]);
        assert!(found.local_times);
    }

    #[test]
    fn a_member_tells_devices_apart_if_it_varies_on_one_topic() {
        let message = |id: u32| format!(r#"{{"model":"x","id":{id},"value":1}}"#);
        let messages: Vec<String> = [1, 2, 1, 2].map(message).into();
        let messages: Vec<(&str, &str)> = messages.iter().map(|text| ("gateway", text.as_str())).collect();
        assert_eq!(suggestions(&messages).device(), Some("id"));
        assert_eq!(suggestions(&messages[..2]).device, None, "each message has another id");
        let of_topics =
            [("a", messages[0].1), ("b", messages[1].1), ("a", messages[2].1), ("b", messages[3].1)];
        assert_eq!(suggestions(&of_topics).device, None, "the topic tells them apart");
    }

    #[test]
    fn the_elements_of_an_array_are_messages() {
        let array = r#"[{"t":1795856000000,"temp":21.5,"id":"a"},{"t":1795856000000,"temp":30,"id":"b"}]"#;
        let found = suggestions(&[("gateway", array)]);
        assert_eq!((found.device(), found.timestamp_keys.clone()), (Some("id"), vec!["t".to_owned()]));
        let records = |first: u32| {
            let elements = (first..first + 3).map(|id| format!(r#"{{"id":{id},"tst":1795856000}}"#));
            format!("[{}]", elements.collect::<Vec<_>>().join(","))
        };
        let batches: Vec<String> = (0..4).map(|batch| records(3 * batch)).collect();
        let batches: Vec<(&str, &str)> = batches.iter().map(|text| ("gateway", text.as_str())).collect();
        let found = suggestions(&batches);
        assert_eq!((found.device, found.timestamp_keys), (None, vec!["tst".to_owned()]), "ids of records");
        let loriot = r#"{"EUI":"a1","ts":1795856000000}"#;
        let other = loriot.replace("a1", "a2");
        let loriot = [("l", loriot), ("l", loriot), ("l", &*other), ("l", loriot)];
        assert_eq!(suggestions(&loriot).device(), Some("EUI"));
        let pack = r#"[{"bn":"a","n":"x","v":1,"t":1795856000},{"n":"y","v":1,"t":1795856000}]"#;
        assert_eq!(suggestions(&[("pack", pack)]), Suggestions::default(), "SenML has keys of its own");
        let counts = r#"[{"id":"a","n":5,"tst":1795856000,"x":1},{"id":"b","n":6,"tst":1795856000,"x":1}]"#;
        let found = suggestions(&[("counts", counts), ("counts", counts)]);
        assert_eq!((found.device(), found.timestamp_keys.clone()), (Some("id"), vec!["tst".to_owned()]));
    }
}
