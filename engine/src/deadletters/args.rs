//! The command line of `thicket deadletter`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::{Args, Subcommand};
use thicket_schema::{Reason, Timestamp};

use super::letter::LetterKey;
use crate::cli::Format;
use crate::when;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadletterCommand {
    /// Lists dead letters, the newest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Shows everything about letters, with their payload as text, or in hexadecimal where it is none.
    Show {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        format: Format,
    },
    /// Puts letters back through the front door: publishes them to their MQTT topic once more.
    #[command(long_about = REPLAY, after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        selection: Selection,
        /// Also letters that have been replayed before.
        #[arg(long)]
        again: bool,
        /// Only says what would be published, and what the engine would make of it.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Deletes letters. The ledger keeps counting them, and `thicket reconcile` knows that they were dropped.
    Drop {
        #[command(flatten)]
        selection: Selection,
        /// Does not ask.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Lists readings that were skipped because they bring the engine down or PostgreSQL does not take them, the newest first.
    Verdicts {
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
}

const REPLAY: &str = "Puts letters back through the front door: publishes them to their MQTT topic once more (QoS 1).

A letter counts as replayed when the broker has taken it. What was wrong with it should be put right first: in the configuration \
(templates, limits, mqtt.max_age) or in the tables (a conflicting reading). What is still wrong becomes a new letter.

What was published without a time is given the time at which it first arrived, so that a letter that is replayed twice is stored once. \
A letter that was made of a decoded reading goes to the topic that the first fitting template of mqtt.templates gives for its sensor. \
Letters whose payload was too long to be kept whole cannot be replayed.";

const REPLAY_EXAMPLES: &str = "Examples:
  thicket deadletter replay 07/1795345200000-5/0
  thicket deadletter replay --reason no_topic_template --topic 'plant/*' --dry-run";

/// Which letters, by what they are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only those of this reason, such as malformed_json.
    #[arg(long, value_parser = reason)]
    pub(crate) reason: Option<Reason>,
    /// Only those whose topic matches, such as 'sensors/site-1/*' (* any text, ? any character).
    #[arg(long, value_name = "PATTERN")]
    pub(crate) topic: Option<String>,
    /// Only those that arrived then or later: RFC 3339, or how long ago, such as 2h or 7d.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub(crate) since: Option<Timestamp>,
}

/// Which letters, by their keys or by what they are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// Keys of letters, as `thicket deadletter list` shows them.
    #[arg(value_name = "KEY", required_unless_present_any = ["reason", "topic", "since"])]
    pub(crate) keys: Vec<LetterKey>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

fn reason(name: &str) -> Result<Reason, String> {
    let known = Reason::ALL.map(Reason::as_str).join(", ");
    name.parse().map_err(|_| format!("no such reason; the reasons are {known}"))
}
