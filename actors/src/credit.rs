//! Credits: the only backpressure. An actix mailbox is not a bound (`do_send` ignores its capacity, and so do `send` and
//! fresh clones of an address), so whatever is in flight carries a permit of a semaphore, released by `Drop`.

use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much may be in flight at once, in a unit that its owner chooses (messages, readings, bytes).
#[derive(Clone, Debug)]
pub struct CreditPool {
    semaphore: Arc<Semaphore>,
    capacity: u32,
}

/// Permission to have something in flight. Dropping it gives the permission back.
#[derive(Debug)]
pub struct Credit {
    permit: Option<OwnedSemaphorePermit>,
}

impl Credit {
    /// A credit of a pool without bounds, for what is bounded elsewhere.
    pub const fn unbounded() -> Self {
        Self { permit: None }
    }

    /// Takes `units` out of this credit, or what there is left of them.
    #[must_use]
    pub fn split(&mut self, units: u32) -> Self {
        let permit = self.permit.as_mut().and_then(|permit| {
            let units = permit.num_permits().min(units as usize);
            permit.split(units)
        });
        Self { permit }
    }
}

impl CreditPool {
    /// A pool of `capacity` units, at least one.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(1);
        Self { semaphore: Arc::new(Semaphore::new(capacity as usize)), capacity }
    }

    /// Waits for `units`. A request for more than the pool holds takes the whole pool, so that a large item
    /// passes alone instead of never.
    pub async fn acquire(&self, units: u32) -> Credit {
        let units = units.min(self.capacity);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(units).await;
        Credit { permit: permit.ok() }
    }

    /// Takes `units` if they are free now.
    pub fn try_acquire(&self, units: u32) -> Option<Credit> {
        let units = units.min(self.capacity);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(units).ok()?;
        Some(Credit { permit: Some(permit) })
    }

    /// Units not in flight now.
    pub fn available(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Units in all.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }
}

/// A message that carries the credit which bounds it, and may therefore be sent without waiting.
pub trait Credited: Message {
    /// The credit that is released when the message's work is done.
    fn credit(&self) -> &Credit;
}

/// Sends a message whose number in flight is bounded by the credit it carries.
///
/// Returns whether the receiver was alive; a dead receiver drops the message and thereby its credit.
pub fn send_credited<M>(receiver: &Recipient<M>, message: M) -> bool
where
    M: Credited + Send + 'static,
    M::Result: Send,
{
    let alive = receiver.connected();
    #[expect(clippy::disallowed_methods, reason = "the message carries a credit, which is the bound")]
    receiver.do_send(message);
    alive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_a_credit_gives_its_units_back() {
        let pool = CreditPool::new(4);
        let three = pool.acquire(3).await;
        assert_eq!(pool.available(), 1);
        assert!(pool.try_acquire(2).is_none());
        drop(three);
        assert_eq!(pool.available(), 4);
    }

    #[tokio::test]
    async fn a_credit_can_be_shared_out_and_comes_back_in_parts() {
        let pool = CreditPool::new(4);
        let mut all = pool.acquire(9).await;
        let (three, rest) = (all.split(3), all.split(6));
        drop(all);
        assert_eq!(pool.available(), 0);
        drop(rest);
        assert_eq!(pool.available(), 1);
        drop(three);
        assert_eq!(pool.available(), 4);
    }

    #[tokio::test]
    async fn an_item_larger_than_the_pool_passes_alone() {
        let pool = CreditPool::new(4);
        let all = pool.acquire(1_000).await;
        assert_eq!(pool.available(), 0);
        assert!(pool.try_acquire(1).is_none());
        drop(all);
        assert!(pool.try_acquire(1_000).is_some());
    }
}
