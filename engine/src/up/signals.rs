//! Signals that ask to stop: SIGTERM, SIGINT (Ctrl-C) and SIGHUP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal::errln;

/// The exit code after a second signal, as that of an engine that did not stop in time.
const STOPPED_AT_ONCE: i32 = 4;

/// Whether a signal has asked to stop.
#[derive(Debug)]
pub(super) struct StopSignals {
    /// Gets a message at the first signal.
    first: Receiver<()>,
    is_asked: Arc<AtomicBool>,
}

impl StopSignals {
    /// Begins to listen. A second signal ends this process at once; the kernel then tells the
    /// servers that it has started to stop.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let (sender, first) = mpsc::channel();
        let is_asked = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let signals: Result<Vec<Signal>, _> = {
            let _guard = runtime.enter();
            kinds.into_iter().map(signal).collect()
        };
        let signals = signals.context("cannot listen for signals")?;
        let flag = Arc::clone(&is_asked);
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let [mut terminate, mut interrupt, mut hangup] = <[Signal; 3]>::try_from(signals).ok()?;
                for count in 0.. {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    if count > 0 {
                        errln!("thicket: a second signal: not waiting any longer");
                        std::process::exit(STOPPED_AT_ONCE);
                    }
                    flag.store(true, Ordering::Relaxed);
                    sender.send(()).ok()?;
                }
                Some(())
            });
        });
        Ok(Self { first, is_asked })
    }

    /// Waits for the first signal, at most this long. Returns whether it has arrived.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        !matches!(self.first.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
    }

    /// Returns a flag that is true after the first signal.
    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_asked)
    }
}
