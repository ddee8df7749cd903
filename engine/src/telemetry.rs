//! Logging. Panics are logged as well.

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};
use crate::terminal::{is_unsafe, shown_json};

/// Filters for libraries. They hold unless the level names the library.
///
/// The start messages of the HTTP server are of no use, and it logs each request that it cannot read:
/// any client could fill the log. The clients of Redis and of the broker log lost connections and
/// refusals in their own words; the engine says them in words of its own.
const LIBRARIES: &str = "actix_server=warn,actix_http=off,fred=error,rumqttc=error";

/// Libraries whose traces show the bytes of requests, which have passwords and tokens. No level of the
/// log shows these traces.
const SHOW_BYTES: [&str; 3] = ["ureq", "ureq_proto", "tungstenite"];

/// Starts logging to standard error, so that standard output has only the answer of a command.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    // The error of the library names its cause itself, and has it as its source as well.
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{}", config.level))
        .map_err(|error| anyhow::anyhow!("configuration: log.level: {:?}: {error}", config.level))?;
    let colours = has_colours(io::stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
    let format = config.format;
    let without_bytes = filter_fn(is_without_bytes);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || LogWriter { format, colours })
        .with_ansi(colours);
    match format {
        LogFormat::Text => builder.with_target(false).finish().with(without_bytes).init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().with(without_bytes).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        tracing::error!(place, message, "panic");
    }));
    Ok(())
}

/// Whether an event shows no bytes of requests.
fn is_without_bytes(event: &Metadata<'_>) -> bool {
    let library = event.target().split("::").next().unwrap_or_default();
    *event.level() != Level::TRACE || !SHOW_BYTES.contains(&library)
}

/// Whether log lines have colours. An empty `NO_COLOR` counts as not set (<https://no-color.org>).
fn has_colours(is_terminal: bool, no_color: Option<&OsStr>) -> bool {
    is_terminal && no_color.is_none_or(OsStr::is_empty)
}

/// Writes log lines to standard error, without characters that could control a terminal. If the
/// reader is gone, lines are dropped.
struct LogWriter {
    format: LogFormat,
    /// Whether the lines have colours, which begin with ESC. Then the library escapes every other
    /// ESC.
    colours: bool,
}

impl Write for LogWriter {
    /// Writes one event.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let event = String::from_utf8_lossy(bytes);
        let line = match self.format {
            LogFormat::Text => visible(&event, self.colours),
            LogFormat::Json => shown_json(&event),
        };
        let _ = io::stderr().lock().write_all(line.as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes the unsafe characters of an event. Its only line feed is the last character.
fn visible(event: &str, colours: bool) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for character in text.chars() {
        if is_unsafe(character) && !(colours && character == '\u{1b}') {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line + end
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::{has_colours, visible};

    #[test]
    fn a_terminal_gets_colours_unless_no_color_has_a_text() {
        let found = [None, Some(""), Some("1")].map(|text| has_colours(true, text.map(OsStr::new)));
        assert_eq!(found, [true, true, false]);
        assert!(!has_colours(false, None));
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        assert_eq!(visible("a\nfake\u{1b}[2J\u{202e}b\n", false), "a\\nfake\\u{1b}[2J\\u{202e}b\n");
        assert_eq!(visible("\u{1b}[32mINFO\u{1b}[0m a\u{9b}\n", true), "\u{1b}[32mINFO\u{1b}[0m a\\u{9b}\n");
    }
}
