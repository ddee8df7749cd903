//! The command line of `thicket presets`.

use clap::Subcommand;

/// Commands on presets.
#[derive(Debug, Subcommand)]
pub(crate) enum PresetsCommand {
    /// Lists the presets.
    List,
    /// Prints the keys of a preset, in the form of the configuration.
    Show {
        /// The name of the preset.
        name: String,
    },
}
