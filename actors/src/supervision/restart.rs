//! A future that wraps the future of an actor. It catches a panic and restarts the actor in place:
//! the address stays the same, queued messages are kept, and the message that panicked is consumed.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use actix::dev::{ContextFut, channel};
use actix::{Actor, ActorContext as _, Addr, ArbiterHandle, Context, Supervised};
use prometheus::IntCounter;

use super::{ExitReason, ExitSignal, Intensity};

const MAILBOX_CAPACITY: usize = 16;

/// How an actor is supervised.
#[derive(Clone, Debug)]
pub struct Supervision {
    /// The actor's name in logs and metrics.
    pub actor: &'static str,
    /// How often it may restart before the node gives up.
    pub intensity: Intensity,
    /// Receives the reason if the supervisor gives up.
    pub exit: ExitSignal,
    /// Counts the restarts.
    pub restarts: IntCounter,
}

/// Starts an actor on another arbiter, under supervision.
///
/// After every restart, the actor's `started` runs again, on the state that the panic left. So an
/// actor keeps its mutable state in one field, and its `restarting` overwrites the whole field.
pub fn start_in_arbiter<A, F>(arbiter: &ArbiterHandle, supervision: Supervision, make: F) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    let (sender, receiver) = channel::channel(MAILBOX_CAPACITY);
    arbiter.spawn_fn(move || {
        let mut context = Context::with_receiver(receiver);
        let actor = make(&mut context);
        actix_rt::spawn(RestartOnPanic::new(context.into_future(actor), supervision));
    });
    Addr::new(sender)
}

/// Starts an actor on the arbiter of the caller, under supervision.
pub fn start_here<A>(actor: A, supervision: Supervision) -> Addr<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    let (sender, receiver) = channel::channel(MAILBOX_CAPACITY);
    let context = Context::with_receiver(receiver);
    actix_rt::spawn(RestartOnPanic::new(context.into_future(actor), supervision));
    Addr::new(sender)
}

struct RestartOnPanic<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    actor: ContextFut<A, Context<A>>,
    supervision: Supervision,
}

impl<A> RestartOnPanic<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    const fn new(actor: ContextFut<A, Context<A>>, supervision: Supervision) -> Self {
        Self { actor, supervision }
    }

    /// Restarts the actor. Returns false if the supervisor gives up, or if no address of the actor
    /// is left.
    fn restart(&mut self) -> bool {
        loop {
            self.supervision.restarts.inc();
            if !self.supervision.intensity.allows(Instant::now()) {
                let reason = ExitReason::ActorGaveUp { actor: self.supervision.actor };
                tracing::error!(%reason, "giving up");
                self.supervision.exit.raise(reason);
                self.actor.ctx().terminate();
                return false;
            }
            if let Ok(restarted) = catch_unwind(AssertUnwindSafe(|| self.actor.restart())) {
                return restarted;
            }
            tracing::error!(actor = self.supervision.actor, "panicked while restarting");
        }
    }
}

impl<A> Future for RestartOnPanic<A>
where
    A: Actor<Context = Context<A>> + Supervised,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.actor).poll(task))) {
                Ok(poll) => return poll,
                Err(_) if this.restart() => {
                    tracing::warn!(actor = this.supervision.actor, "restarted after a panic");
                }
                Err(_) => return Poll::Ready(()),
            }
        }
    }
}

impl<A> Unpin for RestartOnPanic<A> where A: Actor<Context = Context<A>> + Supervised {}

#[cfg(test)]
mod tests;
