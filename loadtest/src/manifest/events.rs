//! The injected events: one JSON object per line, in a file beside the manifest.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::error::ManifestError;
use crate::sound_class::SoundClass;

/// An event that was injected into a sensor's readings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectedEvent {
    /// The sensor's name.
    pub sensor: String,
    /// The class of the sound.
    pub class: SoundClass,
    /// Time of the event's first reading, in µs since the Unix epoch; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub start: i64,
    /// Time of the event's last reading, in µs since the Unix epoch; RFC 3339 in the file.
    #[serde(with = "rfc3339")]
    pub end: i64,
    /// How far the event stands above the usual level, in dB.
    pub salience_db: f64,
}

/// Returns the path of the file with the events of a manifest.
pub fn path_of(manifest: &Path) -> PathBuf {
    let mut path = OsString::from(manifest);
    path.push(".events.jsonl");
    path.into()
}

impl InjectedEvent {
    pub(super) fn write_line(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// Reads the events of a manifest. Ignores a last line that a killed writer left unfinished.
pub fn read(manifest: &Path) -> Result<Vec<InjectedEvent>, ManifestError> {
    let path = path_of(manifest);
    let text = fs::read_to_string(&path).map_err(|source| ManifestError::File {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let whole_lines = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut offset = 0;
    whole_lines
        .lines()
        .map(|line| {
            let event = serde_json::from_str(line).map_err(|_| ManifestError::Damaged {
                path: path.clone(),
                offset,
                detail: "a line is not an event",
            });
            offset += line.len() as u64 + 1;
            event
        })
        .collect()
}

mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::time;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time::format(*micros))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        time::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
