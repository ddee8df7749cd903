//! Restart on panic. actix's own `Supervisor` restarts an actor that stopped itself, not one that panicked; this one
//! does, with a restart intensity as in OTP: at most n restarts within t, then the node gives up.

mod exit;
mod intensity;
mod restart;

pub use exit::{ExitReason, ExitSignal};
pub use intensity::Intensity;
pub use restart::{Supervision, start_here, start_in_arbiter};
