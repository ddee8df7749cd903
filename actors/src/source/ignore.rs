//! Messages that are no readings: states of connections, debug lines, deletions of retained
//! messages. They are counted and acknowledged, and become neither rows nor dead letters.

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
    /// case and white space around a payload do not matter.
    pub fn new(topic: Option<String>, payload: Option<&str>) -> Self {
        Self { topic, payload: payload.map(|pattern| WildMatchPattern::new(&pattern.to_lowercase())) }
    }

    fn matches(&self, topic: &str, payload: Option<&str>) -> bool {
        self.topic.as_ref().is_none_or(|filter| filter_receives(filter, topic))
            && self
                .payload
                .as_ref()
                .is_none_or(|pattern| payload.is_some_and(|payload| pattern.matches(payload)))
    }
}

/// Returns why a message is ignored; `None` if it is not.
pub(super) fn ignore_reason(rules: &[IgnoreRule], topic: &str, payload: &[u8]) -> Option<IgnoreReason> {
    if payload.is_empty() {
        return Some(IgnoreReason::Empty);
    }
    if rules.is_empty() {
        return None;
    }
    let text = (payload.len() <= LONGEST).then(|| std::str::from_utf8(payload).ok()).flatten();
    let text = text.map(|text| text.trim().to_lowercase());
    let ignored = rules.iter().any(|rule| rule.matches(topic, text.as_deref()));
    ignored.then_some(IgnoreReason::Rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(rules: &[IgnoreRule], topic: &str, payload: &str) -> Option<IgnoreReason> {
        ignore_reason(rules, topic, payload.as_bytes())
    }

    #[test]
    fn a_rule_matches_if_all_that_it_names_matches() {
        let rules = [
            IgnoreRule::new(Some("tele/+/LWT".to_owned()), None),
            IgnoreRule::new(None, Some("online")),
            IgnoreRule::new(Some("esp/#".to_owned()), Some("debug*")),
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
    fn an_empty_payload_is_ignored_without_a_rule() {
        assert_eq!(reason(&[], "a", ""), Some(IgnoreReason::Empty));
        assert_eq!(reason(&[], "a", " "), None);
    }
}
