//! Whether an object has a value at a path.

use super::compiled::Compiled;
use super::labels;
use super::scan::Scanner;
use super::source::{Malformed, Source as _, Token};
use super::times::unquoted;

/// Returns whether an object has a value at a path: a member other than `null`, a word for no
/// value, an empty text, and an empty object or array.
pub(super) fn has_value(object: &str, path: &str, compiled: &Compiled) -> bool {
    labels::find(object, path).is_some_and(|json| is_value(json, compiled).unwrap_or(true))
}

fn is_value(json: &str, compiled: &Compiled) -> Result<bool, Malformed> {
    let mut scanner = Scanner::new(json);
    Ok(match scanner.token()? {
        Token::Null => false,
        Token::Quoted(quoted) => !compiled.is_missing(&unquoted(quoted)),
        Token::Bare(word) => !compiled.is_missing(word),
        Token::Object => scanner.member(true)?.is_some(),
        Token::Array => scanner.element(true)?,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use crate::payload::PayloadDecoder;

    fn lacks(payload: &str, paths: &[&str]) -> bool {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        PayloadDecoder::default().lacks(payload.as_bytes(), &paths)
    }

    #[test]
    fn an_object_lacks_a_member_without_a_value() {
        for value in ["null", r#""""#, r#""unknown""#, "NaN", "{}", "[ ]"] {
            assert!(lacks(&format!(r#"{{"up":{{"a":{value}}},"b":1}}"#), &["up.a"]), "{value}");
        }
        for value in ["0", "false", r#""AQI=""#, r#"{"t":null}"#, "[1]"] {
            assert!(!lacks(&format!(r#"{{"up":{{"a":{value}}}}}"#), &["up.a"]), "{value}");
        }
        assert!(lacks(r#"{"b":1}"#, &["up.a", "a"]));
        assert!(!lacks(r#"{"a":1}"#, &["up.a", "a"]), "all must be lacking");
    }

    #[test]
    fn an_element_of_an_array_is_a_member() {
        assert!(!lacks(r#"{"a":[1,2]}"#, &["a.1"]) && !lacks(r#"{"a":[{"b":1}]}"#, &["a.0.b"]));
        assert!(lacks(r#"{"a":[1,null]}"#, &["a.1"]) && lacks(r#"{"a":[1,2]}"#, &["a.2"]));
    }

    #[test]
    fn only_an_object_lacks_a_member() {
        for payload in ["21.5", "[]", r#"[{"b":1}]"#, r#"{"b":1"#, r#"{"b":oops}"#, "on", ""] {
            assert!(!lacks(payload, &["a"]), "{payload}");
        }
    }
}
