//! What the engine does at this moment, for `/readyz` and for gauges that are read at each scrape:
//! how long operations have waited, and how old leases are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thicket_schema::LeaseKey;

/// Operations in progress of one kind, such as commits.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    state: Arc<Mutex<WaitsState>>,
}

#[derive(Debug, Default)]
struct WaitsState {
    next: u64,
    began: BTreeMap<u64, Instant>,
}

/// One operation in progress. It ends when this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Wait {
    of: Waits,
    number: u64,
}

impl Waits {
    /// Notes that an operation begins.
    pub fn begin(&self) -> Wait {
        let mut state = locked(&self.state);
        state.next += 1;
        let number = state.next;
        state.began.insert(number, Instant::now());
        drop(state);
        Wait { of: self.clone(), number }
    }

    /// Returns how long the oldest operation in progress has taken; 0 if there is none.
    pub fn oldest(&self) -> Duration {
        let began = locked(&self.state).began.values().next().copied();
        began.map(|began| began.elapsed()).unwrap_or_default()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        locked(&self.of.state).began.remove(&self.number);
    }
}

/// The leases on partitions that this node holds, with the time of the last renewal of each.
#[derive(Clone, Debug, Default)]
pub struct HeldLeases {
    state: Arc<Mutex<LeasesState>>,
}

#[derive(Debug, Default)]
struct LeasesState {
    ttl: Duration,
    renewed: BTreeMap<LeaseKey, Instant>,
}

impl HeldLeases {
    /// Sets how long a lease lasts without renewal.
    pub fn set_ttl(&self, ttl: Duration) {
        locked(&self.state).ttl = ttl;
    }

    /// Notes that this node has acquired a lease on a partition that it owns.
    pub fn acquired(&self, lease: LeaseKey) {
        locked(&self.state).renewed.insert(lease, Instant::now());
    }

    /// Notes that a lease was renewed just now. Leases that were not noted as acquired do not count,
    /// such as that of the subscriptions.
    pub fn renewed(&self, lease: &LeaseKey) {
        if let Some(renewed) = locked(&self.state).renewed.get_mut(lease) {
            *renewed = Instant::now();
        }
    }

    /// Notes that this node does not hold a lease any more.
    pub fn lost(&self, lease: &LeaseKey) {
        locked(&self.state).renewed.remove(lease);
    }

    /// Notes that this node holds no lease any more.
    pub fn clear(&self) {
        locked(&self.state).renewed.clear();
    }

    /// Returns the number of leases that have not run out.
    pub fn valid(&self) -> usize {
        let state = locked(&self.state);
        state.renewed.values().filter(|renewed| renewed.elapsed() < state.ttl).count()
    }

    /// Returns the time since the oldest of the last renewals; 0 if this node holds no lease.
    pub fn age(&self) -> Duration {
        let state = locked(&self.state);
        state.renewed.values().map(Instant::elapsed).max().unwrap_or_default()
    }
}

fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use thicket_schema::{Keys, PartitionId};

    use super::*;

    #[test]
    fn the_oldest_operation_in_progress_counts_and_none_is_zero() {
        let waits = Waits::default();
        assert_eq!(waits.oldest(), Duration::ZERO);
        let first = waits.begin();
        let second = waits.begin();
        let oldest = waits.oldest();
        drop(first);
        assert!(waits.oldest() <= oldest + Duration::from_mins(1) && !locked(&waits.state).began.is_empty());
        drop(second);
        assert_eq!(waits.oldest(), Duration::ZERO);
    }

    #[test]
    fn a_lease_that_was_not_renewed_in_time_is_not_owned() {
        let leases = HeldLeases::default();
        let lease = |partition| Keys::default().lease(PartitionId(partition));
        leases.set_ttl(Duration::from_hours(1));
        leases.acquired(lease(1));
        leases.acquired(lease(2));
        leases.lost(&lease(2));
        // The renewal may have begun before the lease was lost.
        leases.renewed(&lease(2));
        assert_eq!(leases.valid(), 1);
        leases.set_ttl(Duration::ZERO);
        assert_eq!(leases.valid(), 0);
    }
}
