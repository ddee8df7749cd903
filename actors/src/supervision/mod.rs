//! Restart on panic. actix's own `Supervisor` restarts an actor that stopped itself, not one that panicked; this one
//! does, with a restart intensity as in OTP: at most n restarts within t, then the node gives up.

mod exit;
mod intensity;
mod restart;
mod watchdog;

use tokio::sync::oneshot;

pub use exit::{ExitReason, ExitSignal};
pub use intensity::Intensity;
pub use restart::{Supervision, start_here, start_in_arbiter};
pub(crate) use watchdog::about_to_score;
pub use watchdog::{Frozen, Watchdog};

/// Tells those who wait for an actor to drain that it has. One that waits no more needs no telling.
pub(crate) fn release(waiting: impl Iterator<Item = oneshot::Sender<()>>) {
    for sender in waiting {
        let _ = sender.send(());
    }
}
