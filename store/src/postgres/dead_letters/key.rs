//! The key of a dead letter, as operators write it.

use std::fmt;
use std::str::FromStr;

use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{PartitionId, RecordPosition};

/// Key of a dead letter: its partition and its position in the partition's log. Written
/// `partition/generation-n/item`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadLetterKey {
    /// Its partition.
    pub partition: PartitionId,
    /// The position of its record in the log.
    pub position: RecordPosition,
}

impl DeadLetterKey {
    /// The key of a row.
    pub fn of(row: &DeadLetterRow) -> Self {
        Self { partition: PartitionId(row.partition as u16), position: row.position() }
    }
}

impl fmt::Display for DeadLetterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.position)
    }
}

/// A text that is not the key of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a dead letter, which is partition/generation-n/item as in 07/1795345200000-5/0")]
pub struct DeadLetterKeyError;

impl FromStr for DeadLetterKey {
    type Err = DeadLetterKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('/').and_then(|(partition, position)| {
            Some(Self { partition: PartitionId(partition.parse().ok()?), position: position.parse().ok()? })
        });
        parsed.ok_or(DeadLetterKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let text = "07/1795345200000-5/2";
        let key: DeadLetterKey = text.parse().unwrap();
        assert_eq!((key.partition, key.position.item), (PartitionId(7), 2));
        assert_eq!(key.to_string(), text);
        for wrong in ["", "7", "7/5-5", "x/5-5/0", "7/5/0", "7/5-5/0/0"] {
            let error = wrong.parse::<DeadLetterKey>().unwrap_err().to_string();
            assert!(error.contains("07/1795345200000-5/0"), "{wrong}");
        }
    }
}
