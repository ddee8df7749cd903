//! A watchdog thread outside the arbiters. A handler that never ends blocks its whole arbiter, and
//! no actor on that arbiter can report it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use thicket_schema::{SensorName, Timestamp};

/// Time between two heartbeats of an arbiter, and between two checks of them.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);

/// A thread that reports arbiters without a heartbeat. Dropping the watchdog ends the thread.
#[derive(Debug)]
pub struct Watchdog {
    began: Instant,
    watched: Sender<Arc<Watched>>,
}

/// An arbiter that hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Its name.
    pub arbiter: String,
    /// Time since its last heartbeat.
    pub since: Duration,
    /// The reading that it began to score last.
    pub at: Option<(SensorName, Timestamp)>,
}

#[derive(Debug)]
struct Watched {
    name: String,
    /// Time of the last heartbeat, in ms since the start of the watchdog.
    heartbeat: AtomicU64,
    at: Mutex<Option<(SensorName, Timestamp)>>,
}

thread_local! {
    /// The entry of the watchdog for the arbiter of this thread.
    static WATCHED: RefCell<Option<Arc<Watched>>> = const { RefCell::new(None) };
}

impl Watchdog {
    /// Starts the thread. It calls `on_frozen` for an arbiter without a heartbeat for longer than
    /// `timeout`.
    pub fn start(timeout: Duration, on_frozen: impl Fn(Frozen) + Send + 'static) -> std::io::Result<Self> {
        let (watched, to_watch) = channel();
        let began = Instant::now();
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(began, timeout, &to_watch, &on_frozen))?;
        Ok(Self { began, watched })
    }

    /// Watches an arbiter from now on.
    pub fn watch(&self, arbiter: &ArbiterHandle, name: &str) {
        let began = self.began;
        let heartbeat = AtomicU64::new(millis(began.elapsed()));
        let watched = Arc::new(Watched { name: name.to_owned(), heartbeat, at: Mutex::default() });
        let sent = Arc::clone(&watched);
        arbiter.spawn(async move {
            WATCHED.set(Some(Arc::clone(&watched)));
            loop {
                watched.heartbeat.store(millis(began.elapsed()), Ordering::Relaxed);
                tokio::time::sleep(HEARTBEAT_INTERVAL).await;
            }
        });
        // The thread runs until this sender is dropped.
        let _ = self.watched.send(sent);
    }
}

/// Records the reading that this thread is about to score, for the report of the watchdog.
pub(crate) fn about_to_score(sensor: &SensorName, ts: Timestamp) {
    WATCHED.with_borrow(|watched| {
        if let Some(watched) = watched {
            let mut at = watched.at.lock().unwrap_or_else(PoisonError::into_inner);
            *at = Some((sensor.clone(), ts));
        }
    });
}

fn watch(began: Instant, timeout: Duration, to_watch: &Receiver<Arc<Watched>>, on_frozen: &impl Fn(Frozen)) {
    let mut all: Vec<Arc<Watched>> = Vec::new();
    let mut last_check = Instant::now();
    let mut stopped = Duration::ZERO;
    loop {
        match to_watch.recv_timeout(HEARTBEAT_INTERVAL) {
            Ok(watched) => all.push(watched),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // If the whole process was stopped (a debugger, SIGSTOP, a machine that sleeps), no arbiter
        // had a heartbeat. That time does not count.
        if last_check.elapsed() > 8 * HEARTBEAT_INTERVAL {
            stopped = began.elapsed();
        }
        last_check = Instant::now();
        for watched in &all {
            let last = Duration::from_millis(watched.heartbeat.load(Ordering::Relaxed)).max(stopped);
            let since = began.elapsed().saturating_sub(last);
            if since > timeout {
                let at = watched.at.lock().unwrap_or_else(PoisonError::into_inner).clone();
                on_frozen(Frozen { arbiter: watched.name.clone(), since, at });
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_arbiter_is_reported_with_the_reading_it_scored_and_a_living_one_is_not() {
        let (report, reports) = channel();
        let on_frozen = move |frozen| drop(report.send(frozen));
        let watchdog = Watchdog::start(Duration::from_secs(1), on_frozen).unwrap();
        let sensor = SensorName::new("site/a").unwrap();
        actix::System::new().block_on(async {
            let (living, frozen) = (actix::Arbiter::new(), actix::Arbiter::new());
            watchdog.watch(&living.handle(), "living");
            watchdog.watch(&frozen.handle(), "frozen");
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert!(reports.try_recv().is_err(), "both live");
            let at = sensor.clone();
            let (thaw, thawed) = channel::<()>();
            frozen.spawn_fn(move || {
                about_to_score(&at, Timestamp(7));
                let _ = thawed.recv();
            });
            let reported = tokio::task::spawn_blocking(move || reports.recv().unwrap()).await.unwrap();
            assert_eq!(reported.arbiter, "frozen");
            assert_eq!(reported.at, Some((sensor, Timestamp(7))));
            thaw.send(()).unwrap();
        });
    }
}
