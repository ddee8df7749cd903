//! Sends the messages of one route, one after the other. Only the node that holds the route sends.
//! A message is repeated with backoff until the receiver accepts it. Meanwhile the next
//! notifications wait, and become one message for each site.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use chrono::Utc;
use thicket_schema::Timestamp;
use thicket_store::postgres::{
    FailedAttempt, GroupRules, HeldCursor, OutgoingMessage, PooledConnection, PostgresConnection, RouteHold,
    StoreError, change_deliveries, compose_message, fail_message, held_deliveries, hold_route, list_silences,
    message_events, message_to_send, release_routes, remind, retry_message, sent_message,
};
use thicket_store::{complaints, faults};
use tokio::sync::watch;
use wildmatch::WildMatch;

use crate::keys;
use crate::message::{Message, Origin};
use crate::receivers::SendError;
use crate::retained::{self, Retained};
use crate::route::{Moment, Route};
use crate::shared::Shared;

/// The interval of polls.
const TICK: Duration = Duration::from_secs(1);
/// How long one poll may take. PostgreSQL may not answer.
const LIMIT: Duration = Duration::from_mins(2);
/// How long a node holds a route without renewal. An attempt to send is shorter.
const LEASE: Duration = Duration::from_secs(20);
/// The interval of renewals, beside one before each attempt.
const RENEW: Duration = Duration::from_secs(5);
/// The interval of the search for reminders.
const REMIND: Duration = Duration::from_secs(5);
/// The wait after the first failure. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
/// Refusals after which a message is given up.
const REFUSALS: i32 = 3;
/// A message counts as sent only when the receiver has accepted it.
const SENT_AFTER_ACCEPTED: &str = "rule.sent_after_accepted";

/// Sends until the actor ends.
pub(crate) async fn run(shared: Shared, route: Route) {
    let is_stale = AtomicBool::new(false);
    let is_held = watch::Sender::new(false);
    let (watched, observed) = (route.clone(), is_held.subscribe());
    let retained = Retained::new(&is_stale);
    let sender = Sender { shared, route, renewed: None, is_held, reminded: None, retained };
    tokio::join!(send(sender), retained::watch(&watched, &is_stale, observed));
}

