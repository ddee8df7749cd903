//! Notifications: from the outbox, which the commit writes, to the messages for receivers.
//!
//! - `outbox`: the rows of `notifications`, written by the transaction that changes an anomaly.
//! - `routes`: the routes of the configuration, and which node sends for each of them.
//! - `distribution`: makes a delivery of each notification for each route that wants it.
//! - `deliveries`: the state of each delivery, and reminders.
//! - `messages`: the deliveries of one site become one message, which is sent until it arrives.
//! - `silences`: sensors that are not announced for some time.

mod deliveries;
mod distribution;
mod messages;
mod outbox;
mod routes;
mod silences;

use std::fmt;

pub use deliveries::{
    DeliveryChange, DeliveryKey, DeliveryState, HeldDelivery, ListedDelivery, change_deliveries,
    held_deliveries, list_deliveries, remind,
};
pub use distribution::{Distribution, StoredNotification, distribute};
pub use messages::{
    Delivered, GroupRules, Member, MessageEvent, OutgoingMessage, compose_message, fail_message,
    message_events, message_to_send, retry_message, sent_message,
};
pub(super) use outbox::{announce, announce_reshaped};
pub use routes::{
    RouteBacklog, RouteHold, hold_route, purge_notifications, register_routes, release_routes, route_backlogs,
};
pub use silences::{Silence, end_silence, list_silences, silence};

/// What a notification says of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotificationKind {
    /// It began.
    Opened,
    /// It goes on.
    Reminder,
    /// A person labelled it.
    Label,
    /// It is over.
    Ended,
}

impl NotificationKind {
    const ALL: [Self; 4] = [Self::Opened, Self::Reminder, Self::Label, Self::Ended];

    /// Returns its name in the database and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reminder => "reminder",
            Self::Label => "label",
            Self::Ended => "ended",
        }
    }

    /// Returns the kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for NotificationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kind of a row. The table allows no other names.
fn kind_of(name: &str) -> NotificationKind {
    NotificationKind::from_name(name).unwrap_or(NotificationKind::Opened)
}
