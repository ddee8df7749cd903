//! Patterns of names and topics, as operators write them.

/// Turns a pattern (`*` any text, `?` any character) into one for SQL's `LIKE`.
pub(super) fn like(pattern: &str) -> String {
    let mut translated = String::with_capacity(pattern.len() + 4);
    for character in pattern.chars() {
        match character {
            '*' => translated.push('%'),
            '?' => translated.push('_'),
            '%' | '_' | '\\' => translated.extend(['\\', character]),
            _ => translated.push(character),
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_become_those_of_sql_and_nothing_else_is_special() {
        assert_eq!(like("site-1/*"), "site-1/%");
        assert_eq!(like("mic_?%"), r"mic\__\%");
        assert_eq!(like(r"a\b"), r"a\\b");
    }
}
