//! The backlog of the log in words.

use thicket_store::redis::InFlight;

/// Describes a backlog for people.
pub(crate) fn words(InFlight { entries, records }: InFlight) -> String {
    match records {
        Some(records) => format!("{records} records in {entries} entries of the log"),
        None => format!("{entries} entries of the log, too many to count their records"),
    }
}
