//! The places of the loads of histories: a limited number of loads is in progress at a time, and a
//! limited number of pages of rows is in memory. The others wait in the order of their arrival.
//!
//! Each load takes several queries. Without places, the loads of thousands of sensors would wait
//! for connections before each query. A slow PostgreSQL would then let the bound of a query end
//! while the query waits, and the load would begin again behind all others.

use std::time::Duration;

use thicket_store::complaints;

use crate::credit::{Credit, CreditPool};

/// Maximum number of loads in progress. Each needs a connection to PostgreSQL.
pub const LOADS_IN_FLIGHT: usize = 4;
/// Maximum number of pages of rows in memory, each until it is replayed. More than the loads, so
/// that loads and replays go on at the same time.
pub const PAGES_IN_MEMORY: usize = 16;
/// How often a load that waits says so.
const LONG: Duration = Duration::from_secs(20);

/// The places. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LoadPlaces {
    loads: CreditPool,
    pages: CreditPool,
}

impl Default for LoadPlaces {
    fn default() -> Self {
        let pool = |places: usize| CreditPool::new(places as u32);
        Self { loads: pool(LOADS_IN_FLIGHT), pages: pool(PAGES_IN_MEMORY) }
    }
}

impl LoadPlaces {
    /// Waits for a place of a load. Every query has a bound, so every place becomes free.
    pub(super) async fn take(&self) -> Credit {
        wait(&self.loads).await
    }

    /// Waits for a place of a page, before its load takes one. A replay asks no store, so every
    /// place becomes free.
    pub(super) async fn take_page(&self) -> Credit {
        wait(&self.pages).await
    }
}

async fn wait(pool: &CreditPool) -> Credit {
    // A wait that is dropped would lose its turn.
    let turn = pool.acquire(1);
    tokio::pin!(turn);
    let mut waited = Duration::ZERO;
    loop {
        if let Ok(place) = tokio::time::timeout(LONG, &mut turn).await {
            return place;
        }
        waited += LONG;
        if let Some(repeated) = complaints::due("restore a detector", &"no place") {
            let seconds = waited.as_secs();
            tracing::warn!(
                repeated,
                "a restore has waited for {seconds} s: postgresql is slow to answer the restores before it, or they replay long histories"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::future::join_all;

    use super::*;

    #[actix_rt::test]
    async fn few_loads_are_in_progress_and_the_others_follow_in_the_order_of_their_arrival() {
        let places = LoadPlaces::default();
        let (began, running) = (RefCell::new(Vec::new()), RefCell::new(0));
        let loads = (0..40).map(async |number| {
            let _place = places.take().await;
            began.borrow_mut().push(number);
            *running.borrow_mut() += 1;
            assert!(*running.borrow() <= LOADS_IN_FLIGHT);
            tokio::task::yield_now().await;
            *running.borrow_mut() -= 1;
        });
        join_all(loads).await;
        assert_eq!(began.take(), (0..40).collect::<Vec<_>>());
    }
}
