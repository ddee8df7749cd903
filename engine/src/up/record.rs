//! The supervising process of a deployment. It holds a lock for its whole life, and writes a record
//! that the other commands read.

use std::fs::{self, File, TryLockError};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::place::Place;

/// How often a supervising process tries to take the lock, and the time between two attempts.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_INTERVAL: Duration = Duration::from_millis(50);
/// How often a record is looked for while the lock is held.
const RECORD_ATTEMPTS: u32 = 40;

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
    /// When the process was started, in clock ticks since the boot of the machine. A later process
    /// with the same id has another value.
    started: u64,
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

impl Record {
    /// Returns the record of this process.
    pub(super) fn of_this_process(phase: Phase, processes: Vec<ProcessRecord>) -> Self {
        let pid = std::process::id();
        Self { pid, started: start_of(pid).unwrap_or_default(), phase, processes }
    }

    /// Whether the process that wrote the record still runs.
    fn is_current(&self) -> bool {
        start_of(self.pid) == Some(self.started)
    }
}

/// Returns when a process was started, `None` if there is no such process.
fn start_of(pid: u32) -> Option<u64> {
    let process = procfs::process::Process::new(pid.cast_signed()).ok()?;
    Some(process.stat().ok()?.starttime)
}

/// The lock on a data directory. It is released when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Locks the data directory for a supervising process, and removes the record of an earlier one.
/// Returns `None` if another process holds the lock.
pub(super) fn lock(place: &Place) -> anyhow::Result<Option<Lock>> {
    // The sender lives as long as this function: each wait takes the whole interval.
    let (_sender, never) = mpsc::channel::<()>();
    for _ in 1..LOCK_ATTEMPTS {
        if let Some(lock) = try_lock(place)? {
            remove(place);
            return Ok(Some(lock));
        }
        // A command that asks whether the lock is held takes it for a moment.
        let _ = never.recv_timeout(LOCK_INTERVAL);
    }
    Ok(try_lock(place)?.inspect(|_| remove(place)))
}

fn try_lock(place: &Place) -> anyhow::Result<Option<Lock>> {
    locked(place, File::try_lock)
}

/// Opens the lock file and locks it. Returns `None` if another process holds a lock that excludes this
/// one.
fn locked(
    place: &Place,
    try_lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> anyhow::Result<Option<Lock>> {
    let (path, _) = place.lock_and_record();
    let what = || format!("cannot lock {}", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(&path).with_context(what)?;
    match try_lock(&file) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(what),
    }
}

/// Whether a supervising process holds the lock. Several commands may ask at the same time: their
/// locks are shared, so that none takes another one for a supervising process.
pub(super) fn is_held(place: &Place) -> anyhow::Result<bool> {
    Ok(place.directory().exists() && locked(place, File::try_lock_shared)?.is_none())
}

/// Returns the record of the supervising process, `None` if there is no such process.
///
/// A supervising process has the lock, and no record, for a moment when it begins and ends. Then this
/// function waits.
pub(super) fn running(place: &Place) -> anyhow::Result<Option<Record>> {
    let (_sender, never) = mpsc::channel::<()>();
    for _ in 0..RECORD_ATTEMPTS {
        if !is_held(place)? {
            return Ok(None);
        }
        if let Some(record) = read(place)?.filter(Record::is_current) {
            return Ok(Some(record));
        }
        let _ = never.recv_timeout(LOCK_INTERVAL);
    }
    bail!(
        "the deployment in {} begins or ends, or is exported or imported; try again",
        place.directory().display()
    )
}

/// Reads the record, `None` if there is none.
fn read(place: &Place) -> anyhow::Result<Option<Record>> {
    let (_, path) = place.lock_and_record();
    let what = || format!("cannot read {}", path.display());
    match fs::read(&path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).with_context(what)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(what),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &tempfile::TempDir) -> Place {
        Place::new(Some(folder.path())).unwrap()
    }

    #[test]
    fn a_record_is_believed_while_the_process_that_wrote_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        assert!(running(&place).unwrap().is_none());
        let lock = lock(&place).unwrap();
        assert!(lock.is_some());
        let own = Record::of_this_process(Phase::Ready, Vec::new());
        write(&place, &own).unwrap();
        assert_eq!(running(&place).unwrap().unwrap().pid, std::process::id());
        // The id was given to a later process.
        write(&place, &Record { started: own.started + 1, ..own.clone() }).unwrap();
        assert!(running(&place).is_err());
        write(&place, &own).unwrap();
        drop(lock);
        assert!(running(&place).unwrap().is_none());
    }

    #[test]
    fn a_supervising_process_removes_the_record_of_an_earlier_one_and_waits_for_a_short_lock() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        write(&place, &Record::of_this_process(Phase::Ready, Vec::new())).unwrap();
        let short = try_lock(&place).unwrap().unwrap();
        let found = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock(&place).unwrap().is_some());
            drop(short);
            waiting.join().unwrap()
        });
        assert!(found);
        assert!(!place.lock_and_record().1.exists());
    }

    #[test]
    fn commands_that_ask_at_the_same_time_are_no_deployment() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let asks = locked(&place, File::try_lock_shared).unwrap();
        assert!(asks.is_some() && !is_held(&place).unwrap());
        assert!(running(&place).unwrap().is_none());
        drop(asks);
        let _lock = lock(&place).unwrap().unwrap();
        assert!(is_held(&place).unwrap());
    }

    #[test]
    fn a_record_that_is_about_to_be_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder);
        let _lock = lock(&place).unwrap().unwrap();
        let found = std::thread::scope(|scope| {
            let asks = scope.spawn(|| running(&place).unwrap());
            // Long enough for the other thread to look for the record.
            std::thread::park_timeout(2 * LOCK_INTERVAL);
            write(&place, &Record::of_this_process(Phase::Starting, Vec::new())).unwrap();
            asks.join().unwrap()
        });
        assert_eq!(found.unwrap().pid, std::process::id());
    }
}
