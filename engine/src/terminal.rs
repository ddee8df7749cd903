//! What commands write to standard output and standard error.
//!
//! Names, payloads and notes come from outside. No character of them may control the terminal, and
//! a reader that has closed its end of the pipe (`| head`) ends no command.

use std::fmt::{Arguments, Write as _};
use std::io::{self, Write};

/// Writes a line to standard output, as `println!` does, for people.
macro_rules! outln {
    () => { $crate::terminal::write_out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes to standard output, as `print!` does, for people.
macro_rules! out {
    ($($text:tt)*) => { $crate::terminal::write_out(format_args!($($text)*)) };
}

/// Writes a line to standard error, as `eprintln!` does.
macro_rules! errln {
    ($($text:tt)*) => { $crate::terminal::write_error(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes to standard error, as `eprint!` does.
macro_rules! err {
    ($($text:tt)*) => { $crate::terminal::write_error(format_args!($($text)*)) };
}

pub(crate) use {err, errln, out, outln};

/// Writes to standard output for [`outln`] and [`out`].
pub(crate) fn write_out(text: Arguments<'_>) {
    write(&mut io::stdout().lock(), &shown(&text.to_string()));
}

/// Writes to standard error for [`errln`].
pub(crate) fn write_error(text: Arguments<'_>) {
    write(&mut io::stderr().lock(), &shown(&text.to_string()));
}

/// Writes bytes to standard output as they are: completions, man pages, a configuration.
pub(crate) fn write_raw(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    // As in `write`.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Writes JSON and a line feed to standard output.
pub(crate) fn write_json(json: &str) {
    write(&mut io::stdout().lock(), &(shown_json(json) + "\n"));
}

/// Escapes every character that could control a terminal as JSON does, other than line feeds. The
/// text stays the same JSON.
pub(crate) fn shown_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if is_unsafe(character) && character != '\n' {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

/// The reader may be gone. The command goes on without it: it may be in the middle of its work, and
/// its exit code still says how it ended.
fn write(stream: &mut impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

/// Escapes every character that could control a terminal, other than line feeds.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |character| character != '\n')
}

/// Escapes every character that could control a terminal, and line feeds: a text from outside cannot
/// look like a line of the command.
pub(crate) fn on_one_line(text: &str) -> String {
    escaped(text, |_| true)
}

fn escaped(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unsafe(character) && also(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Whether a character controls the terminal, changes the direction of the text, or is invisible.
pub(crate) fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_controls_the_terminal_or_the_direction_of_the_text() {
        assert_eq!(shown("a\u{1b}]0;x\u{7}\nb"), "a\\u{1b}]0;x\\u{7}\nb");
        assert_eq!(on_one_line("a\r\nb\u{9b}2J"), "a\\r\\nb\\u{9b}2J");
        assert_eq!(on_one_line("h/\u{202e}gnp.exe\u{200b}"), "h/\\u{202e}gnp.exe\\u{200b}");
        assert_eq!(shown_json("{\"a\":\"\u{202e}\u{e0041}\"}\n"), "{\"a\":\"\\u202e\\udb40\\udc41\"}\n");
        assert_eq!(on_one_line("Außen 温度 °C"), "Außen 温度 °C");
    }
}
