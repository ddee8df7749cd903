//! Whether readings flow, and if not, why. `/readyz` says it.

use std::time::Duration;

use thicket_actors::metrics::Metrics;

use crate::stores_watch::Away;

/// What the engine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for PostgreSQL and Redis.
    WaitingForStores,
    /// The actors are running.
    Running,
    /// It is draining.
    Stopping,
}

/// An append or a commit that takes longer is stuck. One that is only slow is done before.
const STUCK: Duration = Duration::from_secs(20);
/// A load of a history that takes longer is stuck: it waits for its turn, and PostgreSQL gives up
/// the largest answer after a minute.
const RESTORE_STUCK: Duration = Duration::from_mins(2);

/// Whether the engine is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Readings flow through this node.
    Active,
    /// Other nodes hold the subscriptions and own the partitions. This node takes over when one of
    /// them ends.
    Standby,
    /// Readings do not flow, for these reasons.
    NotReady(Vec<String>),
}

impl Readiness {
    /// Judges the state of the engine. `away` are the stores that do not answer.
    pub(crate) fn of(phase: Phase, metrics: &Metrics, away: &[Away]) -> Self {
        metrics.refresh();
        let mut reasons: Vec<String> = away.iter().map(ToString::to_string).collect();
        match phase {
            Phase::WaitingForStores => reasons.insert(0, "waiting for postgresql and redis".to_owned()),
            Phase::Stopping => reasons.insert(0, "stopping".to_owned()),
            Phase::Running => {
                reasons.extend(stuck(metrics));
                if !metrics.waits_for_subscriptions() {
                    reasons.extend(of_subscriber(metrics));
                    reasons.extend(of_owner(metrics));
                }
            }
        }
        match reasons.is_empty() {
            true if metrics.is_standby() => Self::Standby,
            true => Self::Active,
            false => Self::NotReady(reasons),
        }
    }
}

/// Returns the operations that do not end.
fn stuck(metrics: &Metrics) -> Vec<String> {
    let append = (metrics.append_waits.oldest(), "an append to the log has not succeeded");
    let commit = (metrics.commit_waits.oldest(), "a commit has not succeeded");
    let lease = (metrics.leases.age(), "the lease of a partition has not been renewed");
    let restore = (metrics.restore_waits.oldest(), "the history of a sensor has not been loaded");
    let refused = (metrics.log_out_of_memory.get() == 1)
        .then(|| "the log does not take messages: redis has no memory left (maxmemory)".to_owned());
    [(append, STUCK), (commit, STUCK), (lease, STUCK), (restore, RESTORE_STUCK)]
        .into_iter()
        .filter(|((age, _), limit)| age >= limit)
        .map(|((age, what), _)| format!("{what} for {} s", age.as_secs()))
        .chain(refused)
        .collect()
}

/// Returns what is wrong with a node that holds, or should hold, the subscriptions.
fn of_subscriber(metrics: &Metrics) -> Vec<String> {
    let mut reasons = Vec::new();
    let conflicts = metrics.client_id_conflicts();
    let refusing = metrics.refusing_brokers();
    let disconnected: Vec<String> =
        metrics.disconnected_brokers().into_iter().filter(|broker| !refusing.contains(broker)).collect();
    if !conflicts.is_empty() {
        reasons.push(format!(
            "another client uses the client id {}; give each deployment its own mqtt.client_id",
            conflicts.join(", ")
        ));
    }
    if !refusing.is_empty() {
        reasons.push(format!(
            "the broker {} refuses topic filters; `thicket check` says why",
            refusing.join(", ")
        ));
    }
    let downgrading = metrics.downgrading_brokers();
    if !downgrading.is_empty() {
        reasons.push(format!(
            "the broker {} delivers at QoS 0 only, so messages are lost while no engine is connected; `thicket check` names the topic filters",
            downgrading.join(", ")
        ));
    }
    if !disconnected.is_empty() {
        reasons.push(format!("not connected to the broker {}", disconnected.join(", ")));
    }
    reasons
}

/// Returns why a node that should own partitions owns none.
fn of_owner(metrics: &Metrics) -> Option<String> {
    // With fewer partitions than nodes, some nodes own none.
    let has_no_share = metrics.nodes.get() > 0 && metrics.partitions_assigned.get() == 0;
    if metrics.partitions_owned.get() > 0 || has_no_share {
        return None;
    }
    Some(match metrics.partitions_refused.get() {
        0 => "this node owns no partition now".to_owned(),
        refused => format!(
            "this build leaves {refused} partitions to a newer one, which has scored them or has written entries of their logs; run that build, or a newer one"
        ),
    })
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use thicket_schema::{Keys, PartitionId};

    use super::*;

    fn running(metrics: &Metrics) -> Readiness {
        Readiness::of(Phase::Running, metrics, &[])
    }

    #[test]
    fn a_standby_is_ready_and_a_refused_subscription_or_append_is_not() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        metrics.mqtt_connected.with_label_values(&["b"]).set(0);
        assert!(matches!(running(&metrics), Readiness::NotReady(reasons) if reasons.len() == 2));
        metrics.set_subscriptions_held(false);
        assert_eq!(running(&metrics), Readiness::Standby);
        metrics.set_subscriptions_held(true);
        metrics.mqtt_connected.with_label_values(&["b"]).set(1);
        assert!(matches!(running(&metrics), Readiness::NotReady(reasons) if reasons.len() == 1));
        metrics.nodes.set(3);
        assert_eq!(running(&metrics), Readiness::Active, "it holds the subscriptions, and has no share");
        metrics.partitions_assigned.set(1);
        metrics.set_subscriptions_held(false);
        metrics.leases.set_ttl(Duration::from_hours(1));
        metrics.leases.acquired(Keys::default().lease(PartitionId(0)));
        metrics.mqtt_connected.with_label_values(&["b"]).set(0);
        assert_eq!(running(&metrics), Readiness::Active, "it owns a partition");
        metrics.set_subscriptions_held(true);
        metrics.mqtt_subscriptions_refused.with_label_values(&["b"]).set(1);
        let Readiness::NotReady(reasons) = running(&metrics) else { panic!("ready") };
        assert_eq!(reasons, ["the broker b refuses topic filters; `thicket check` says why"]);
        metrics.mqtt_subscriptions_refused.with_label_values(&["b"]).set(0);
        metrics.mqtt_connected.with_label_values(&["b"]).set(1);
        metrics.mqtt_subscriptions_downgraded.with_label_values(&["b"]).set(1);
        let Readiness::NotReady(reasons) = running(&metrics) else { panic!("ready") };
        assert!(reasons.len() == 1 && reasons[0].contains("the broker b delivers at QoS 0"), "{reasons:?}");
        metrics.mqtt_subscriptions_downgraded.with_label_values(&["b"]).set(0);
        metrics.log_out_of_memory.set(1);
        let Readiness::NotReady(reasons) = running(&metrics) else { panic!("ready") };
        assert!(reasons.len() == 1 && reasons[0].contains("the log does not take messages"), "{reasons:?}");
        let stopping = Readiness::of(Phase::Stopping, &metrics, &[]);
        assert_eq!(stopping, Readiness::NotReady(vec!["stopping".to_owned()]));
    }
}
