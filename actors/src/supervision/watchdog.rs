//! A watchdog outside the arbiters. A handler that never ends holds its whole arbiter, and nothing on that arbiter can say so.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use thicket_schema::{SensorName, Timestamp};

/// How often an arbiter gives a sign of life, and how often that is looked for.
const PULSE: Duration = Duration::from_millis(250);

/// A thread that ends the node when an arbiter gives no sign of life. Ends with its owner.
#[derive(Debug)]
pub struct Watchdog {
    began: Instant,
    watched: Sender<Arc<Watched>>,
}

/// An arbiter that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Its name.
    pub arbiter: String,
    /// How long it has given no sign of life.
    pub since: Duration,
    /// The reading it was scoring last.
    pub at: Option<(SensorName, Timestamp)>,
}

#[derive(Debug)]
struct Watched {
    name: String,
    /// Milliseconds between the watchdog's start and the last sign of life.
    pulse: AtomicU64,
    at: Mutex<Option<(SensorName, Timestamp)>>,
}

thread_local! {
    /// What the watchdog knows of this thread's arbiter.
    static WATCHED: RefCell<Option<Arc<Watched>>> = const { RefCell::new(None) };
}

impl Watchdog {
    /// Starts the thread. `on_frozen` is called, on that thread, for an arbiter that gives no sign of life for longer than `patience`.
    pub fn start(patience: Duration, on_frozen: impl Fn(Frozen) + Send + 'static) -> std::io::Result<Self> {
        let (watched, to_watch) = channel();
        let began = Instant::now();
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(move || watch(began, patience, &to_watch, &on_frozen))?;
        Ok(Self { began, watched })
    }

    /// Watches an arbiter from now on.
    pub fn watch(&self, arbiter: &ArbiterHandle, name: &str) {
        let began = self.began;
        let pulse = AtomicU64::new(millis(began.elapsed()));
        let watched = Arc::new(Watched { name: name.to_owned(), pulse, at: Mutex::default() });
        let sent = Arc::clone(&watched);
        arbiter.spawn(async move {
            WATCHED.set(Some(Arc::clone(&watched)));
            loop {
                watched.pulse.store(millis(began.elapsed()), Ordering::Relaxed);
                tokio::time::sleep(PULSE).await;
            }
        });
        // The thread lives as long as its owner.
        let _ = self.watched.send(sent);
    }
}

/// Notes what this thread's arbiter is about to do, for the watchdog to report.
pub(crate) fn about_to_score(sensor: &SensorName, ts: Timestamp) {
    WATCHED.with_borrow(|watched| {
        if let Some(watched) = watched {
            let mut at = watched.at.lock().unwrap_or_else(PoisonError::into_inner);
            *at = Some((sensor.clone(), ts));
        }
    });
}

fn watch(began: Instant, patience: Duration, to_watch: &Receiver<Arc<Watched>>, on_frozen: &impl Fn(Frozen)) {
    let mut all: Vec<Arc<Watched>> = Vec::new();
    let mut looked = Instant::now();
    let mut stopped = Duration::ZERO;
    loop {
        match to_watch.recv_timeout(PULSE) {
            Ok(watched) => all.push(watched),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // While the whole process stands still (a debugger, SIGSTOP, a machine that sleeps), nobody can give signs of life.
        if looked.elapsed() > 8 * PULSE {
            stopped = began.elapsed();
        }
        looked = Instant::now();
        for watched in &all {
            let last = Duration::from_millis(watched.pulse.load(Ordering::Relaxed)).max(stopped);
            let since = began.elapsed().saturating_sub(last);
            if since > patience {
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
    fn a_frozen_arbiter_is_reported_with_what_it_was_at_and_a_living_one_is_not() {
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
