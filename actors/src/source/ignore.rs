//! Messages that are no readings: states of connections, debug lines, deletions of retained
//! messages. They are counted and acknowledged, and become neither rows nor dead letters.

use thicket_codecs::FormatDecoder;
use wildmatch::WildMatchPattern;

use super::filter::filter_receives;

/// Longest payload, in bytes, that is compared with a pattern. No state of a connection is longer.
const LONGEST: usize = 1_024;

/// A rule for messages to ignore. A message is ignored if everything that the rule names matches.
#[derive(Clone, Debug)]
pub struct IgnoreRule {
    /// The MQTT filter of the topics; `None` for all.
    topic: Option<String>,
    /// The pattern of the whole payload, in lower case; `None` for all.
    payload: Option<WildMatchPattern<'*', '?'>>,
    /// Paths at none of which the payload has a value; empty for all payloads.
    lacks: Vec<String>,
}

/// Why a message is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreReason {
    /// The payload is empty: a device deletes its retained message.
    Empty,
    /// A rule matches.
    Rule,
}

impl IgnoreReason {
    /// Returns the label in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Rule => "ignored",
        }
    }
}

impl IgnoreRule {
    /// Creates a rule. The pattern of a payload may have `*` for any text and `?` for a character;
    /// case and white space around a payload do not matter. With paths in `lacks`, the payload must
    /// be a JSON object without a value at any of them.
    pub fn new(topic: Option<String>, payload: Option<&str>, lacks: Vec<String>) -> Self {
        let payload = payload.map(|pattern| WildMatchPattern::new(&pattern.to_lowercase()));
        Self { topic, payload, lacks }
    }

    /// `text` is the payload in lower case, if it can be compared with a pattern.
    fn matches(&self, topic: &str, text: Option<&str>, lacks: impl Fn(&[String]) -> bool) -> bool {
        let is_text = |pattern: &WildMatchPattern<'*', '?'>| text.is_some_and(|text| pattern.matches(text));
        self.topic.as_ref().is_none_or(|filter| filter_receives(filter, topic))
            && self.payload.as_ref().is_none_or(is_text)
            && (self.lacks.is_empty() || lacks(&self.lacks))
    }
}

/// Returns why a message is ignored; `None` if it is not.
pub(super) fn ignore_reason(
    rules: &[IgnoreRule],
    decoder: &FormatDecoder,
    topic: &str,
    payload: &[u8],
) -> Option<IgnoreReason> {
    if payload.is_empty() {
        return Some(IgnoreReason::Empty);
    }
    if rules.is_empty() {
        return None;
    }
    let text = (payload.len() <= LONGEST).then(|| std::str::from_utf8(payload).ok()).flatten();
    let text = text.map(|text| text.trim().to_lowercase());
    let lacks = |paths: &[String]| decoder.lacks(payload, paths);
    let ignored = rules.iter().any(|rule| rule.matches(topic, text.as_deref(), lacks));
    ignored.then_some(IgnoreReason::Rule)
}

#[cfg(test)]
mod tests {
    use thicket_codecs::{Format, PayloadLimits};

    use super::*;

    fn reason(rules: &[IgnoreRule], topic: &str, payload: &str) -> Option<IgnoreReason> {
        let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
        let decoder = FormatDecoder::new(Format::Auto, limits, Vec::new());
        ignore_reason(rules, &decoder, topic, payload.as_bytes())
    }

    #[test]
    fn a_rule_matches_if_all_that_it_names_matches() {
        let rules = [
            IgnoreRule::new(Some("tele/+/LWT".to_owned()), None, Vec::new()),
            IgnoreRule::new(None, Some("online"), Vec::new()),
            IgnoreRule::new(Some("esp/#".to_owned()), Some("debug*"), Vec::new()),
        ];
        let is_ignored = |topic, payload| reason(&rules, topic, payload) == Some(IgnoreReason::Rule);
        assert!(is_ignored("tele/boiler/LWT", "21.5"));
        assert!(is_ignored("any/topic", " Online\n"));
        assert!(is_ignored("esp/a/log", "DEBUG: heap 4711"));
        assert!(!is_ignored("tele/boiler/SENSOR", "21.5"));
        assert!(!is_ignored("any/topic", "online since 5"));
        assert!(!is_ignored("other/a/log", "debug: heap"));
    }

    #[test]
    fn a_rule_matches_an_object_without_the_members_that_it_names() {
        let lacks = ["up.decoded", "up.raw"].map(str::to_owned).to_vec();
        let rules = [IgnoreRule::new(Some("up/+".to_owned()), None, lacks)];
        let long = format!(r#"{{"up":{{"meta":"{}"}}}}"#, "x".repeat(2 * LONGEST));
        for payload in ["{}", r#"{"up":{"decoded":null}}"#, &long] {
            assert_eq!(reason(&rules, "up/a", payload), Some(IgnoreReason::Rule), "{payload}");
            assert_eq!(reason(&rules, "down/a", payload), None, "{payload}");
        }
        for payload in [r#"{"up":{"raw":"AQI="}}"#, r#"{"up":{"decoded":{"t":1}}}"#, "21.5", "{"] {
            assert_eq!(reason(&rules, "up/a", payload), None, "{payload}");
        }
    }

    #[test]
    fn an_empty_payload_is_ignored_without_a_rule() {
        assert_eq!(reason(&[], "a", ""), Some(IgnoreReason::Empty));
        assert_eq!(reason(&[], "a", " "), None);
    }
}
