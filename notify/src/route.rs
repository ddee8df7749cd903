//! A route: which notifications it sends, and when.

use std::collections::BTreeMap;

use thicket_schema::Timestamp;
use thicket_store::postgres::{
    DeliveryChange, DeliveryState, HeldDelivery, NotificationKind, StoredNotification,
};
use wildmatch::WildMatch;

use crate::config::{Kind, ReceiverKind, RouteConfig, RouteProblem, Shape};
use crate::receivers::Receiver;

/// The longest `timeout`. A node holds a route longer than one attempt takes.
const LONGEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(15);

/// A route of the configuration that can be used.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its settings.
    pub config: RouteConfig,
    /// Its receiver.
    pub receiver: Receiver,
    sensors: WildMatch,
}

/// What decides about held deliveries beside the route.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// The patterns of the silences that have not ended.
    pub silences: Vec<WildMatch>,
}

impl Route {
    /// Checks the settings of a route.
    pub fn new(config: RouteConfig) -> Result<Self, Vec<RouteProblem>> {
        let mut problems = Vec::new();
        let mut check = |is_valid: bool, key, problem: &str| {
            if !is_valid {
                problems.push(RouteProblem::new(key, problem));
            }
        };
        check(!config.name.is_empty(), "name", "give the route a name, such as \"on-call\"");
        check((0.0..=1.0).contains(&config.min_grade), "min_grade", "must be from 0 to 1");
        check(config.max_per_minute > 0, "max_per_minute", "must be at least 1");
        check(
            !config.timeout.is_zero() && config.timeout <= LONGEST_TIMEOUT,
            "timeout",
            "must be more than 0s and at most 15s",
        );
        check(!config.sensors.is_empty(), "sensors", "must be a pattern, such as \"*\" for all sensors");
        check(!config.kinds.is_empty(), "kinds", "name at least one kind, such as \"opened\"");
        let has = |kind| config.kinds.contains(&kind);
        check(
            !shows_anomalies(&config) || (has(Kind::Opened) && has(Kind::Ended)),
            "kinds",
            "must contain \"opened\" and \"ended\": the receiver shows an anomaly until it is told of the end",
        );
        match Receiver::new(&config) {
            Ok(receiver) if problems.is_empty() => {
                let sensors = WildMatch::new(&config.sensors);
                Ok(Self { config, receiver, sensors })
            }
            Ok(_) => Err(problems),
            Err(of_receiver) => {
                problems.push(of_receiver);
                Err(problems)
            }
        }
    }

    /// Returns the site of a sensor: the first levels of its name.
    pub fn site_of(&self, sensor: &str) -> String {
        let levels = self.config.group_levels;
        if levels == 0 {
            return sensor.to_owned();
        }
        sensor.split('/').take(levels).collect::<Vec<_>>().join("/")
    }

    /// Returns whether the route has a delivery for a notification. It has one for each anomaly
    /// that begins or ends, whether or not it announces that: other deliveries depend on them.
    pub fn wants(&self, notification: &StoredNotification) -> bool {
        let is_of_kind = match notification.kind {
            NotificationKind::Opened | NotificationKind::Ended => true,
            kind => self.announces(kind),
        };
        is_of_kind && self.sensors.matches(&notification.sensor)
    }

    /// Decides about held deliveries, which are in the order of each sensor.
    pub fn decide(&self, held: &[HeldDelivery], moment: &Moment) -> Vec<DeliveryChange> {
        let mut opened = BTreeMap::new();
        let mut changes = Vec::new();
        for delivery in held {
            let event = (delivery.key.sensor, delivery.key.started);
            let state_of_opened = opened.get(&event).copied().or(delivery.opened);
            if let Some(state) = self.state_of(delivery, state_of_opened, moment) {
                if delivery.key.kind == NotificationKind::Opened {
                    opened.insert(event, state);
                }
                changes.push(DeliveryChange { key: delivery.key, state });
            }
        }
        changes
    }

    /// Returns the new state of a held delivery; `None` if it stays held.
    fn state_of(
        &self,
        held: &HeldDelivery,
        opened: Option<DeliveryState>,
        moment: &Moment,
    ) -> Option<DeliveryState> {
        let kind = held.key.kind;
        let announced = if self.announces(kind) { DeliveryState::Waiting } else { DeliveryState::Passed };
        let may_disturb = self.may_disturb(&held.sensor, moment);
        match (kind, opened) {
            // An anomaly of a forgotten sensor is over, and only the end of an announced one matters.
            (NotificationKind::Opened | NotificationKind::Reminder | NotificationKind::Label, _)
                if held.is_forgotten =>
            {
                Some(DeliveryState::Dropped)
            }
            (NotificationKind::Opened, _) if may_disturb && self.is_grave(held) => Some(announced),
            (NotificationKind::Opened | NotificationKind::Reminder, _) if held.ended.is_some() => {
                Some(DeliveryState::Dropped)
            }
            (NotificationKind::Reminder, _) => may_disturb.then_some(announced),
            (NotificationKind::Opened, _) | (_, Some(DeliveryState::Held)) => None,
            (_, Some(DeliveryState::Dropped)) | (NotificationKind::Ended, None) => {
                Some(DeliveryState::Dropped)
            }
            // What was announced is also announced to be over, at any hour.
            (NotificationKind::Ended, Some(_)) => Some(announced),
            (NotificationKind::Label, _) => may_disturb.then_some(announced),
        }
    }

    fn announces(&self, kind: NotificationKind) -> bool {
        let kind = match kind {
            NotificationKind::Opened => Kind::Opened,
            NotificationKind::Ended => Kind::Ended,
            NotificationKind::Reminder => Kind::Reminder,
            NotificationKind::Label => Kind::Label,
        };
        self.config.kinds.contains(&kind)
    }

    /// Returns whether the anomaly has the least grade and the least duration of the route.
    fn is_grave(&self, held: &HeldDelivery) -> bool {
        let lasted = held.ended.unwrap_or(held.newest).0 - held.key.started.0;
        held.peak_grade >= self.config.min_grade
            && u128::from(lasted.max(0).cast_unsigned()) >= self.config.min_duration.as_micros()
    }

    fn may_disturb(&self, sensor: &str, moment: &Moment) -> bool {
        let RouteConfig { hours, time_zone, .. } = &self.config;
        let in_hours = hours.is_empty() || hours.iter().any(|hours| hours.cover(moment.now.0, *time_zone));
        in_hours && !moment.silences.iter().any(|silence| silence.matches(sensor))
    }
}

/// Returns whether the receiver of a route shows an anomaly from its begin until its end, instead
/// of single messages.
fn shows_anomalies(config: &RouteConfig) -> bool {
    match config.receiver {
        ReceiverKind::Mqtt => true,
        ReceiverKind::Webhook => {
            config.template.is_empty() && matches!(config.shape, Shape::Pagerduty | Shape::Alertmanager)
        }
        ReceiverKind::Email => false,
    }
}

#[cfg(test)]
mod tests;
