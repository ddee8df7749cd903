//! The command line.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{LogFormat, Overrides};
use crate::demo::DemoArgs;

/// Thicket: a forest for every sensor.
///
/// Readings arrive over MQTT, queue in Redis, are scored by one Robust Random Cut Forest per sensor, and land with their
/// anomaly score in PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "thicket", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Configuration file [default: thicket.toml, where there is one].
    #[arg(long, short, global = true, value_name = "FILE", env = "THICKET_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0  all is well
  1  the command failed, or what it checked is not as it should be
  2  the command line or the configuration is wrong
  3  the engine gave up: an actor panicked too often, or another node took over; start it anew
  4  the engine did not stop within shutdown.deadline; nothing is lost by that";

/// Flags that win over every other source of the configuration.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Log level or filters, such as info or info,thicket_actors=debug.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log format.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// The broker, as mqtt://host:port.
    #[arg(long, global = true, value_name = "URL")]
    mqtt: Option<String>,
    /// Redis, as redis://host:port.
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// PostgreSQL, as postgres://user@host:port/database.
    #[arg(long, global = true, value_name = "URL")]
    postgres: Option<String>,
}

impl Flags {
    /// The flags that were given, as configuration keys.
    pub(crate) fn overrides(&self) -> Overrides {
        let format = self.log_format.map(|format| match format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let flags = [
            ("log.level", self.log_level.clone()),
            ("log.format", format),
            ("mqtt.url", self.mqtt.clone()),
            ("redis.url", self.redis.clone()),
            ("postgres.url", self.postgres.clone()),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the engine until SIGTERM or Ctrl-C; then drains, saves every detector and exits 0.
    Run,
    /// Validates the configuration and reaches every server, saying which fails and how to mend it.
    Check,
    /// Creates or updates the tables in PostgreSQL. Does nothing where they are up to date.
    Migrate,
    /// Shows partitions, positions, lag, detectors and dead letters.
    Status(Format),
    /// Shows messages and readings that could not be processed.
    Deadletter {
        #[command(subcommand)]
        command: DeadletterCommand,
    },
    /// Starts private servers, replays synthetic city sounds through the whole path and shows what is found.
    Demo(DemoArgs),
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadletterCommand {
    /// Lists dead letters, the newest first.
    List {
        /// Only those of this reason, such as malformed_json.
        #[arg(long)]
        reason: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
}
