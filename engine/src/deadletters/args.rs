//! The command line of `thicket deadletter`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::{ArgGroup, Args, Subcommand};
use thicket_schema::{Reason, Timestamp};
use thicket_store::postgres::{DeadLetterFilter, DeadLetterKey, DeadLetterSelection};

use crate::output::Format;
use crate::time_arg;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadletterCommand {
    /// Lists dead letters, the newest first.
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Maximum number of results.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Shows dead letters in full. A payload that is not UTF-8 is shown in hexadecimal.
    Show {
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        format: Format,
    },
    /// Republishes dead letters to their MQTT topic.
    #[command(long_about = REPLAY, after_help = REPLAY_EXAMPLES)]
    Replay {
        #[command(flatten)]
        selection: SelectionArgs,
        /// Include dead letters that have been replayed before.
        #[arg(long)]
        again: bool,
        /// Give the readings the time at which the message first arrived instead of their own time.
        #[arg(long)]
        at_arrival: bool,
        /// Publish to this broker only: its `mqtt.name`, or host and port as the log shows them.
        #[arg(long, value_name = "NAME")]
        broker: Option<String>,
        /// Only show what would be published, and whether the engine would accept it.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Deletes dead letters. The ledger still counts them, and `thicket reconcile` knows that they
    /// were deleted.
    Drop {
        #[command(flatten)]
        selection: SelectionArgs,
        /// Skip the confirmation.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
}

const REPLAY: &str = "Republishes dead letters to their MQTT topic (QoS 1).

A dead letter counts as replayed when the broker has acknowledged it. Fix the cause first: in the configuration (templates, \
limits, mqtt.max_age) or in the tables (a conflicting reading). A message that still cannot be processed becomes a new dead letter.

A message without a time gets the time at which it first arrived, so that a dead letter that is replayed twice is stored once. \
With --at-arrival, a message with a time gets it too: for readings that were refused because the clock of the device was wrong. \
A dead letter that was made of a decoded reading is published to the topic that the first matching template of mqtt.templates gives for \
its sensor. It is refused if the engine would not read the same reading from that message, as with mqtt.sensor or mqtt.root. \
It is not known from which broker a dead letter came: if several of them receive its topic, name one with --broker. \
A dead letter whose payload was too long to be kept whole cannot be replayed.";

const REPLAY_EXAMPLES: &str = "Examples:
  thicket deadletter replay 07/1795345200000-5/0
  thicket deadletter replay --reason no_topic_template --topic 'plant/*' --dry-run
  thicket deadletter replay --reason timestamp_too_old --at-arrival";

/// Which dead letters, by their content.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only dead letters of this reason, such as malformed_json.
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only dead letters whose topic matches, such as 'sensors/site-1/*' (* any text, ? any
    /// character).
    #[arg(long, value_name = "PATTERN")]
    topic: Option<String>,
    /// Only dead letters that arrived at this time or later: RFC 3339, or a duration before now,
    /// such as 2h or 7d.
    #[arg(long, value_name = "TIME", value_parser = time_arg::parse)]
    since: Option<Timestamp>,
}

/// Which dead letters, by their keys or by their content.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("selected").args(["keys", "reason", "topic", "since"]).required(true).multiple(true))]
pub(crate) struct SelectionArgs {
    /// Keys of dead letters, as `thicket deadletter list` shows them.
    #[arg(value_name = "KEY")]
    keys: Vec<DeadLetterKey>,
    #[command(flatten)]
    filter: FilterArgs,
}

impl From<FilterArgs> for DeadLetterFilter {
    fn from(args: FilterArgs) -> Self {
        Self { reason: args.reason, topic: args.topic, since: args.since }
    }
}

impl From<SelectionArgs> for DeadLetterSelection {
    fn from(args: SelectionArgs) -> Self {
        Self { keys: args.keys, filter: args.filter.into() }
    }
}

fn reason(name: &str) -> Result<Reason, String> {
    let known = Reason::ALL.map(Reason::as_str).join(", ");
    name.parse().map_err(|_| format!("no such reason; the reasons are {known}"))
}
