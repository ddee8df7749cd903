//! The injected events: one JSON object per line, beside the ledger.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::LedgerError;
use crate::{sound_class::SoundClass, time};

/// An event that was injected into a sensor's readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The sensor's name.
    pub sensor: String,
    /// What is heard.
    pub class: SoundClass,
    /// Time of its first reading, in µs since the Unix epoch; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub start: i64,
    /// Time of its last reading.
    #[serde(with = "rfc3339")]
    pub end: i64,
    /// How far it stands above the usual level, in dB.
    pub salience_db: f64,
}

/// The file of labels that belongs to a ledger.
pub fn path_of(ledger: &Path) -> PathBuf {
    let mut path = OsString::from(ledger);
    path.push(".labels.jsonl");
    path.into()
}

impl Label {
    pub(super) fn write_line(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// Reads the labels of a ledger. A last line that a killed writer left unfinished is ignored.
pub fn read(ledger: &Path) -> Result<Vec<Label>, LedgerError> {
    let path = path_of(ledger);
    let text = fs::read_to_string(&path).map_err(|source| LedgerError::File {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut offset = 0;
    whole
        .lines()
        .map(|line| {
            let label = serde_json::from_str(line).map_err(|_| LedgerError::Damaged {
                path: path.clone(),
                offset,
                detail: "a line is no label",
            });
            offset += line.len() as u64 + 1;
            label
        })
        .collect()
}

mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::time;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time::format(*micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        time::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
