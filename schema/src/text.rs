//! Shortens text from outside before it is stored or shown.

/// Maximum number of bytes of a text that an error message quotes.
const EXCERPT_BYTES: usize = 64;

/// Returns the beginning of a text, for an error message.
pub fn excerpt(text: &str) -> String {
    let end = boundary(text, EXCERPT_BYTES);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

/// Copies at most `max` bytes of a text. Replaces every NUL, which `text` of `PostgreSQL` cannot
/// store, by U+FFFD.
pub(crate) fn storable(text: &str, max: usize) -> String {
    let end = boundary(text, max);
    if !text[..end].contains('\0') {
        return text[..end].to_owned();
    }
    let mut clean = text[..end].replace('\0', "\u{fffd}");
    clean.truncate(boundary(&clean, max));
    clean
}

/// Returns the length of the longest prefix of at most `max` bytes that ends between characters.
fn boundary(text: &str, max: usize) -> usize {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_ends_between_characters_and_shows_that_it_was_cut() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(excerpt(&format!("{}é", "a".repeat(63))), format!("{}…", "a".repeat(63)));
    }

    #[test]
    fn storable_text_keeps_its_limit_also_when_nuls_grow() {
        assert_eq!(storable("a\0b", 10), "a\u{fffd}b");
        assert_eq!(storable("\0\0\0", 4), "\u{fffd}");
        assert_eq!(storable("ééé", 5), "éé");
    }
}
