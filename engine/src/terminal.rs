//! What commands write to standard output and standard error.
//!
//! Names, payloads and notes come from outside. No character of them may control the terminal, and
//! a reader that has closed its end of the pipe (`| head`) ends no command.

use std::fmt::{Arguments, Write as _};
use std::io::{self, Write};
use std::sync::OnceLock;

/// The first error of standard output.
static OUTPUT_ERROR: OnceLock<String> = OnceLock::new();

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
    note(write(&mut io::stdout().lock(), shown(&text.to_string()).as_bytes()));
}

/// Writes to standard error for [`errln`].
pub(crate) fn write_error(text: Arguments<'_>) {
    // There is no place to report it.
    let _ = write(&mut io::stderr().lock(), shown(&text.to_string()).as_bytes());
}

/// Writes bytes to standard output as they are: completions, man pages, a configuration.
pub(crate) fn write_raw(bytes: &[u8]) {
    note(write(&mut io::stdout().lock(), bytes));
}

/// Writes JSON and a line feed to standard output.
pub(crate) fn write_json(json: &str) {
    note(write(&mut io::stdout().lock(), (shown_json(json) + "\n").as_bytes()));
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

/// Returns why standard output is not complete, `None` if it is, or if its reader is gone.
pub(crate) fn output_error() -> Option<&'static str> {
    OUTPUT_ERROR.get().map(String::as_str)
}

/// Keeps the first error of standard output. The command goes on: it may be in the middle of its
/// work.
fn note(written: io::Result<()>) {
    if let Err(error) = written {
        // Another one is kept already.
        let _ = OUTPUT_ERROR.set(error.to_string());
    }
}

/// Writes a text. A reader that is gone wants no more of it: that is no error.
fn write(stream: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match stream.write_all(text).and_then(|()| stream.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
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

    /// A stream that refuses everything.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_closed_pipe_is_no_error() {
        assert!(write(&mut Refusing(io::ErrorKind::BrokenPipe), b"text").is_ok());
        assert!(write(&mut Refusing(io::ErrorKind::StorageFull), b"text").is_err());
    }

    #[test]
    fn no_character_controls_the_terminal_or_the_direction_of_the_text() {
        assert_eq!(shown("a\u{1b}]0;x\u{7}\nb"), "a\\u{1b}]0;x\\u{7}\nb");
        assert_eq!(on_one_line("a\r\nb\u{9b}2J"), "a\\r\\nb\\u{9b}2J");
        assert_eq!(on_one_line("h/\u{202e}gnp.exe\u{200b}"), "h/\\u{202e}gnp.exe\\u{200b}");
        assert_eq!(shown_json("{\"a\":\"\u{202e}\u{e0041}\"}\n"), "{\"a\":\"\\u202e\\udb40\\udc41\"}\n");
        assert_eq!(on_one_line("Außen 温度 °C"), "Außen 温度 °C");
    }
}
