//! Captured messages.

use std::io::BufRead;

use serde::Deserialize;

/// Maximum number of messages that are kept. Later ones are counted.
pub(super) const MAX_MESSAGES: usize = 200_000;
/// Maximum number of bytes of payloads that are kept.
const MAX_BYTES: usize = 256 << 20;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// Whether the broker kept it from before. The engine does not read such messages.
    pub(super) retained: bool,
}

/// The messages of a broker or a file.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) messages: Vec<Message>,
    /// Messages beyond the limits.
    pub(super) beyond_limits: u64,
    /// Lines of the file that are no messages.
    pub(super) unreadable: u64,
    /// How long the broker was listened to, in seconds; `None` for a file.
    pub(super) seconds: Option<f64>,
    bytes: usize,
}

/// A line of `mosquitto_sub -F %j`, or of other tools that use the same names.
#[derive(Deserialize)]
struct Line {
    topic: String,
    payload: Payload,
    #[serde(default)]
    retain: Retain,
}

/// A payload: a text, or JSON that stands in the line as it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Payload {
    Text(String),
    Json(serde_json::Value),
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Retain {
    #[default]
    Missing,
    Flag(bool),
    Number(u8),
}

impl Capture {
    pub(super) fn add(&mut self, message: Message) {
        if self.messages.len() == MAX_MESSAGES || self.bytes + message.payload.len() > MAX_BYTES {
            self.beyond_limits += 1;
            return;
        }
        self.bytes += message.payload.len();
        self.messages.push(message);
    }

    /// Reads captured messages.
    pub(super) fn read(input: impl BufRead) -> std::io::Result<Self> {
        let mut capture = Self::default();
        for line in input.split(b'\n') {
            let line = line?;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            match message_of(line) {
                Some(message) => capture.add(message),
                None => capture.unreadable += 1,
            }
        }
        Ok(capture)
    }
}

fn message_of(line: &[u8]) -> Option<Message> {
    if let Ok(Line { topic, payload, retain }) = serde_json::from_slice(line) {
        if !is_topic(&topic) {
            return None;
        }
        let payload = match payload {
            Payload::Text(text) => text.into_bytes(),
            Payload::Json(value) => value.to_string().into_bytes(),
        };
        let retained = matches!(retain, Retain::Flag(true) | Retain::Number(1));
        return Some(Message { topic, payload, retained });
    }
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let topic = std::str::from_utf8(&line[..blank]).ok()?.to_owned();
    // Such a line is JSON that is no message.
    let is_json = topic.starts_with('{') || topic.contains('"');
    (is_topic(&topic) && !is_json).then(|| Message {
        topic,
        payload: line[blank + 1..].to_vec(),
        retained: false,
    })
}

/// Whether a message can have this topic: wildcards stand in filters only.
fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_two_forms_are_messages() {
        let text = concat!(
            "{\"tst\":\"2026-11-25T18:00:00Z\",\"topic\":\"a/b\",\"qos\":0,\"retain\":1,\"payload\":\"21.5\"}\n",
            "{\"topic\":\"a/c\",\"payload\":{\"x\":1}}\n",
            "\n",
            "a/d {\"y\": 2}\n",
            "esp/{{name}}/t 21\n",
            "{\"topic\":\"a/+/c\",\"payload\":\"1\"}\n",
            "{\"no\": \"message\"}\n"
        );
        let capture = Capture::read(text.as_bytes()).unwrap();
        let found: Vec<(&str, &str, bool)> = capture
            .messages
            .iter()
            .map(|one| (one.topic.as_str(), std::str::from_utf8(&one.payload).unwrap(), one.retained))
            .collect();
        assert_eq!(
            found,
            [
                ("a/b", "21.5", true),
                ("a/c", "{\"x\":1}", false),
                ("a/d", "{\"y\": 2}", false),
                ("esp/{{name}}/t", "21", false)
            ]
        );
        assert_eq!(capture.unreadable, 2);
    }
}
