//! The command line of `thicket try`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::Args;
use thicket_schema::Timestamp;

use crate::output::Format;
use crate::time_arg;

/// The arguments of `thicket try`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TryArgs {
    /// The topic of the message.
    pub(super) topic: String,
    /// The payload as text.
    #[arg(required_unless_present_any = ["file", "hex"], conflicts_with_all = ["file", "hex"], allow_hyphen_values = true)]
    pub(super) payload: Option<String>,
    /// Read the payload from this file; - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "hex")]
    pub(super) file: Option<PathBuf>,
    /// The payload as hexadecimal digits, for binary formats.
    #[arg(long, value_name = "DIGITS")]
    pub(super) hex: Option<String>,
    /// The arrival of the message: RFC 3339, or a duration before now, such as 7d [default: now].
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    pub(super) arrival: Option<Timestamp>,
    #[command(flatten)]
    pub(super) format: Format,
}

const EXAMPLES: &str = r#"Examples:
  thicket try sensors/kitchen '{"temperature": 21.5, "battery": "91 %"}'
  thicket try tele/boiler/SENSOR --file message.json
  thicket try sensors/line --hex a16474656d70f94d60

No server is needed. The exit code is 0 if the message becomes at least one reading."#;
