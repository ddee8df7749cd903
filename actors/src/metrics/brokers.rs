//! What the metrics of the brokers say: who holds the subscriptions, and what is wrong.

use std::sync::atomic::Ordering;

use prometheus::core::Collector;
use prometheus::proto::{Metric, MetricFamily};

use super::Metrics;

impl Metrics {
    /// Sets the number of messages that a broker has dropped since it started. A smaller number
    /// than before means that it has started again.
    pub fn set_broker_dropped(&self, broker: &str, dropped: u64) {
        let counter = self.broker_dropped.with_label_values(&[broker]);
        if dropped < counter.get() {
            counter.reset();
        }
        counter.inc_by(dropped - counter.get());
    }

    /// Notes whether this node holds the subscriptions. If not, another node holds them, and knows what
    /// the brokers have dropped.
    pub fn set_subscriptions_held(&self, held: bool) {
        if !held {
            self.broker_dropped.reset();
        }
        self.subscriptions_held.set(i64::from(held));
        self.waits_for_subscriptions.store(!held, Ordering::Relaxed);
    }

    /// Whether another node holds the subscriptions.
    pub fn waits_for_subscriptions(&self) -> bool {
        self.waits_for_subscriptions.load(Ordering::Relaxed)
    }

    /// Whether this node holds no subscription and owned no partition when its gauges were set last.
    pub fn is_standby(&self) -> bool {
        self.role.with_label_values(&["standby"]).get() == 1
    }

    /// Returns the brokers that refuse topic filters, in their order.
    pub fn refusing_brokers(&self) -> Vec<String> {
        labels(&self.mqtt_subscriptions_refused, true, "broker")
    }

    /// Returns the brokers that deliver messages at QoS 0 only, in their order.
    pub fn downgrading_brokers(&self) -> Vec<String> {
        labels(&self.mqtt_subscriptions_downgraded, true, "broker")
    }

    /// Returns the names of the brokers to which the ingress is not connected, in their order.
    pub fn disconnected_brokers(&self) -> Vec<String> {
        labels(&self.mqtt_connected, false, "broker")
    }

    /// Returns the client ids that other clients use too, in their order.
    pub fn client_id_conflicts(&self) -> Vec<String> {
        labels(&self.mqtt_client_id_conflict, true, "client_id")
    }
}

/// Returns a label of each gauge that is 1, or of each that is 0, in their order.
fn labels(gauges: &impl Collector, is_set: bool, label: &str) -> Vec<String> {
    let families = gauges.collect();
    let metrics = families.iter().flat_map(MetricFamily::get_metric);
    let metrics = metrics.filter(|metric| (metric.get_gauge().get_value() > 0.5) == is_set);
    let labels = metrics.flat_map(Metric::get_label).filter(|pair| pair.name() == label);
    let mut labels: Vec<String> = labels.map(|pair| pair.value().to_owned()).collect();
    labels.sort();
    labels
}
