//! The command line of `thicket discover`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::output::Format;

/// The arguments of `thicket discover`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiscoverArgs {
    /// How long to listen to the broker.
    #[arg(long = "for", value_name = "DURATION", default_value = "60s", value_parser = humantime_serde::re::humantime::parse_duration)]
    pub(super) duration: Duration,
    /// The topic filter to listen to; can be repeated.
    #[arg(long = "topic", value_name = "FILTER", default_value = "#")]
    pub(super) topics: Vec<String>,
    /// Read captured messages from this file instead of the broker; - for standard input. A line is
    /// a JSON object with topic and payload, or a topic, a blank and the payload.
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Write a configuration with the proposed subscriptions to this new file.
    #[arg(long, value_name = "NEW.toml")]
    pub(super) write: Option<PathBuf>,
    #[command(flatten)]
    pub(super) format: Format,
}

const EXAMPLES: &str = "Examples:
  thicket discover --mqtt mqtt://broker.local
  thicket discover --for 10m --topic 'zigbee2mqtt/#' --write thicket.toml
  mosquitto_sub -t '#' -F '%j' -W 60 > captured.jsonl; thicket discover --file captured.jsonl

The command only listens: it publishes nothing, uses a client id of its own, and needs no other server.";
