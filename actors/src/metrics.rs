//! Every metric of the engine, in one struct, registered in one place. No label has unbounded
//! values: a sensor's name is never a label.

mod brokers;
pub mod detections;
pub mod notifications;
mod registrar;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry,
};
use thicket_schema::Reason;

use crate::lamps::{HeldLeases, Waits};

pub use registrar::MetricsError;
use registrar::Registrar;

/// Every metric of the engine. A field has the name of its metric, without `thicket_` and `_total`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// MQTT messages by result: `appended` to the log, or dropped as `retained`, `empty`,
    /// `ignored` by a rule, or with `no_reading` (of Sparkplug).
    pub mqtt_messages: IntCounterVec,
    /// 1 while the ingress is connected to the broker and subscribed.
    pub mqtt_connected: IntGaugeVec,
    /// Connections to the broker.
    pub mqtt_connects: IntCounterVec,
    /// Connections at which the broker had lost the session of the engine.
    pub mqtt_sessions_lost: IntCounterVec,
    /// 1 while another client uses the client id at the broker.
    pub mqtt_client_id_conflict: IntGaugeVec,
    /// Topic filters of the configuration that the broker refuses.
    pub mqtt_subscriptions_refused: IntGaugeVec,
    /// Topic filters of the configuration that the broker grants at QoS 0 only.
    pub mqtt_subscriptions_downgraded: IntGaugeVec,
    /// Messages that `queue.reorder` holds back.
    pub reorder_held: IntGaugeVec,
    /// Readings whose time was set back to `mqtt.max_lead` after their arrival.
    pub readings_set_back: IntCounter,
    /// Readings that `queue.reorder` released early, because too many messages were held back.
    pub reorder_early: IntCounter,
    /// Sparkplug nodes that were asked for their births.
    pub sparkplug_rebirth_requests: IntCounter,
    /// Sparkplug births that were not learnt, because a limit is reached.
    pub sparkplug_births_refused: IntCounter,
    /// Messages that the broker dropped because its queues were full, as the broker reports.
    pub broker_dropped: IntCounterVec,
    /// Readings and dead letters appended to the log.
    pub records_appended: IntCounter,
    /// Entries appended to the log. An entry holds many records.
    pub entries_appended: IntCounter,
    /// Time of one flush to the log: until Redis has confirmed all its appends.
    pub append_seconds: Histogram,
    /// Appends that failed and were tried again.
    pub append_failures: IntCounter,
    /// 1 while Redis refuses appends, because it has no memory left.
    pub log_out_of_memory: IntGauge,
    /// Appends that waited because a partition had `queue.max_backlog` entries.
    pub backlog_full: IntCounter,
    /// Scored readings, by shard.
    pub readings_scored: IntCounterVec,
    /// Time spent in detectors: scoring and taking checkpoints, by shard.
    pub scoring_seconds: CounterVec,
    /// Readings stored with their score.
    pub readings_stored: IntCounter,
    /// Readings not newer than their sensor's newest, stored without a score.
    pub readings_late: IntCounter,
    /// Readings that were stored before.
    pub readings_duplicate: IntCounter,
    /// Readings skipped because they panicked their detector twice, or killed the process.
    pub readings_poison: IntCounter,
    /// Readings stored without a score, since they have no field that is scored.
    pub readings_unscored: IntCounter,
    /// Dead letters by reason: those stored, and those that are only counted.
    pub dead_letters: IntCounterVec,
    /// Dead letters that were only counted, beyond `dead_letters.max_per_second`.
    pub dead_letters_unstored: IntCounter,
    /// Dead letters that were deleted because of `dead_letters.keep` or `dead_letters.max_rows`.
    pub dead_letters_expired: IntCounter,
    /// Rows of other tables that were deleted because they were too old, too many or unused, by
    /// table.
    pub rows_expired: IntCounterVec,
    /// Log entries that are not committed yet, by shard.
    pub shard_lag_entries: IntGaugeVec,
    /// Age of the oldest log entry that is not committed yet, by shard; 0 if there is none.
    pub shard_lag_seconds: GaugeVec,
    /// Detectors in memory, by shard.
    pub detectors: IntGaugeVec,
    /// Memory of the detectors, in bytes, by shard.
    pub detector_memory_bytes: IntGaugeVec,
    /// Maximum memory of the detectors of this node, in bytes.
    pub detector_memory_limit_bytes: IntGauge,
    /// Detectors restored from a checkpoint or from stored rows.
    pub detector_restores: IntCounter,
    /// Idle detectors that were checkpointed and evicted from memory.
    pub detector_evictions: IntCounter,
    /// Readings whose score at a restore differs from the stored score. Must stay 0.
    pub restore_mismatches: IntCounter,
    /// Time from the arrival of a message to the commit of its readings.
    pub ingest_to_commit_seconds: Histogram,
    /// Committed transactions.
    pub commits: IntCounter,
    /// Time of one transaction.
    pub commit_seconds: Histogram,
    /// Transactions that took too long and were tried again, with fewer rows if possible.
    pub commits_timed_out: IntCounter,
    /// Scored rows that were stored before. Must stay 0.
    pub commit_conflicts: IntCounter,
    /// Commits refused because another node owns the partition.
    pub commits_fenced: IntCounter,
    /// Checkpoints written.
    pub checkpoints: IntCounter,
    /// Checkpoints that a restore did not use: damaged, ahead of the rows, or leading to
    /// other scores than the stored ones.
    pub checkpoints_rejected: IntCounter,
    /// Bytes of the checkpoints written.
    pub checkpoint_bytes: IntCounter,
    /// Age of the oldest checkpoint that waits to be written.
    pub checkpoint_oldest_age_seconds: Gauge,
    /// Memory that all checkpoints take in Redis, in bytes.
    pub checkpoint_memory_bytes: IntGauge,
    /// Memory that all checkpoints may take in Redis, in bytes.
    pub checkpoint_memory_limit_bytes: IntGauge,
    /// Checkpoints that were evicted from Redis, because others are worth more.
    pub checkpoints_evicted: IntCounter,
    /// Checkpoints that were not written, because they have no room in Redis.
    pub checkpoints_refused: IntCounter,
    /// Checkpoints that were deleted, because their sensors are gone.
    pub checkpoints_deleted: IntCounter,
    /// Restarts after a panic, by actor.
    pub actor_restarts: IntCounterVec,
    /// Gaps in a partition's log: entries that Redis acknowledged and lost.
    pub log_gaps: IntCounter,
    /// Records by outcome, as the ledger in PostgreSQL counts them over all partitions, nodes
    /// and time: `delivered`, `scored`, `unscored`, `poison`, `late`, `duplicate`, `dead_letter`,
    /// `unaccounted`; and `expired`, the rows that retention has dropped since.
    pub ledger_records: IntGaugeVec,
    /// Rows of readings that retention dropped.
    pub readings_expired: IntCounter,
    /// Day tables past their retention that are kept because detectors need them.
    pub retention_kept_partitions: IntGauge,
    /// Sensors whose clocks are wrong, by `direction`: `behind`, or `ahead` (topics whose messages
    /// are refused because their time is in the future).
    pub wrong_clocks: IntGaugeVec,
    /// Partitions whose leases this node holds, and that have not run out.
    pub partitions_owned: IntGauge,
    /// Partitions of the deployment.
    pub partitions: IntGauge,
    /// Partitions that this build leaves to a later one: a later version of the detection algorithm
    /// has scored them, or a later build has written entries of their logs.
    pub partitions_refused: IntGauge,
    /// Partitions that this node should own: its share among the live nodes.
    pub partitions_assigned: IntGauge,
    /// Partitions that this node has handed over to other nodes.
    pub partitions_moved: IntCounter,
    /// Live nodes that this node knows, itself included; 0 before the first heartbeat.
    pub nodes: IntGauge,
    /// 1 for the role of this node: `active` if it holds the subscriptions or owns partitions, else
    /// `standby`.
    pub role: IntGaugeVec,
    /// 1 if this node holds the subscriptions.
    pub subscriptions_held: IntGauge,
    /// 1 if the store has answered within the last seconds, by `store`: `redis` or `postgresql`.
    pub store_connected: IntGaugeVec,
    /// How long the oldest append in progress has taken; 0 if there is none.
    pub append_oldest_seconds: Gauge,
    /// How long the oldest commit in progress has taken, with its retries; 0 if there is none.
    pub commit_oldest_seconds: Gauge,
    /// How long the oldest load of a sensor's history has taken, with its wait and its retries; 0
    /// if there is none.
    pub restore_oldest_seconds: Gauge,
    /// Time since the last renewal of the partition lease that was renewed longest ago; 0 if this
    /// node holds none.
    pub lease_renewal_age_seconds: Gauge,
    /// 1 if the last reload of the configuration was accepted, or if there was none.
    pub config_last_reload_successful: IntGauge,
    /// When the configuration was last loaded successfully, in seconds since the Unix epoch.
    pub config_last_reload_success_timestamp_seconds: Gauge,
    /// Sensors by `state`: `known`, `reporting` (with a reading of the last day) or `silent`
    /// (reporting, but without a reading of the last two hours).
    pub sensors: IntGaugeVec,
    /// Maximum number of sensors.
    pub sensors_limit: IntGauge,
    /// Size of the names of all different sets of fields, in bytes.
    pub field_name_bytes: IntGauge,
    /// Maximum size of the names of all different sets of fields, in bytes.
    pub field_name_limit_bytes: IntGauge,
    /// Anomalies that go on, of sensors with a reading of the last day.
    pub anomalies_open: IntGauge,
    /// Size of the database in PostgreSQL, in bytes.
    pub postgres_bytes: IntGauge,
    /// Memory that Redis uses, in bytes.
    pub redis_memory_bytes: IntGauge,
    /// Limit of the memory of Redis, in bytes; 0 means without a limit.
    pub redis_memory_limit_bytes: IntGauge,
    /// Maximum number of detectors in memory.
    pub detectors_limit: IntGauge,
    /// Always 1. The labels are the version of the program and the revision of its sources.
    pub build_info: IntGaugeVec,
    /// What detectors say of readings.
    pub detections: detections::DetectionMetrics,
    /// Notifications.
    pub notifications: notifications::NotificationMetrics,
    /// Appends in progress.
    pub append_waits: Waits,
    /// Commits in progress.
    pub commit_waits: Waits,
    /// Loads of the histories of sensors in progress.
    pub restore_waits: Waits,
    /// Checkpoints that wait to be written, or are being written.
    pub checkpoint_waits: Waits,
    /// The leases on partitions that this node holds.
    pub leases: HeldLeases,
    /// Whether another node holds the subscriptions.
    waits_for_subscriptions: Arc<AtomicBool>,
}

