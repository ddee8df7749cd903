//! Splits JSON into tokens. Unlike a parser of JSON, it also takes bare words such as `NaN`, and
//! does not look into texts: a wrong escape or a foreign character in them costs nothing.

use std::borrow::Cow;
use std::str::from_utf8;

use super::source::{Malformed, Source, Token};

/// Reads one text from its start to its end.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Open brackets of a skipped value.
    open: Vec<u8>,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0, open: Vec::new() }
    }

    /// Returns the next byte after white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let bytes = &self.text.as_bytes()[self.at..];
        let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blanks;
        bytes.get(blanks).copied()
    }

    /// Skips a byte that must come next.
    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Reads up to the next member of an object, and returns its name with quotes; `None` at the
    /// end of the object.
    pub(super) fn member(&mut self, first: bool) -> Result<Option<&'t str>, Malformed> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            Some(_) if first => {}
            _ => return Err(Malformed),
        }
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let name = self.quoted()?;
        self.expect(b':')?;
        Ok(Some(name))
    }

    /// Reads a text. An escape is only stepped over: its meaning matters only if the text counts.
    fn quoted(&mut self) -> Result<&'t str, Malformed> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        loop {
            match bytes.get(at).ok_or(Malformed)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        // Both ends are ASCII, or lie after an escaped character of several bytes.
        self.text.get(start..=at).ok_or(Malformed)
    }

    fn bare(&mut self) -> Result<Token<'t>, Malformed> {
        let rest = &self.text.as_bytes()[self.at..];
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"' | b':' | b'\\' | 0..=b' ' | 127..);
        let word = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        self.at += word.len();
        let word = from_utf8(word).map_err(|_| Malformed)?;
        match word {
            "true" => Ok(Token::Bool(true)),
            "false" => Ok(Token::Bool(false)),
            "null" => Ok(Token::Null),
            _ if is_json_number(word.as_bytes()) => Ok(Token::Number(word)),
            _ if word.bytes().any(|byte| byte.is_ascii_alphabetic()) => Ok(Token::Bare(word)),
            _ => Err(Malformed),
        }
    }
}

impl<'t> Source<'t> for Scanner<'t> {
    type Position = usize;

    fn position(&self) -> usize {
        self.at
    }

    fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    fn since(&self, position: usize) -> &'t str {
        &self.text[position..self.at]
    }

    fn name(&mut self, first: bool) -> Result<Option<Cow<'t, str>>, Malformed> {
        self.member(first)?.map(name_of).transpose()
    }

    fn element(&mut self, first: bool) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                // A comma at the end is not JSON.
                if self.peek() == Some(b']') { Err(Malformed) } else { Ok(true) }
            }
            Some(_) if first => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn token(&mut self) -> Result<Token<'t>, Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'"' => self.quoted().map(Token::Quoted),
            b'{' => {
                self.at += 1;
                Ok(Token::Object)
            }
            b'[' => {
                self.at += 1;
                Ok(Token::Array)
            }
            _ => self.bare(),
        }
    }

    /// Without recursion.
    fn skip(&mut self, is_known: impl Fn(&str) -> bool) -> Result<(), Malformed> {
        self.open.clear();
        loop {
            let mut inside = match self.token()? {
                Token::Object => Some(b'{'),
                Token::Array => Some(b'['),
                Token::Bare(word) if !is_known(word) => return Err(Malformed),
                _ => None,
            };
            let mut first = inside.is_some();
            if let Some(bracket) = inside {
                self.open.push(bracket);
            }
            loop {
                inside = self.open.last().copied();
                let more = match inside {
                    None => return Ok(()),
                    Some(b'{') => self.member(first)?.is_some(),
                    Some(_) => self.element(first)?,
                };
                if more {
                    break;
                }
                self.open.pop();
                first = false;
            }
        }
    }
    fn end(&mut self) -> Result<(), Malformed> {
        self.peek().map_or(Ok(()), |_| Err(Malformed))
    }
}

/// Returns the name of a member. Wrong escapes in a name are malformed JSON.
fn name_of(quoted: &str) -> Result<Cow<'_, str>, Malformed> {
    let inner = quoted.get(1..quoted.len() - 1).ok_or(Malformed)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Malformed)
}

/// Whether a word is a number by the grammar of JSON.
fn is_json_number(word: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits(word);
    if whole == 0 || (whole > 1 && word[0] == b'0') {
        return false;
    }
    let mut rest = &word[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    let [b'e' | b'E', exponent @ ..] = rest else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}
