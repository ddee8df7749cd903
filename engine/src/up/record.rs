//! The supervising process of a deployment. It holds a lock for its whole life, and writes a record
//! that the other commands read.

use std::fs::{self, File, TryLockError};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::place::Place;

/// What the supervising process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// It starts servers and engine.
    Starting,
    /// The engine was ready. Servers and engine are watched.
    Ready,
    /// It stops engine and servers.
    Stopping,
}

/// What the supervising process tells the other commands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The process id.
    pub(super) pid: u32,
    pub(super) phase: Phase,
    /// The processes of servers and engine, in the order in which they are shown.
    pub(super) processes: Vec<ProcessRecord>,
}

/// A process of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessRecord {
    pub(super) name: String,
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) is_running: bool,
    /// How often it has ended by itself and was started again.
    pub(super) restarts: u32,
}

/// The lock on a data directory. It is released when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Locks the data directory. Returns `None` if another process holds the lock.
pub(super) fn lock(place: &Place) -> anyhow::Result<Option<Lock>> {
    let (path, _) = place.lock_and_record();
    let what = || format!("cannot lock {}", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(&path).with_context(what)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(what),
    }
}

/// Whether a supervising process holds the lock.
pub(super) fn is_held(place: &Place) -> anyhow::Result<bool> {
    Ok(place.directory().exists() && lock(place)?.is_none())
}

/// Returns the record of the supervising process, `None` if there is no such process.
pub(super) fn running(place: &Place) -> anyhow::Result<Option<Record>> {
    if !is_held(place)? {
        return Ok(None);
    }
    let (_, path) = place.lock_and_record();
    match fs::read(&path) {
        Ok(text) => Ok(Some(
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("the deployment in {} begins or ends; try again", place.directory().display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes the record. A reader sees the old one or the new one.
pub(super) fn write(place: &Place, record: &Record) -> anyhow::Result<()> {
    let (_, path) = place.lock_and_record();
    let partial = path.with_extension("partial");
    fs::write(&partial, serde_json::to_vec(record)?)
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Removes the record at the end of the supervising process.
pub(super) fn remove(place: &Place) {
    let (_, path) = place.lock_and_record();
    // Without the lock, no command believes the record.
    let _ = fs::remove_file(path);
}
