//! Logging. Panics are logged as well.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts logging to standard error, so that standard output has only the answer of a command.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    // The start messages of the HTTP server are of no use, unless the level names them.
    let filter = EnvFilter::try_new(format!("actix_server=warn,{}", config.level)).with_context(|| {
        format!("configuration: log.level: {:?} is neither a level nor a filter", config.level)
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        tracing::error!(place, message, "panic");
    }));
    Ok(())
}
