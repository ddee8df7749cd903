//! The counters of a running replay.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// The counters of a running replay. No counter ever decreases. Reading one is a relaxed atomic
/// load.
#[derive(Debug, Default)]
pub struct Progress {
    pub(super) published: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) event_time: AtomicI64,
    pub(super) connected: AtomicBool,
    pub(super) connects: AtomicU64,
    pub(super) live: AtomicBool,
}

impl Progress {
    /// Returns the number of readings that the broker confirmed.
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Returns the number of readings that were sent, confirmed or not. A reading that is sent
    /// again after a lost connection counts once.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Returns the number of malformed messages that the broker confirmed.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Relaxed)
    }

    /// Returns the number of injected events whose readings were all published.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Returns the event time of the newest confirmed message, in µs since the Unix epoch; 0 before
    /// the first confirmation.
    pub fn event_time(&self) -> i64 {
        self.event_time.load(Relaxed)
    }

    /// Returns whether the replay is connected to the broker.
    pub fn connected(&self) -> bool {
        self.connected.load(Relaxed)
    }

    /// Returns how often the replay connected to the broker.
    pub fn connects(&self) -> u64 {
        self.connects.load(Relaxed)
    }

    /// Returns whether the live phase has begun.
    pub fn live(&self) -> bool {
        self.live.load(Relaxed)
    }
}
