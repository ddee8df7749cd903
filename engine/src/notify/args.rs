//! The command line of `thicket notify`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use humantime_serde::re::humantime;

use crate::output::Format;

/// What to do with notifications.
#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Sends a test message to the receiver of a route. Needs no running engine.
    Test {
        /// Name of the route.
        route: String,
    },
    /// Lists notifications that wait or have failed, the newest first.
    List {
        /// Also list notifications that were sent, or that a route did not announce.
        #[arg(long)]
        all: bool,
        /// Maximum number of results.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Silences sensors: their anomalies are not announced for some time. Anomalies that still go
    /// on then are announced at its end.
    #[command(
        after_help = "Example:\n  thicket notify silence 'site-1/*' --for 2h --note 'the crane is tested'"
    )]
    Silence {
        /// Pattern of the sensors' names (* any text, ? any character).
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        pattern: String,
        /// How long, such as 2h. At most 10 years.
        #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
        lasts: Duration,
        /// A short remark.
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        note: String,
        /// Author of the silence.
        #[arg(long, value_name = "NAME", env = "USER", default_value = "", hide_default_value = true)]
        author: String,
    },
    /// Lists the silences that have not ended.
    Silences {
        #[command(flatten)]
        format: Format,
    },
    /// Ends a silence.
    Unsilence {
        /// Its number, as `thicket notify silences` shows it.
        id: i64,
    },
}

/// The longest silence: ten years of 365.25 days, as humantime counts them. PostgreSQL refuses much
/// longer ones.
const LONGEST_SILENCE: Duration = Duration::from_hours(10 * 8_766);

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration: Duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("must be longer than 0s".to_owned());
    }
    if duration > LONGEST_SILENCE {
        return Err("must be at most 10 years".to_owned());
    }
    Ok(duration)
}
