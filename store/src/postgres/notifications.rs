//! Notifications: from the outbox, which the commit writes, to the messages for receivers.
//!
//! - `kind`: what a notification says.
//! - `outbox`: the rows of `notifications`, written by the transaction that changes an anomaly.
//! - `routes`: the routes of the configuration, and which node sends for each of them.
//! - `distribution`: makes a delivery of each notification for each route that wants it.
//! - `deliveries`: the state of each delivery, and reminders.
//! - `messages`: the deliveries of one site become one message, which is sent until it arrives.
//! - `events`: the anomalies that a receiver is told of.
//! - `silences`: sensors that are not announced for some time.

mod deliveries;
mod distribution;
mod events;
mod kind;
mod messages;
mod outbox;
mod routes;
mod silences;

pub use deliveries::{
    DeliveryChange, DeliveryKey, DeliveryState, HeldCursor, HeldDelivery, HeldPage, ListedDelivery,
    change_deliveries, held_deliveries, list_deliveries, remind,
};
pub use distribution::{Distribution, StoredNotification, distribute};
pub use events::{MessageEvent, announced_states, message_events};
pub use kind::NotificationKind;
pub use messages::{
    Delivered, FailedAttempt, GroupRules, Member, OutgoingMessage, compose_message, fail_message,
    message_to_send, retry_message, sent_message,
};
pub(super) use outbox::{announce, announce_forgotten, announce_reshaped};
pub use routes::{
    RouteBacklog, RouteHold, hold_route, purge_notifications, register_routes, release_routes, route_backlogs,
};
pub use silences::{Silence, end_silence, list_silences, silence};
