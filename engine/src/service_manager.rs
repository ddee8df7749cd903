//! What the engine tells systemd: that it is ready, that it stops, and that it is alive. Without
//! systemd, the variables `NOTIFY_SOCKET` and `WATCHDOG_USEC` are missing, and each call does
//! nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says what the engine waits for, before it is ready.
pub(crate) fn waiting() {
    notify(&[NotifyState::Status("waiting for postgresql and redis")]);
}

/// Says that the engine has started: it reads and commits, or it is a standby.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("running")]);
}

/// Says that the engine drains.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("committing what is in flight")]);
}

/// Gives signs of life from the current arbiter, twice in each interval that systemd allows. The
/// engine's own watchdog watches the other arbiters, and ends the process if one hangs.
pub(crate) fn start_signs_of_life() {
    let mut micros = 0;
    if sd_notify::watchdog_enabled(false, &mut micros) && micros > 0 {
        actix_rt::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_micros(micros / 2));
            loop {
                interval.tick().await;
                notify(&[NotifyState::Watchdog]);
            }
        });
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::warn!(%error, "the service manager cannot be told the state of the engine");
    }
}
