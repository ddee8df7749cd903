//! The metrics of notifications, by route. The routes are those of the configuration.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::registrar::{MetricsError, Registrar};

/// The metrics of notifications. A field has the name of its metric, without `thicket_` and
/// `_total`.
#[derive(Clone, Debug)]
pub struct NotificationMetrics {
    /// Notifications that wait or are being sent, of the whole deployment.
    pub notifications_waiting: IntGaugeVec,
    /// How long the oldest of them could have been sent; 0 if there is none. The time that
    /// `group_interval` lets them wait does not count.
    pub notification_lag_seconds: GaugeVec,
    /// Notifications that the receiver has accepted.
    pub notifications_sent: IntCounterVec,
    /// Attempts to send that failed.
    pub notification_failures: IntCounterVec,
    /// Notifications that were given up.
    pub notifications_failed: IntCounterVec,
    /// Notifications that were not stored, because `notify.max_waiting` of them waited.
    pub notifications_refused: IntCounterVec,
}

impl NotificationMetrics {
    pub(super) fn new(r: &Registrar<'_>) -> Result<Self, MetricsError> {
        let route = &["route"];
        Ok(Self {
            notifications_waiting: r.gauges(
                "notifications_waiting",
                "Notifications that wait or are being sent, of the whole deployment, by route.",
                route,
            )?,
            notification_lag_seconds: r.float_gauges(
                "notification_lag_seconds",
                "How long the oldest waiting notification could have been sent, by route; 0 if there is none.",
                route,
            )?,
            notifications_sent: r.counters(
                "notifications_sent_total",
                "Notifications that the receiver has accepted, by route.",
                route,
            )?,
            notification_failures: r.counters(
                "notification_failures_total",
                "Attempts to send notifications that failed, by route.",
                route,
            )?,
            notifications_failed: r.counters(
                "notifications_failed_total",
                "Notifications that were given up, by route.",
                route,
            )?,
            notifications_refused: r.counters(
                "notifications_refused_total",
                "Notifications that were not stored, because notify.max_waiting of them waited, by route.",
                route,
            )?,
        })
    }

    /// Begins the counts of a route at 0, so that an alert notices the first failure.
    pub fn begin(&self, route: &str) {
        let counters = [
            &self.notifications_sent,
            &self.notification_failures,
            &self.notifications_failed,
            &self.notifications_refused,
        ];
        for counter in counters {
            counter.with_label_values(&[route]).inc_by(0);
        }
    }
}
