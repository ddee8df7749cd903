//! `deadletter replay --at-arrival`: takes the time out of a payload, so that its readings get the
//! time at which the message first arrived. Pure.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Returns a JSON text without the members that hold its time: those whose path, with a dot between
/// the names, is one of `keys` from the document, from an element of an array, or from any object on
/// the way. A text that is not an object or an array stays as it is.
pub(super) fn without_time(text: &str, keys: &[String]) -> String {
    without(text, keys, "")
}

/// `path` is the path of the text, with a dot at its end.
fn without(text: &str, keys: &[String], path: &str) -> String {
    if let Ok(members) = serde_json::from_str::<Members<'_>>(text) {
        let kept = members.iter().filter_map(|(name, value)| {
            let place = format!("{path}{name}");
            let is_time = keys.iter().any(|key| is_at(&place, key));
            let value = (!is_time).then(|| without(value.get(), keys, &format!("{place}.")))?;
            Some(format!("{}:{value}", serde_json::Value::from(name.as_str())))
        });
        return format!("{{{}}}", kept.collect::<Vec<_>>().join(","));
    }
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        let elements: Vec<String> =
            elements.iter().map(|element| without(element.get(), keys, path)).collect();
        return format!("[{}]", elements.join(","));
    }
    text.to_owned()
}

/// Whether a path is a key, or ends with it.
fn is_at(path: &str, key: &str) -> bool {
    path.strip_suffix(key).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn only_the_members_that_hold_the_time_are_taken_out_and_numbers_keep_their_digits() {
        let keys = keys(&["ts", "uplink.at"]);
        for (text, expected) in [
            (r#"{"ts":1,"a":0.10,"ats":2}"#, r#"{"a":0.10,"ats":2}"#),
            (r#"{"uplink":{"at":"x","a":1},"at":3}"#, r#"{"at":3,"uplink":{"a":1}}"#),
            (r#"[{"ts":1,"a":1},{"ts":2,"a":2}]"#, r#"[{"a":1},{"a":2}]"#),
            (r#"{"data":{"ts":5,"a":1}}"#, r#"{"data":{"a":1}}"#),
            ("21.50", "21.50"),
            ("no JSON", "no JSON"),
        ] {
            assert_eq!(without_time(text, &keys), expected);
        }
    }
}