const APPEND_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const COMMIT_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const LATENCY_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
];

impl Metrics {
    /// Creates the metrics and registers them.
    #[expect(clippy::too_many_lines, reason = "a list of the metrics")]
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let r = Registrar { registry };
        let metrics = Self {
            mqtt_messages: r.counters(
                "mqtt_messages_total",
                "MQTT messages by result: appended to the log, or dropped as retained, empty, ignored by a rule, or with no_reading (of Sparkplug).",
                &["result"],
            )?,
            mqtt_connected: r.gauges(
                "mqtt_connected",
                "1 while the ingress is connected to the broker and subscribed.",
                &["broker"],
            )?,
            mqtt_connects: r.counters("mqtt_connects_total", "Connections to the broker.", &["broker"])?,
            mqtt_sessions_lost: r.counters(
                "mqtt_sessions_lost_total",
                "Connections at which the broker had lost the session of the engine.",
                &["broker"],
            )?,
            mqtt_client_id_conflict: r.gauges(
                "mqtt_client_id_conflict",
                "1 while another client uses the client id at the broker.",
                &["broker", "client_id"],
            )?,
            mqtt_subscriptions_refused: r.gauges(
                "mqtt_subscriptions_refused",
                "Topic filters of the configuration that the broker refuses.",
                &["broker"],
            )?,
            mqtt_subscriptions_downgraded: r.gauges(
                "mqtt_subscriptions_downgraded",
                "Topic filters of the configuration that the broker grants at QoS 0 only.",
                &["broker"],
            )?,
            reorder_held: r.gauges("reorder_held", "Messages that queue.reorder holds back.", &["broker"])?,
            readings_set_back: r.counter(
                "readings_set_back_total",
                "Readings whose time was set back, because it was further ahead of their arrival than mqtt.max_lead.",
            )?,
            reorder_early: r.counter(
                "reorder_early_total",
                "Readings that queue.reorder released early, because too many messages were held back.",
            )?,
            sparkplug_rebirth_requests: r.counter(
                "sparkplug_rebirth_requests_total",
                "Sparkplug nodes that were asked for their births.",
            )?,
            sparkplug_births_refused: r.counter(
                "sparkplug_births_refused_total",
                "Sparkplug births that were not learnt, because a limit is reached.",
            )?,
            broker_dropped: r.counters(
                "broker_dropped_messages_total",
                "Messages that the broker dropped because its queues were full, as the broker reports.",
                &["broker"],
            )?,
            records_appended: r
                .counter("records_appended_total", "Readings and dead letters appended to the log.")?,
            entries_appended: r.counter("entries_appended_total", "Entries appended to the log. An entry holds many records.")?,
            append_seconds: r.histogram("append_seconds", "Time of one flush to the log: until Redis has confirmed all its appends.", APPEND_BUCKETS)?,
            append_failures: r.counter("append_failures_total", "Appends that failed and were tried again.")?,
            log_out_of_memory: r
                .gauge("log_out_of_memory", "1 while Redis refuses appends, because it has no memory left.")?,
            backlog_full: r
                .counter("backlog_full_total", "Appends that waited because a partition had queue.max_backlog entries.")?,
            readings_scored: r.counters("readings_scored_total", "Scored readings, by shard.", &["shard"])?,
            scoring_seconds: r.float_counters(
                "scoring_seconds_total",
                "Time spent in detectors: scoring and taking checkpoints, by shard.",
                &["shard"],
            )?,
            readings_stored: r.counter("readings_stored_total", "Readings stored with their score.")?,
            readings_late: r.counter(
                "readings_late_total",
                "Readings not newer than their sensor's newest, stored without a score.",
            )?,
            readings_duplicate: r.counter("readings_duplicate_total", "Readings that were stored before.")?,
            readings_poison: r
                .counter("readings_poison_total", "Readings skipped because they panicked their detector twice, or killed the process.")?,
            readings_unscored: r
                .counter("readings_unscored_total", "Readings stored without a score, since they have no field that is scored.")?,
            dead_letters: r.counters("dead_letters_total", "Dead letters by reason: those stored, and those beyond dead_letters.max_per_second.", &["reason"])?,
            dead_letters_unstored: r.counter(
                "dead_letters_unstored_total",
                "Dead letters that were only counted, beyond dead_letters.max_per_second.",
            )?,
            dead_letters_expired: r.counter(
                "dead_letters_expired_total",
                "Dead letters that were deleted because of dead_letters.keep or dead_letters.max_rows.",
            )?,
            rows_expired: r.counters(
                "rows_expired_total",
                "Rows beside readings and dead letters that were deleted because they were too old, too many or unused, by table.",
                &["table"],
            )?,
            shard_lag_entries: r.gauges("shard_lag_entries", "Log entries that are not committed yet, by shard.", &["shard"])?,
            shard_lag_seconds: r.float_gauges(
                "shard_lag_seconds",
                "Age of the oldest log entry that is not committed yet, by shard; 0 if there is none.",
                &["shard"],
            )?,
            detectors: r.gauges("detectors", "Detectors in memory, by shard.", &["shard"])?,
            detector_memory_bytes: r.gauges("detector_memory_bytes", "Memory of the detectors, by shard.", &["shard"])?,
            detector_memory_limit_bytes: r
                .gauge("detector_memory_limit_bytes", "Maximum memory of the detectors of this node.")?,
            detector_restores: r.counter("detector_restores_total", "Detectors restored from a checkpoint or from stored rows.")?,
            detector_evictions: r
                .counter("detector_evictions_total", "Idle detectors that were checkpointed and evicted from memory.")?,
            restore_mismatches: r
                .counter("restore_mismatches_total", "Readings whose score at a restore differs from the stored score. Must stay 0.")?,
            ingest_to_commit_seconds: r.histogram(
                "ingest_to_commit_seconds",
                "Time from the arrival of a message to the commit of its readings.",
                LATENCY_BUCKETS,
            )?,
            commits: r.counter("commits_total", "Committed transactions.")?,
            commit_seconds: r.histogram("commit_seconds", "Time of one transaction.", COMMIT_BUCKETS)?,
            commits_timed_out: r.counter("commits_timed_out_total", "Transactions that took too long and were tried again, with fewer rows if possible.")?,
            commit_conflicts: r.counter("commit_conflicts_total", "Scored rows that were stored before. Must stay 0.")?,
            commits_fenced: r.counter("commits_fenced_total", "Commits refused because another node owns the partition.")?,
            checkpoints: r.counter("checkpoints_total", "Checkpoints written.")?,
            checkpoints_rejected: r
                .counter("checkpoints_rejected_total", "Checkpoints that a restore did not use: damaged, ahead of the rows, or leading to other scores.")?,
            checkpoint_bytes: r.counter("checkpoint_bytes_total", "Bytes of the checkpoints written.")?,
            checkpoint_oldest_age_seconds: r.float_gauge(
                "checkpoint_oldest_age_seconds",
                "Time that the oldest checkpoint has waited to be written; 0 if none waits.",
            )?,
            checkpoint_memory_bytes: r
                .gauge("checkpoint_memory_bytes", "Memory that all checkpoints take in Redis.")?,
            checkpoint_memory_limit_bytes: r
                .gauge("checkpoint_memory_limit_bytes", "Memory that all checkpoints may take in Redis.")?,
            checkpoints_evicted: r.counter(
                "checkpoints_evicted_total",
                "Checkpoints that were evicted from Redis, because others are worth more.",
            )?,
            checkpoints_refused: r.counter(
                "checkpoints_refused_total",
                "Checkpoints that were not written, because they have no room in Redis.",
            )?,
            checkpoints_deleted: r
                .counter("checkpoints_deleted_total", "Checkpoints that were deleted, because their sensors are gone.")?,
            actor_restarts: r.counters("actor_restarts_total", "Restarts after a panic, by actor.", &["actor"])?,
            log_gaps: r.counter("log_gaps_total", "Gaps in a partition's log: entries that Redis acknowledged and lost.")?,
            ledger_records: r.gauges(
                "ledger_records",
                "Records by outcome, as the ledger in PostgreSQL counts them over all partitions, nodes and time.",
                &["outcome"],
            )?,
            readings_expired: r
                .counter("readings_expired_total", "Rows of readings that retention dropped.")?,
            retention_kept_partitions: r
                .gauge("retention_kept_partitions", "Day tables past their retention that are kept: detectors need them, or they cannot be dropped.")?,
            wrong_clocks: r.gauges("wrong_clocks", "Sensors whose clocks are wrong.", &["direction"])?,
            partitions_owned: r.gauge("partitions_owned", "Partitions whose leases this node holds, and that have not run out.")?,
            partitions: r.gauge("partitions", "Partitions of the deployment.")?,
            partitions_refused: r.gauge("partitions_refused", "Partitions that this build leaves to a later one, which has scored them or has written entries of their logs.")?,
            partitions_assigned: r.gauge("partitions_assigned", "Partitions that this node should own: its share among the live nodes.")?,
            partitions_moved: r.counter("partitions_moved_total", "Partitions that this node has handed over to other nodes.")?,
            nodes: r.gauge("nodes", "Live nodes that this node knows, itself included; 0 before the first heartbeat.")?,
            role: r.gauges("role", "1 for the role of this node: active if it holds the subscriptions or owns partitions, else standby.", &["role"])?,
            subscriptions_held: r.gauge("subscriptions_held", "1 if this node holds the MQTT subscriptions.")?,
            store_connected: r.gauges("store_connected", "1 if the store has answered within the last seconds.", &["store"])?,
            append_oldest_seconds: r.float_gauge("append_oldest_seconds", "How long the oldest append in progress has taken; 0 if there is none.")?,
            commit_oldest_seconds: r.float_gauge("commit_oldest_seconds", "How long the oldest commit in progress has taken, with its retries; 0 if there is none.")?,
            restore_oldest_seconds: r.float_gauge("restore_oldest_seconds", "How long the oldest load of a sensor's history has taken, with its wait and its retries; 0 if there is none.")?,
            lease_renewal_age_seconds: r.float_gauge(
                "lease_renewal_age_seconds",
                "Time since the last renewal of the partition lease that was renewed longest ago; 0 if this node holds none.",
            )?,
            config_last_reload_successful: r.gauge(
                "config_last_reload_successful",
                "1 if the last reload of the configuration was accepted, or if there was none.",
            )?,
            config_last_reload_success_timestamp_seconds: r.float_gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration was last loaded successfully, in seconds since the Unix epoch.",
            )?,
            sensors: r.gauges(
                "sensors",
                "Sensors by state: known, reporting (with a reading of the last day), silent (reporting, but without a reading of the last two hours).",
                &["state"],
            )?,
            sensors_limit: r.gauge("sensors_limit", "Maximum number of sensors (sensors.max).")?,
            field_name_bytes: r.gauge(
                "field_name_bytes",
                "Size of the names of all different sets of fields, on the node that holds the subscriptions.",
            )?,
            field_name_limit_bytes: r.gauge(
                "field_name_limit_bytes",
                "Maximum size of the names of all different sets of fields (sensors.max_name_bytes).",
            )?,
            anomalies_open: r.gauge("anomalies_open", "Anomalies that go on, of sensors with a reading of the last day.")?,
            postgres_bytes: r.gauge("postgres_bytes", "Size of the database in PostgreSQL.")?,
            redis_memory_bytes: r.gauge("redis_memory_bytes", "Memory that Redis uses.")?,
            redis_memory_limit_bytes: r
                .gauge("redis_memory_limit_bytes", "Limit of the memory of Redis; 0 means without a limit.")?,
            detectors_limit: r.gauge("detectors_limit", "Maximum number of detectors in memory.")?,
            build_info: r.gauges(
                "build_info",
                "Always 1. The labels are the version of the program and the revision of its sources.",
                &["version", "revision"],
            )?,
            detections: detections::DetectionMetrics::new(&r)?,
            notifications: notifications::NotificationMetrics::new(&r)?,
            append_waits: Waits::default(),
            commit_waits: Waits::default(),
            restore_waits: Waits::default(),
            checkpoint_waits: Waits::default(),
            leases: HeldLeases::default(),
            waits_for_subscriptions: Arc::default(),
        };
        for result in ["appended", "retained", "empty", "ignored", "no_reading"] {
            metrics.mqtt_messages.with_label_values(&[result]).inc_by(0);
        }
        for reason in Reason::ALL {
            metrics.dead_letters.with_label_values(&[reason.as_str()]).inc_by(0);
        }
        Ok(metrics)
    }

    /// Sets the gauges that are read at each scrape.
    pub fn refresh(&self) {
        self.append_oldest_seconds.set(self.append_waits.oldest().as_secs_f64());
        self.commit_oldest_seconds.set(self.commit_waits.oldest().as_secs_f64());
        self.restore_oldest_seconds.set(self.restore_waits.oldest().as_secs_f64());
        self.checkpoint_oldest_age_seconds.set(self.checkpoint_waits.oldest().as_secs_f64());
        self.lease_renewal_age_seconds.set(self.leases.age().as_secs_f64());
        let owned = self.leases.valid() as i64;
        self.partitions_owned.set(owned);
        let is_active = self.subscriptions_held.get() == 1 || owned > 0;
        let is_standby = !is_active && self.waits_for_subscriptions();
        self.role.with_label_values(&["active"]).set(i64::from(is_active));
        self.role.with_label_values(&["standby"]).set(i64::from(is_standby));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_once_under_the_common_prefix() {
        let registry = Registry::new();
        let _metrics = Metrics::new(&registry).unwrap();
        let families = registry.gather();
        assert!(families.len() > 20);
        assert!(families.iter().all(|family| family.name().starts_with("thicket_")));
    }
}
