//! Writes tags as one text: `name=value`, with commas between them. Two sets of tags never become one
//! text.
//!
//! | part | what gets a backslash before it |
//! |---|---|
//! | name of a tag | each comma and `=` |
//! | measurement, or value of a tag | each comma, if the text also has `=` or ends with a backslash |
//!
//! Backslashes directly before such a character, or at the end of a part, are doubled.

use std::borrow::Cow;

/// Writes a tag.
pub(crate) fn tag(name: &str, value: &str) -> String {
    format!("{}={}", with_backslashes(name, &[',', '=']), part(value))
}

/// Writes a measurement, or the value of a tag: its commas could be taken for the beginnings of tags
/// only if it has `=` too.
pub(crate) fn part(text: &str) -> Cow<'_, str> {
    let is_ambiguous = text.contains(',') && text.contains('=');
    if is_ambiguous || text.ends_with('\\') { with_backslashes(text, &[',']) } else { text.into() }
}

fn with_backslashes<'t>(text: &'t str, special: &[char]) -> Cow<'t, str> {
    if !text.contains(special) && !text.ends_with('\\') {
        return text.into();
    }
    let mut written = String::with_capacity(text.len() + 4);
    let mut backslashes = 0;
    for character in text.chars() {
        if special.contains(&character) {
            written.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if character == '\\' { backslashes + 1 } else { 0 };
        written.push(character);
    }
    written.extend(std::iter::repeat_n('\\', backslashes));
    written.into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Every text of at most three of these characters.
    fn texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        for length in 0..3 {
            let longest: Vec<String> = texts.iter().filter(|text| text.len() == length).cloned().collect();
            let longer = |text: &String| ['a', ',', '=', '\\'].map(|character| format!("{text}{character}"));
            texts.extend(longest.iter().flat_map(longer));
        }
        texts
    }

    #[test]
    fn two_sets_of_tags_never_become_one_text() {
        let texts = texts();
        let (mut seen, mut pairs) = (HashMap::new(), Vec::new());
        for name in texts.iter().filter(|text| !text.is_empty() && text.len() < 3) {
            pairs.extend(texts.iter().map(|value| (name, value)));
        }
        let one = pairs.iter().map(|pair| (vec![*pair], tag(pair.0, pair.1)));
        let two = pairs.iter().flat_map(|first| {
            let shorter = pairs.iter().filter(|(_, value)| value.len() < 2);
            shorter.map(move |second| {
                (vec![*first, *second], format!("{},{}", tag(first.0, first.1), tag(second.0, second.1)))
            })
        });
        for (tags, text) in one.chain(two) {
            if let Some(other) = seen.insert(text.clone(), tags.clone()) {
                panic!("{tags:?} and {other:?} are {text}");
            }
        }
    }
}
