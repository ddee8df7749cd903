//! Finds the members of JSON payloads that hold a time or name a device.

mod devices;
mod times;

pub(super) use devices::DeviceMember;
use std::collections::BTreeMap;

use devices::Devices;
use serde_json::Value;
use thicket_codecs::is_senml;
use times::Times;

/// Maximum number of members of a payload that are looked at.
const MAX_MEMBERS: usize = 200;
const MAX_DEPTH: usize = 4;
/// Maximum number of paths of arrays that are looked at.
const MAX_ARRAYS: usize = 20;

/// The members of the payloads of one form. Each object of a payload that is an array is a message of
/// its own.
#[derive(Debug, Default)]
pub(super) struct Members {
    times: Times,
    devices: Devices,
    /// The members of the objects of arrays within the messages, by the path of the array.
    arrays: BTreeMap<String, Self>,
    /// The number of objects.
    objects: u64,
}

/// What the members of the payloads say about the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suggestions {
    /// Paths that hold the time, the best first.
    pub(super) timestamp_keys: Vec<String>,
    /// Whether times have no offset from UTC.
    pub(super) local_times: bool,
    /// The member that tells the devices of one topic apart.
    pub(super) device: Option<DeviceMember>,
    /// The array with the most objects within the messages, and what its objects say.
    pub(super) array: Option<Box<ArrayOfObjects>>,
}

/// An array of objects within the messages, each of which may be a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArrayOfObjects {
    pub(super) path: String,
    pub(super) suggestions: Suggestions,
}

impl Members {
    /// Adds a message. Payloads other than JSON objects and arrays of them have no members.
    pub(super) fn add(&mut self, topic: &str, payload: &[u8]) {
        match serde_json::from_slice(payload) {
            Ok(Value::Array(elements)) if !std::str::from_utf8(payload).is_ok_and(is_senml) => {
                self.add_array(topic, &elements);
            }
            Ok(object) => {
                self.add_object(topic, &object);
                if object.is_object() {
                    self.add_arrays_in("", topic, &object, 0);
                }
            }
            Err(_) => self.devices.add(topic, &[]),
        }
    }

    fn add_array(&mut self, topic: &str, elements: &[Value]) {
        self.devices.add_array(topic, elements.len());
        for element in elements {
            self.add_object(topic, element);
        }
    }

    /// Adds the arrays of objects within an object.
    fn add_arrays_in(&mut self, path: &str, topic: &str, value: &Value, depth: usize) {
        match value {
            Value::Object(object) if depth < MAX_DEPTH => {
                for (name, value) in object {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.add_arrays_in(&path, topic, value, depth + 1);
                }
            }
            Value::Array(elements)
                if elements.iter().any(Value::is_object)
                    && (self.arrays.len() < MAX_ARRAYS || self.arrays.contains_key(path)) =>
            {
                self.arrays.entry(path.to_owned()).or_default().add_array(topic, elements);
            }
            _ => {}
        }
    }

    fn add_object(&mut self, topic: &str, object: &Value) {
        self.objects += 1;
        let mut members = Vec::new();
        if object.is_object() {
            flatten("", object, 0, &mut members);
        }
        self.times.add(&members);
        self.devices.add(topic, &members);
    }

    /// Returns the settings that fit.
    pub(super) fn suggestions(&self) -> Suggestions {
        let times = self.times.best();
        let longest = self.arrays.iter().max_by_key(|(_, members)| members.objects);
        let array = longest.map(|(path, members)| {
            Box::new(ArrayOfObjects { path: path.clone(), suggestions: members.suggestions() })
        });
        Suggestions {
            array,
            local_times: times.first().is_some_and(|best| best.is_local),
            timestamp_keys: times.into_iter().map(|time| time.path).collect(),
            device: self.devices.best(),
        }
    }
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

    #[test]
    fn of_two_times_the_better_name_wins_and_one_that_stands_still_loses() {
        let owntracks = |seconds: u32| {
            let (tst, created) = (1_795_629_600 + seconds, 1_795_629_602 + seconds);
            format!(r#"{{"created_at":{created},"lat":1.5,"tst":{tst}}}"#)
        };
        let [one, two] = [0, 60].map(owntracks);
        assert_eq!(suggestions(&[("a", &one), ("a", &two)]).timestamp_keys, ["tst", "created_at"]);
        let since =
            |seconds: u32| format!(r#"{{"ts":1795629600,"updated_at":{},"x":1}}"#, 1_795_629_600 + seconds);
        let [one, two] = [0, 60].map(since);
        assert_eq!(suggestions(&[("a", &one), ("a", &two)]).timestamp_keys, ["updated_at", "ts"]);
        let last_motion = |seconds: u32| {
            format!(r#"{{"ts":{},"updated_at":{}}}"#, 1_795_600_000 + seconds, 1_795_629_600 + seconds)
        };
        let [one, two] = [0, 60].map(last_motion);
        assert_eq!(suggestions(&[("a", &one), ("a", &two)]).timestamp_keys, ["updated_at", "ts"]);
    }

    #[test]
    fn a_device_is_found_however_its_name_is_written() {
        for name in
            ["DeviceID", "device-id", "SerialNumber", "serial_number", "nodeId", "unique_id", "IMEI", "ep"]
        {
            let message = |id: u32| format!(r#"{{"{name}":"{id}","value":1}}"#);
            let messages: Vec<String> = [1, 2, 1, 2].map(message).into();
            let messages: Vec<(&str, &str)> = messages.iter().map(|text| ("gw", text.as_str())).collect();
            assert_eq!(suggestions(&messages).device(), Some(name));
        }
        // Three nodes of two names.
        let message = |node: u32| format!(r#"{{"node":{node},"device":"{}","value":1}}"#, node % 2);
        let messages: Vec<String> = [1, 2, 3, 1, 2, 3].map(message).into();
        let messages: Vec<(&str, &str)> = messages.iter().map(|text| ("gw", text.as_str())).collect();
        assert_eq!(suggestions(&messages).device(), Some("node"));
    }
}
