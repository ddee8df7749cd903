//! The command line of `thicket sensors`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use clap::Subcommand;

use crate::output::Format;

/// What to do with sensors.
#[derive(Debug, Subcommand)]
pub(crate) enum SensorsCommand {
    /// Lists sensors by name, with the times of their first and newest readings.
    List {
        /// A pattern of names: * for any text, ? for any character.
        #[arg(default_value = "*")]
        pattern: String,
        /// The maximum number of sensors.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        #[command(flatten)]
        format: Format,
    },
    /// Lets the detector of a sensor begin again, as if its next reading were the first. Its rows
    /// stay.
    Reset {
        /// The sensor's name.
        sensor: String,
        #[command(flatten)]
        format: Format,
    },
    /// Deletes everything about a sensor: rows, anomalies, labels, detector and checkpoint. If it
    /// sends again, it is a new sensor.
    Forget {
        /// The sensor's name.
        sensor: String,
        /// Delete it. Without this option, the command only says what it would delete.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Gives a sensor another name. Its rows, anomalies, labels and detector stay, and messages
    /// with the new name go on with them. A message with the old name becomes a dead letter
    /// (sensor_renamed).
    ///
    /// Log entries, Redis and the patterns of [[detectors]] go on with the first name of the
    /// sensor.
    Rename {
        /// The sensor's name.
        sensor: String,
        /// The new name, which no sensor has.
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Shows a sensor: for each field, whether it is scored, and if it is stored only, the reason.
    Show {
        /// The sensor's name.
        sensor: String,
        #[command(flatten)]
        format: Format,
    },
}
