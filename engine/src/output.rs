//! How commands print.

use crate::terminal::write_json;
use clap::Args;
use serde::Serialize;

/// How a command prints.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// Print JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Format {
    /// Prints a value as one line of JSON, or as `print_text` prints it for people.
    pub(crate) fn print<T: Serialize + ?Sized>(
        self,
        value: &T,
        print_text: impl FnOnce(&T),
    ) -> anyhow::Result<()> {
        if self.json {
            write_json(&serde_json::to_string(value)?);
        } else {
            print_text(value);
        }
        Ok(())
    }
}

/// A JSON array that is printed element by element, because it may not fit into memory. When it is
/// dropped, also after an error, its end is printed.
#[derive(Debug, Default)]
pub(crate) struct JsonArray {
    is_begun: bool,
}

impl JsonArray {
    /// Prints the next element.
    pub(crate) fn push<T: Serialize>(&mut self, element: &T) -> anyhow::Result<()> {
        let before = if self.is_begun { ',' } else { '[' };
        write_json(&format!("{before}{}", serde_json::to_string(element)?));
        self.is_begun = true;
        Ok(())
    }
}

impl Drop for JsonArray {
    fn drop(&mut self) {
        write_json(if self.is_begun { "]" } else { "[]" });
    }
}
