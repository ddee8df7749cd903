//! Sends the states of all announced anomalies again to a broker that may have lost its retained
//! messages. The sender does it between two messages, so that a state never overtakes a message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thicket_store::complaints;
use thicket_store::postgres::{PooledConnection, StoreError, announced_states};
use tokio::sync::watch::Receiver as Observed;

use crate::message::{Message, Origin};
use crate::receivers::Receiver;
use crate::receivers::mqtt::MAX_MEMBERS;
use crate::route::Route;
use crate::shared::Shared;

/// The least time between the end of a repetition and the begin of the next one.
const REFRESH: Duration = Duration::from_secs(10);

/// Whether the retained messages of a broker may be wrong. Its state changes only when a page is
/// settled, so a page that is cancelled is due again.
#[derive(Debug)]
pub(crate) struct Retained<'a> {
    is_stale: &'a AtomicBool,
    /// The next page of the repetition that goes on.
    page: Option<Page>,
    /// When the last repetition ended.
    ended: Option<Instant>,
}

/// A page of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Page {
    /// The name of the last sensor of the page before; `None` for the first page.
    after: Option<String>,
}

impl<'a> Retained<'a> {
    /// `is_stale` is set by [`watch`].
    pub(crate) fn new(is_stale: &'a AtomicBool) -> Self {
        Self { is_stale, page: None, ended: None }
    }

    /// Returns whether there is a page to send now.
    pub(crate) fn is_due(&self) -> bool {
        let may_begin = self.ended.is_none_or(|ended| ended.elapsed() >= REFRESH);
        self.page.is_some() || (may_begin && self.is_stale.load(Ordering::Relaxed))
    }

    /// Sends the next page. Returns whether the broker has accepted it. If it has not, the
    /// repetition begins again later.
    pub(crate) async fn send_page(
        &mut self,
        shared: &Shared,
        route: &Route,
        mut connection: PooledConnection,
    ) -> Result<bool, StoreError> {
        let Page { after } = self.begin_page();
        let name = &route.config.name;
        let states =
            announced_states(&mut connection, name, shared.keep, after.as_deref(), MAX_MEMBERS).await?;
        drop(connection);
        let is_full = states.len() as u64 == MAX_MEMBERS;
        let last = states.last().filter(|_| is_full).map(|state| state.anomaly.sensor.clone());
        if !states.is_empty() {
            let message = Message::of_states(Origin { deployment: &shared.deployment, route: name }, states);
            if let Err(error) = route.receiver.send(&message, route.config.timeout).await {
                self.is_stale.store(true, Ordering::Relaxed);
                self.end_page(None);
                if let Some(repeated) = complaints::due("repeat retained messages", &error) {
                    let text = "a broker does not accept the states of anomalies; trying again";
                    tracing::warn!(%error, route = name, repeated, "{text}");
                }
                return Ok(false);
            }
        }
        self.end_page(last);
        Ok(true)
    }

    /// Returns the page to send. It stays the next one until [`Self::end_page`].
    fn begin_page(&mut self) -> Page {
        if self.page.is_none() {
            // A connection that is made from here on is a reason for another repetition.
            self.is_stale.store(false, Ordering::Relaxed);
        }
        self.page.get_or_insert_default().clone()
    }

    /// Goes on with the page after a sensor. Without one, the repetition ends.
    fn end_page(&mut self, last: Option<String>) {
        self.page = last.map(|last| Page { after: Some(last) });
        if self.page.is_none() {
            self.ended = Some(Instant::now());
        }
    }
}

/// Sets `is_stale` at each new connection to the broker of a route, while this node holds the
/// route. Ends at once if the route has another receiver.
pub(crate) async fn watch(route: &Route, is_stale: &AtomicBool, mut is_held: Observed<bool>) {
    let Receiver::Mqtt(mqtt) = &route.receiver else { return };
    while is_held.wait_for(|is_held| *is_held).await.is_ok() {
        tokio::select! {
            () = mqtt.watch(is_stale) => {}
            _ = is_held.wait_for(|is_held| !*is_held) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_cancelled_is_due_again() {
        let is_stale = AtomicBool::new(true);
        let mut retained = Retained::new(&is_stale);
        assert!(retained.is_due());
        assert_eq!(retained.begin_page(), Page { after: None });
        assert!(retained.is_due(), "the first page was cancelled");
        assert_eq!(retained.begin_page(), Page { after: None });
        retained.end_page(Some("a".to_owned()));
        let second = retained.begin_page();
        assert_eq!(second, Page { after: Some("a".to_owned()) });
        assert_eq!(retained.begin_page(), second, "the second page was cancelled");
        retained.end_page(None);
        assert!(!retained.is_due());
    }

    #[test]
    fn a_repetition_begins_some_time_after_the_end_of_the_one_before() {
        let is_stale = AtomicBool::new(true);
        let mut retained = Retained::new(&is_stale);
        retained.begin_page();
        // The broker was connected to again meanwhile.
        is_stale.store(true, Ordering::Relaxed);
        retained.end_page(None);
        assert!(!retained.is_due());
        retained.ended = Instant::now().checked_sub(REFRESH);
        assert!(retained.is_due());
    }
}
