//! Restarts actors that panic. The `Supervisor` of actix restarts an actor that stopped itself, but
//! not an actor that panicked. The restart intensity is that of Erlang/OTP: after more than n
//! restarts within a time t, the node ends.
//!
//! - `restart`: catches the panic and restarts the actor.
//! - `intensity`: how often an actor may restart.
//! - `exit`: tells the engine why the node must end.
//! - `watchdog`: ends the node if an arbiter hangs.

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

/// Answers the `Drain` messages that wait for an actor. A sender may have stopped waiting.
pub(crate) fn notify_drained(waiting: impl Iterator<Item = oneshot::Sender<()>>) {
    for sender in waiting {
        let _ = sender.send(());
    }
}
