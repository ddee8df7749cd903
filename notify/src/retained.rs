//! Sends the states of all announced anomalies again to a broker that may have lost its retained
//! messages. The sender does it between two messages, so that a state never overtakes a message.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thicket_schema::{SensorId, SensorName};
use thicket_store::complaints;
use thicket_store::postgres::{PooledConnection, StoreError, announced_states};

use crate::message::{Message, Origin};
use crate::receivers::Receiver;
use crate::receivers::mqtt::MAX_MEMBERS;
use crate::route::Route;
use crate::shared::Shared;

/// The least time between the beginnings of two repetitions.
const REFRESH: Duration = Duration::from_secs(10);
/// How long ago the end of an anomaly may have been announced. A broker that writes its retained
/// messages to disk less often than this may show an anomaly that is over.
const RECENT: Duration = Duration::from_hours(1);

/// Whether the retained messages of a broker may be wrong.
#[derive(Debug)]
pub(crate) struct Retained<'a> {
    is_stale: &'a AtomicBool,
    /// The last sensor of the last page, while a repetition has further pages.
    page: Option<SensorId>,
    begun: Option<Instant>,
}

impl<'a> Retained<'a> {
    /// `is_stale` is set by [`watch`].
    pub(crate) fn new(is_stale: &'a AtomicBool) -> Self {
        Self { is_stale, page: None, begun: None }
    }

    /// Returns whether there is a page to send now.
    pub(crate) fn is_due(&self, route: &Route) -> bool {
        let may_begin = self.begun.is_none_or(|begun| begun.elapsed() >= REFRESH);
        let is_stale = self.is_stale.load(Ordering::Relaxed);
        matches!(route.receiver, Receiver::Mqtt(_)) && (self.page.is_some() || (is_stale && may_begin))
    }

    /// Sends the next page. Returns whether the broker has accepted it. If it has not, the
    /// repetition begins again later.
    pub(crate) async fn send_page(
        &mut self,
        shared: &Shared,
        route: &Route,
        mut connection: PooledConnection,
    ) -> Result<bool, StoreError> {
        if self.page.is_none() {
            // A connection that is made from here on is a reason for another repetition.
            self.is_stale.store(false, Ordering::Relaxed);
            self.begun = Some(Instant::now());
        }
        let after = self.page.take();
        let name = &route.config.name;
        let states = announced_states(&mut connection, name, RECENT, after, MAX_MEMBERS).await;
        let states = states.inspect_err(|_| self.is_stale.store(true, Ordering::Relaxed))?;
        drop(connection);
        let Some(last) = states.last() else { return Ok(true) };
        let last = SensorName::new(&last.anomaly.sensor).ok().map(|sensor| sensor.id());
        let is_full = states.len() as u64 == MAX_MEMBERS;
        let message = Message::of_states(Origin { deployment: &shared.deployment, route: name }, states);
        if let Err(error) = route.receiver.send(&message, route.config.timeout).await {
            self.is_stale.store(true, Ordering::Relaxed);
            if let Some(repeated) = complaints::due("repeat retained messages", &error) {
                let text = "a broker does not accept the states of anomalies; trying again";
                tracing::warn!(%error, route = name, repeated, "{text}");
            }
            return Ok(false);
        }
        self.page = last.filter(|_| is_full);
        Ok(true)
    }
}

/// Sets `is_stale` at each new connection to the broker of a route, until it is dropped. Ends at
/// once if the route has another receiver.
pub(crate) async fn watch(route: &Route, is_stale: &AtomicBool) {
    if let Receiver::Mqtt(mqtt) = &route.receiver {
        mqtt.watch(&route.config.name, is_stale).await;
    }
}
