//! Every metric of the engine, in one struct, registered in one place. No label has unbounded values: a sensor's name is
//! never one.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};
use thicket_detector::{Detection, Marks};

/// Every metric of the engine. A field's name is the metric's without `thicket_` and the suffix of its type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// MQTT messages by what became of them: `appended` to the log or `retained` and dropped.
    pub mqtt_messages: IntCounterVec,
    /// 1 while the ingress is connected to the broker and subscribed.
    pub mqtt_connected: IntGauge,
    /// Connections made to the broker.
    pub mqtt_connects: IntCounter,
    /// Messages that the broker dropped because its queues were full, as it reports them itself.
    pub broker_dropped: IntGauge,
    /// Readings and dead letters appended to the log.
    pub records_appended: IntCounter,
    /// Entries appended to the log; each holds many records.
    pub entries_appended: IntCounter,
    /// Time of one flush: every append of it, confirmed by Redis.
    pub append_seconds: Histogram,
    /// Appends that waited because a partition's backlog is at its bound.
    pub backlog_full: IntCounter,
    /// Readings scored, by shard.
    pub readings_scored: IntCounterVec,
    /// CPU time of the detectors, by shard.
    pub scoring_seconds: CounterVec,
    /// Readings stored with their score.
    pub readings_stored: IntCounter,
    /// Readings older than their sensor's newest, stored unscored.
    pub readings_late: IntCounter,
    /// Readings delivered again.
    pub readings_duplicate: IntCounter,
    /// Readings skipped because they panicked their detector twice.
    pub readings_poison: IntCounter,
    /// Scored readings by what is to be known of them: `suppressed`, `imputed`, `stuck`, `after_silence`, `learning_slowed`.
    pub readings_marked: IntCounterVec,
    /// Dead letters stored, by reason.
    pub dead_letters: IntCounterVec,
    /// Events of anomalous readings that began.
    pub anomalies: IntCounter,
    /// Entries in the log that are not committed yet, by shard.
    pub shard_lag_entries: IntGaugeVec,
    /// Age of the newest committed reading while entries wait behind it, by shard.
    pub shard_lag_seconds: GaugeVec,
    /// Detectors in memory, by shard.
    pub detectors: IntGaugeVec,
    /// Detectors restored from a checkpoint or from stored rows.
    pub detector_restores: IntCounter,
    /// Idle detectors that were checkpointed and dropped.
    pub detector_evictions: IntCounter,
    /// Readings whose score, computed again at a restore, differs from the stored one. Must stay 0.
    pub restore_mismatches: IntCounter,
    /// Time from a message's arrival to the commit of its readings.
    pub latency_seconds: Histogram,
    /// Transactions committed.
    pub commits: IntCounter,
    /// Time of one transaction.
    pub commit_seconds: Histogram,
    /// Scored rows that were there already. Must stay 0.
    pub commit_conflicts: IntCounter,
    /// Commits refused because another node owns the partition.
    pub fenced: IntCounter,
    /// Checkpoints written.
    pub checkpoints: IntCounter,
    /// Checkpoints that were not believed: damaged, ahead of the rows, or not leading to the stored scores.
    pub checkpoints_rejected: IntCounter,
    /// Bytes of the checkpoints written.
    pub checkpoint_bytes: IntCounter,
    /// Age of the oldest checkpoint that waits to be written.
    pub checkpoint_oldest_age_seconds: Gauge,
    /// Restarts after a panic, by actor.
    pub actor_restarts: IntCounterVec,
    /// Gaps in a partition's log: entries that Redis acknowledged and lost.
    pub log_gaps: IntCounter,
    /// Records by what became of them, as the ledger in PostgreSQL counts them over all partitions, nodes and time: `delivered`,
    /// `scored`, `poison`, `late`, `duplicate`, `dead_letter`, `unaccounted`; and `expired`, the rows that retention has dropped since.
    pub ledger_records: IntGaugeVec,
    /// Rows of readings that retention dropped.
    pub readings_expired: IntCounter,
    /// Days past their retention that are kept because a detector would need them.
    pub retention_days_kept: IntGauge,
    /// Partitions this node owns.
    pub partitions_owned: IntGauge,
    /// Always 1; the label says which version runs.
    pub build_info: IntGaugeVec,
}

/// A metric that could not be registered, which means that two share a name.
#[derive(Debug, thiserror::Error)]
#[error("metric could not be registered: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

const APPEND_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const COMMIT_BUCKETS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const LATENCY_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0,
];