async fn send(mut sender: Sender<'_>) {
    loop {
        let ticked = tokio::time::timeout(LIMIT, sender.tick()).await;
        match ticked.unwrap_or(Err(StoreError::Silent(LIMIT))) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                sender.renewed = None;
                if let Some(repeated) = complaints::due("send notifications", &error) {
                    let route = &sender.route.config.name;
                    tracing::warn!(%error, route, repeated, "notifications wait in postgresql");
                }
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

struct Sender<'a> {
    shared: Shared,
    route: Route,
    /// When this node last renewed its hold of the route; `None` while another node holds it.
    renewed: Option<Instant>,
    /// Whether this node held the route when it last asked. While PostgreSQL does not answer, it
    /// stays true.
    is_held: watch::Sender<bool>,
    reminded: Option<Instant>,
    retained: Retained<'a>,
}

impl Sender<'_> {
    /// Returns whether there may be more to do at once.
    async fn tick(&mut self) -> Result<bool, StoreError> {
        let mut connection = self.shared.connection().await?;
        if self.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW)
            && !self.hold(&mut connection).await?
        {
            return Ok(false);
        }
        if !self.retained.is_due() {
            return self.send_message(connection).await;
        }
        if !self.hold(&mut connection).await? {
            return Ok(false);
        }
        let is_accepted = self.retained.send_page(&self.shared, &self.route, connection).await?;
        // Messages do not wait for the end of a long repetition.
        let connection = self.shared.connection().await?;
        Ok(self.send_message(connection).await? || is_accepted)
    }

    /// Makes the next message, and sends it if it is due. Returns whether there may be more to do
    /// at once.
    async fn send_message(&mut self, mut connection: PooledConnection) -> Result<bool, StoreError> {
        self.remind(&mut connection).await?;
        self.decide(&mut connection).await?;
        let config = &self.route.config;
        let rules = GroupRules {
            interval: config.group_interval,
            per_minute: config.max_per_minute,
            max_members: self.route.receiver.max_members(),
        };
        let deployment = &self.shared.deployment;
        let key = |site: &str, members: &[_]| keys::of_message(deployment, site, members);
        compose_message(&mut connection, &config.name, self.shared.node.as_str(), rules, key).await?;
        let Some(outgoing) = message_to_send(&mut connection, &config.name).await? else { return Ok(false) };
        if !outgoing.is_due || !self.hold(&mut connection).await? {
            return Ok(false);
        }
        let events = message_events(&mut connection, outgoing.id).await?;
        drop(connection);
        let origin = Origin { deployment: &self.shared.deployment, route: &self.route.config.name };
        let message = Message::new(origin, &outgoing, events);
        if !faults::keeps(SENT_AFTER_ACCEPTED) {
            self.note(&outgoing, Ok(())).await?;
        }
        faults::pass("notify.before");
        if message.is_over() {
            faults::pass("over.before");
        }
        let sent = self.route.receiver.send(&message, self.route.config.timeout).await;
        faults::pass("notify.after");
        if message.is_over() {
            faults::pass("over.after");
        }
        self.note(&outgoing, sent).await?;
        faults::pass("sent.after");
        Ok(true)
    }

    async fn hold(&mut self, connection: &mut PostgresConnection) -> Result<bool, StoreError> {
        let name = &self.route.config.name;
        let node = &self.shared.node;
        let mut hold = hold_route(connection, name, node.as_str(), LEASE).await?;
        if let RouteHold::HeldBy(holder) = &hold
            && node.is_dead_local_process(holder)
        {
            release_routes(connection, holder).await?;
            hold = hold_route(connection, name, node.as_str(), LEASE).await?;
        }
        let is_held = hold == RouteHold::Held;
        self.renewed = is_held.then(Instant::now);
        self.is_held.send_if_modified(|was_held| std::mem::replace(was_held, is_held) != is_held);
        Ok(is_held)
    }

    async fn remind(&mut self, connection: &mut PostgresConnection) -> Result<(), StoreError> {
        let every = self.route.config.remind_every;
        if every.is_zero() || self.reminded.is_some_and(|reminded| reminded.elapsed() < REMIND) {
            return Ok(());
        }
        if remind(connection, &self.route.config.name, every).await? > 0 {
            faults::pass("remind.after");
        }
        self.reminded = Some(Instant::now());
        Ok(())
    }

    async fn decide(&self, connection: &mut PostgresConnection) -> Result<(), StoreError> {
        let name = &self.route.config.name;
        let mut page = held_deliveries(connection, name, HeldCursor::START).await?;
        if page.held.is_empty() {
            return Ok(());
        }
        let silences = list_silences(connection).await?;
        let moment = Moment {
            now: Timestamp(Utc::now().timestamp_micros()),
            silences: silences.iter().map(|silence| WildMatch::new(&silence.pattern)).collect(),
        };
        loop {
            let changes = self.route.decide(&page.held, &moment);
            if !changes.is_empty() {
                faults::pass("decide.before");
                change_deliveries(connection, name, &changes, self.route.config.group_wait).await?;
                faults::pass("decide.after");
            }
            // The changes of a page are stored before the next one is read: an end depends on its
            // begin.
            let Some(next) = page.next else { return Ok(()) };
            page = held_deliveries(connection, name, next).await?;
        }
    }

    /// Notes the outcome of an attempt.
    async fn note(&self, outgoing: &OutgoingMessage, sent: Result<(), SendError>) -> Result<(), StoreError> {
        let metrics = &self.shared.metrics;
        let route = self.route.config.name.as_str();
        let mut connection = self.shared.connection().await?;
        let error = match sent {
            Ok(()) => {
                let deliveries = sent_message(&mut connection, outgoing.id).await?;
                metrics
                    .notifications
                    .notifications_sent
                    .with_label_values(&[route])
                    .inc_by(deliveries as u64);
                return Ok(());
            }
            Err(error) => error,
        };
        metrics.notifications.notification_failures.with_label_values(&[route]).inc();
        let is_refused = matches!(error, SendError::Refused(_));
        let is_hopeless = is_refused && outgoing.refusals + 1 >= REFUSALS;
        if is_hopeless || outgoing.age >= self.route.config.give_up_after.as_secs_f64() {
            let deliveries = fail_message(&mut connection, outgoing.id, &error.to_string()).await?;
            metrics.notifications.notifications_failed.with_label_values(&[route]).inc_by(deliveries as u64);
            tracing::error!(%error, route, site = outgoing.site, "a notification is given up");
            return Ok(());
        }
        let wait = wait_after(outgoing.attempts, &error);
        let attempt = FailedAttempt { error: &error.to_string(), is_refused, wait };
        retry_message(&mut connection, outgoing.id, attempt).await?;
        if let Some(repeated) = complaints::due("send a notification", &error) {
            tracing::warn!(%error, route, repeated, "a receiver does not accept a notification; trying again");
        }
        Ok(())
    }
}

/// Returns the wait after a failure. `failures` is the number of failures before it.
fn wait_after(failures: i32, error: &SendError) -> Duration {
    let doublings = failures.clamp(0, 16).cast_unsigned();
    let wait = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    match error {
        SendError::Later(asked) => (*asked).clamp(wait, Duration::from_hours(1)),
        _ => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_a_receiver_may_ask_for_longer_ones() {
        let error = SendError::Unavailable(String::new());
        let seconds = [0, 1, 4, 30].map(|failures| wait_after(failures, &error).as_secs());
        assert_eq!(seconds, [1, 2, 16, 300]);
        let asked = |seconds| SendError::Later(Duration::from_secs(seconds));
        assert_eq!([1, 60, 100_000].map(|s| wait_after(3, &asked(s)).as_secs()), [8, 60, 3_600]);
    }
}
