//! Credits: the only backpressure. The capacity of an actix mailbox is not a bound: `do_send`
//! ignores it, and so do `send` and new clones of an address. So each message in flight carries a
//! permit of a semaphore, and dropping the message releases the permit.

use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bounds what may be in flight at once. The owner of the pool chooses the unit: messages, readings
/// or bytes.
#[derive(Clone, Debug)]
pub struct CreditPool {
    semaphore: Arc<Semaphore>,
    capacity: u32,
}

/// Units that something in flight holds. Dropping the credit gives the units back to its pool.
#[derive(Debug, Default)]
pub struct Credit {
    permit: Option<OwnedSemaphorePermit>,
}

impl Credit {
    /// Creates a credit without a pool, for messages that have another bound.
    pub const fn unbounded() -> Self {
        Self { permit: None }
    }

    /// Splits `units` off this credit, or all that it has left.
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
    /// Creates a pool of `capacity` units, at least one.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity.max(1);
        Self { semaphore: Arc::new(Semaphore::new(capacity as usize)), capacity }
    }

    /// Waits for `units`. A request for more than the capacity takes the whole pool: so a large
    /// item passes alone instead of waiting without end.
    pub async fn acquire(&self, units: u32) -> Credit {
        let units = units.min(self.capacity);
        let permit = Arc::clone(&self.semaphore).acquire_many_owned(units).await;
        Credit { permit: permit.ok() }
    }

    /// Takes `units`; `None` if they are not free now.
    pub fn try_acquire(&self, units: u32) -> Option<Credit> {
        let units = units.min(self.capacity);
        let permit = Arc::clone(&self.semaphore).try_acquire_many_owned(units).ok()?;
        Some(Credit { permit: Some(permit) })
    }

    /// Returns the number of free units.
    pub fn available(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Returns the number of units, free or not.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }
}

/// A message that carries its own credit. The credit bounds it, so it may be sent without waiting.
pub trait Credited: Message {
    /// Returns the credit that is released when the work of the message is done.
    fn credit(&self) -> &Credit;
}

/// Sends a message without waiting: its credit bounds how many are in flight.
///
/// Returns whether the receiver was alive. A dead receiver drops the message, and the message its
/// credit.
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