impl Metrics {
    /// Creates the metrics and registers them.
    pub fn new(registry: &Registry) -> Result<Self, MetricsError> {
        let r = Registrar { registry };
        let metrics = Self {
            mqtt_messages: r.counters(
                "mqtt_messages_total",
                "MQTT messages by what became of them.",
                &["result"],
            )?,
            mqtt_connected: r
                .gauge("mqtt_connected", "1 while the ingress is connected to the broker and subscribed.")?,
            mqtt_connects: r.counter("mqtt_connects_total", "Connections made to the broker.")?,
            broker_dropped: r.gauge(
                "broker_dropped_messages",
                "Messages the broker dropped, as it reports them itself.",
            )?,
            records_appended: r
                .counter("records_appended_total", "Readings and dead letters appended to the log.")?,
            entries_appended: r.counter("entries_appended_total", "Entries appended to the log.")?,
            append_seconds: r.histogram("append_seconds", "Time of one flush to the log.", APPEND_BUCKETS)?,
            backlog_full: r
                .counter("backlog_full_total", "Appends that waited at a partition's backlog bound.")?,
            readings_scored: r.counters("readings_scored_total", "Readings scored.", &["shard"])?,
            scoring_seconds: r.float_counters(
                "scoring_seconds_total",
                "Time spent in detectors.",
                &["shard"],
            )?,
            readings_stored: r.counter("readings_stored_total", "Readings stored with their score.")?,
            readings_late: r.counter(
                "readings_late_total",
                "Readings stored unscored, older than their sensor's newest.",
            )?,
            readings_duplicate: r.counter("readings_duplicate_total", "Readings delivered again.")?,
            readings_poison: r
                .counter("readings_poison_total", "Readings that panicked their detector twice.")?,
            readings_marked: r.counters(
                "readings_marked_total",
                "Scored readings by what is to be known of them.",
                &["mark"],
            )?,
            dead_letters: r.counters("dead_letters_total", "Dead letters stored.", &["reason"])?,
            anomalies: r.counter("anomalies_total", "Anomalous events that began.")?,
            shard_lag_entries: r.gauges("shard_lag_entries", "Log entries not committed yet.", &["shard"])?,
            shard_lag_seconds: r.float_gauges(
                "shard_lag_seconds",
                "How far the shard is behind the ingress.",
                &["shard"],
            )?,
            detectors: r.gauges("detectors", "CachedDetector detectors.", &["shard"])?,
            detector_restores: r.counter("detector_restores_total", "Detectors restored.")?,
            detector_evictions: r
                .counter("detector_retirements_total", "Idle detectors checkpointed and dropped.")?,
            restore_mismatches: r
                .counter("restore_mismatches_total", "Scores that a restore did not reproduce.")?,
            latency_seconds: r.histogram(
                "latency_seconds",
                "Time from MQTT arrival to commit.",
                LATENCY_BUCKETS,
            )?,
            commits: r.counter("commits_total", "Transactions committed.")?,
            commit_seconds: r.histogram("commit_seconds", "Time of one transaction.", COMMIT_BUCKETS)?,
            commit_conflicts: r.counter("commit_conflicts_total", "Scored rows that were there already.")?,
            fenced: r.counter("fenced_total", "Commits refused because another node owns the partition.")?,
            checkpoints: r.counter("checkpoints_total", "Checkpoints written.")?,
            checkpoints_rejected: r
                .counter("checkpoints_rejected_total", "Checkpoints that were not believed.")?,
            checkpoint_bytes: r.counter("checkpoint_bytes_total", "Bytes of checkpoints written.")?,
            checkpoint_oldest_age_seconds: r.float_gauge(
                "checkpoint_oldest_age_seconds",
                "Age of the oldest checkpoint that waits to be written.",
            )?,
            actor_restarts: r.counters("actor_restarts_total", "Restarts after a panic.", &["actor"])?,
            log_gaps: r.counter("log_gaps_total", "Gaps in a partition's log.")?,
            ledger_records: r.gauges(
                "ledger_records",
                "Records by what became of them, by the ledger.",
                &["fate"],
            )?,
            readings_expired: r
                .counter("readings_expired_total", "Rows of readings that retention dropped.")?,
            retention_days_kept: r
                .gauge("retention_days_kept", "Days past their retention that detectors still need.")?,
            partitions_owned: r.gauge("partitions_owned", "Partitions this node owns.")?,
            build_info: r.gauges("build_info", "The version that runs.", &["version"])?,
        };
        metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for result in ["appended", "retained"] {
            metrics.mqtt_messages.with_label_values(&[result]).inc_by(0);
        }
        for (mark, _) in marks(Marks::default()) {
            metrics.readings_marked.with_label_values(&[mark]).inc_by(0);
        }
        Ok(metrics)
    }

    /// Counts the anomaly that a detection announces, and its marks.
    pub(crate) fn count_detection(&self, detection: &Detection) {
        self.anomalies.inc_by(u64::from(detection.event.as_ref().is_some_and(|event| event.is_new)));
        for (mark, is_set) in marks(detection.marks) {
            if is_set {
                self.readings_marked.with_label_values(&[mark]).inc();
            }
        }
    }
}

fn marks(marks: Marks) -> [(&'static str, bool); 5] {
    let Marks { suppressed, imputed, stuck, after_silence, learning_slowed } = marks;
    [
        ("suppressed", suppressed),
        ("imputed", imputed),
        ("stuck", stuck),
        ("after_silence", after_silence),
        ("learning_slowed", learning_slowed),
    ]
}

/// Makes a metric, with the prefix that all share, and registers it.
struct Registrar<'a> {
    registry: &'a Registry,
}

impl Registrar<'_> {
    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register(IntCounter::with_opts(options(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.register(IntCounterVec::new(options(name, help), labels)?)
    }

    fn float_counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec, MetricsError> {
        self.register(CounterVec::new(options(name, help), labels)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.register(IntGauge::with_opts(options(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
        self.register(IntGaugeVec::new(options(name, help), labels)?)
    }

    fn float_gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        self.register(Gauge::with_opts(options(name, help))?)
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.register(GaugeVec::new(options(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Result<Histogram, MetricsError> {
        let options = HistogramOpts::new(format!("thicket_{name}"), help).buckets(bounds.to_vec());
        self.register(Histogram::with_opts(options)?)
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("thicket_{name}"), help)
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
