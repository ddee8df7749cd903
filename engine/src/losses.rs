//! Ranges of the log that Redis acknowledged and lost, as commands show them.

use serde::Serialize;
use thicket_schema::Timestamp;
use thicket_store::postgres::StoredLoss;

use crate::time_arg;

/// A lost range, without its ends.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Loss {
    partition: i32,
    /// The last position before the range.
    after: String,
    /// The first position after the range.
    before: String,
    noticed: Timestamp,
}

impl From<StoredLoss> for Loss {
    fn from(StoredLoss { partition, range, noticed }: StoredLoss) -> Self {
        Self { partition, after: range.after.to_string(), before: range.before.to_string(), noticed }
    }
}

impl Loss {
    /// Describes the range for people.
    pub(crate) fn words(&self) -> String {
        let Self { partition, after, before, noticed } = self;
        let noticed = time_arg::show(*noticed);
        format!("partition {partition:02}: after {after}, before {before}; noticed {noticed}")
    }
}
