//! What the unit tests of several actors share.

use std::time::Duration;

use actix::{Actor, Addr, Context, Supervised};
use prometheus::IntCounter;

use crate::supervision::{ExitSignal, Intensity, Supervision, start_here};

/// Starts an actor under a supervision that allows many restarts.
pub(crate) fn start<A: Actor<Context = Context<A>> + Supervised>(actor: A) -> Addr<A> {
    let (exit, _) = ExitSignal::new();
    let intensity = Intensity::new(1_000, Duration::from_secs(1));
    let restarts = IntCounter::new("restarts", "restarts").expect("a valid name");
    start_here(actor, Supervision { actor: "test", intensity, exit, restarts })
}
