//! Serves the engine's own metrics over HTTP, with known values, ten minutes of them within
//! seconds.
//!
//! Each scrape gets the state of five seconds later, with a timestamp of that time. So Prometheus
//! sees a steady history in which every rate is exact, and the test does not wait for it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{Registry, TextEncoder, core::Collector, proto::MetricType};
use thicket_actors::metrics::Metrics;

/// Seconds between two states.
pub(crate) const STEP: u64 = 5;
/// Number of states.
const STEPS: u64 = 120;
/// Seconds from now to the last state. The test ends before that time, so everything that
/// Prometheus records in real time (`up`, alerts) lies before the last state.
const AHEAD: u64 = 60;

/// Log gaps before the first state.
pub(crate) const GAPS_AT_START: u64 = 7;

/// The ledger at every step.
pub(crate) const LEDGER: [(&str, i64); 9] = [
    ("dead_letter", 60),
    ("delivered", 1_000),
    ("duplicate", 25),
    ("expired", 300),
    ("late", 10),
    ("poison", 5),
    ("scored", 900),
    ("unaccounted", 0),
    ("unscored", 0),
];

/// Serves the metrics on a loopback port until the process ends.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    served: Arc<AtomicU64>,
    /// Time of the last state, in seconds since 1970.
    pub(crate) end: u64,
}

impl Endpoint {
    pub(crate) fn start() -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let end = now + AHEAD;
        let served = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&served);
        thread::spawn(move || {
            let registry = Registry::new();
            let metrics = Metrics::new(&registry).unwrap();
            // What the engine finds at its start is counted before the first scrape.
            metrics.log_gaps.inc_by(GAPS_AT_START);
            let mut state = 0;
            for connection in listener.incoming() {
                if state < STEPS {
                    state += 1;
                    advance(&metrics);
                }
                let time = end - (STEPS - state) * STEP;
                if answer(connection.unwrap(), &exposition(&registry, state, time)).is_ok() {
                    counter.store(state, Ordering::Relaxed);
                }
            }
        });
        Endpoint { port, served, end }
    }

    /// Returns whether the last state has been served.
    pub(crate) fn is_through(&self) -> bool {
        self.served.load(Ordering::Relaxed) == STEPS
    }
}

/// Advances the metrics by five seconds. The expectations of the tests follow from these figures.
fn advance(metrics: &Metrics) {
    let repeat = |times: u32, observe: &dyn Fn()| (0..times).for_each(|_| observe());
    // The role follows from the subscriptions. Gauges that are not held here get fixed values below.
    metrics.set_subscriptions_held(true);
    metrics.refresh();
    metrics.mqtt_messages.with_label_values(&["appended"]).inc_by(500);
    metrics.mqtt_messages.with_label_values(&["retained"]).inc_by(5);
    metrics.mqtt_connected.with_label_values(&["broker:1883"]).set(1);
    metrics.mqtt_connects.with_label_values(&["broker:1883"]).inc_by(1);
    metrics.mqtt_sessions_lost.with_label_values(&["broker:1883"]).inc_by(0);
    metrics.mqtt_client_id_conflict.with_label_values(&["broker:1883", "thicket"]).set(0);
    metrics.mqtt_subscriptions_refused.with_label_values(&["broker:1883"]).set(0);
    metrics.mqtt_subscriptions_downgraded.with_label_values(&["broker:1883"]).set(0);
    metrics.reorder_held.with_label_values(&["broker:1883"]).set(3);
    metrics.reorder_early.inc_by(2);
    metrics.broker_dropped.with_label_values(&["broker:1883"]).inc_by(10);
    metrics.records_appended.inc_by(1_000);
    metrics.entries_appended.inc_by(50);
    repeat(98, &|| metrics.append_seconds.observe(0.0015));
    repeat(2, &|| metrics.append_seconds.observe(0.06));
    metrics.backlog_full.inc_by(15);
    for (shard, readings, detectors, entries, seconds) in [("0", 600, 600, 7, 1.5), ("1", 300, 400, 9, 2.5)] {
        metrics.readings_scored.with_label_values(&[shard]).inc_by(readings);
        metrics.scoring_seconds.with_label_values(&[shard]).inc_by(readings as f64 / 16_384.0);
        metrics.detectors.with_label_values(&[shard]).set(detectors);
        metrics.shard_lag_entries.with_label_values(&[shard]).set(entries);
        metrics.shard_lag_seconds.with_label_values(&[shard]).set(seconds);
    }
    metrics.readings_stored.inc_by(900);
    metrics.readings_late.inc_by(10);
    metrics.readings_duplicate.inc_by(15);
    metrics.readings_poison.inc_by(5);
    metrics.readings_unscored.inc_by(20);
    metrics.detections.readings_marked.with_label_values(&["suppressed"]).inc_by(10);
    metrics.dead_letters.with_label_values(&["malformed_json"]).inc_by(20);
    metrics.dead_letters.with_label_values(&["empty"]).inc_by(5);
    metrics.detections.anomalies.inc_by(2);
    metrics.detector_restores.inc_by(4);
    metrics.detector_evictions.inc_by(3);
    metrics.restore_mismatches.inc_by(3);
    repeat(98, &|| metrics.ingest_to_commit_seconds.observe(0.04));
    repeat(2, &|| metrics.ingest_to_commit_seconds.observe(0.6));
    metrics.commits.inc_by(100);
    repeat(98, &|| metrics.commit_seconds.observe(0.015));
    repeat(2, &|| metrics.commit_seconds.observe(0.3));
    metrics.commit_conflicts.inc_by(2);
    metrics.commits_fenced.inc_by(6);
    metrics.commits_timed_out.inc_by(2);
    metrics.checkpoints.inc_by(40);
    metrics.checkpoint_bytes.inc_by(5_000_000);
    metrics.checkpoint_oldest_age_seconds.set(42.0);
    metrics.actor_restarts.with_label_values(&["shard"]).inc_by(1);
    metrics.actor_restarts.with_label_values(&["writer"]).inc_by(2);
    metrics.log_gaps.inc_by(1);
    metrics.partitions.set(64);
    metrics.partitions_owned.set(64);
    metrics.nodes.set(1);
    metrics.partitions_assigned.set(64);
    metrics.partitions_moved.inc();
    metrics.store_connected.with_label_values(&["redis"]).set(1);
    metrics.store_connected.with_label_values(&["postgresql"]).set(1);
    metrics.append_oldest_seconds.set(0.5);
    metrics.commit_oldest_seconds.set(1.5);
    metrics.restore_oldest_seconds.set(0.2);
    metrics.lease_renewal_age_seconds.set(1.0);
    metrics.config_last_reload_successful.set(1);
    for (state, sensors) in [("known", 100), ("reporting", 90), ("silent", 2)] {
        metrics.sensors.with_label_values(&[state]).set(sensors);
    }
    metrics.anomalies_open.set(3);
    metrics.postgres_bytes.set(2_000_000_000);
    metrics.redis_memory_bytes.set(500_000_000);
    metrics.redis_memory_limit_bytes.set(2_000_000_000);
    metrics.detectors_limit.set(20_000);
    metrics.config_last_reload_success_timestamp_seconds.set(1e9);
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), "1a2b3c4d5e6f"]).set(1);
    for (outcome, records) in LEDGER {
        metrics.ledger_records.with_label_values(&[outcome]).set(records);
    }
    metrics.readings_expired.inc_by(50);
    metrics.retention_kept_partitions.set(2);
    metrics.wrong_clocks.with_label_values(&["behind"]).set(3);
    metrics.wrong_clocks.with_label_values(&["ahead"]).set(1);
    advance_bounds(metrics);
    let notifications = &metrics.notifications;
    let route = &["ops"];
    notifications.notifications_waiting.with_label_values(route).set(7);
    notifications.notification_lag_seconds.with_label_values(route).set(12.5);
    notifications.notifications_sent.with_label_values(route).inc_by(5);
    notifications.notification_failures.with_label_values(route).inc_by(10);
    notifications.notifications_failed.with_label_values(route).inc_by(0);
    notifications.notifications_refused.with_label_values(route).inc_by(0);
}

/// Advances what counts bounds and what was beyond them.
fn advance_bounds(metrics: &Metrics) {
    metrics.detector_memory_bytes.with_label_values(&["0"]).set(150_000_000);
    metrics.detector_memory_bytes.with_label_values(&["1"]).set(100_000_000);
    metrics.detector_memory_limit_bytes.set(4_000_000_000);
    metrics.checkpoint_memory_bytes.set(80_000_000);
    metrics.checkpoint_memory_limit_bytes.set(1_000_000_000);
    metrics.checkpoints_evicted.inc_by(20);
    metrics.checkpoints_refused.inc_by(0);
    metrics.checkpoints_deleted.inc_by(30);
    metrics.append_failures.inc_by(15);
    metrics.readings_set_back.inc_by(5);
    metrics.dead_letters_unstored.inc_by(40);
    metrics.dead_letters_expired.inc_by(25);
    metrics.rows_expired.with_label_values(&["anomalies"]).inc_by(3);
    metrics.partitions_refused.set(0);
}

/// Returns the text of all metrics of the engine.
pub(crate) fn text() -> String {
    let registry = Registry::new();
    advance(&Metrics::new(&registry).unwrap());
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

/// Returns the text for Prometheus: every sample with its time. The metrics of the process get
/// fixed values, because their real values are not known beforehand.
fn exposition(registry: &Registry, state: u64, time: u64) -> String {
    let mut text = String::new();
    for line in TextEncoder::new().encode_to_string(&registry.gather()).unwrap().lines() {
        if line.starts_with('#') {
            writeln!(text, "{line}").unwrap();
        } else {
            writeln!(text, "{line} {time}000").unwrap();
        }
    }
    let cpu = state as f64 * 2.5;
    let started = if state < STEPS - 1 { 1_000 } else { 2_000 };
    for (name, value) in [
        ("process_cpu_seconds_total", cpu),
        ("process_resident_memory_bytes", 200_000_000.0),
        ("process_start_time_seconds", f64::from(started)),
    ] {
        writeln!(text, "{name} {value} {time}000").unwrap();
    }
    text
}

fn answer(mut connection: TcpStream, text: &str) -> std::io::Result<()> {
    let mut request = BufReader::new(connection.try_clone()?);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let length = text.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    )
}

/// Returns the types of the engine's metrics, and of those that the process collector adds, by
/// name.
pub(crate) fn metric_types() -> BTreeMap<String, MetricType> {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    // A metric with labels does not exist before its first value.
    advance(&metrics);
    let mut types: BTreeMap<String, MetricType> =
        registry.gather().iter().map(|family| (family.name().to_owned(), family.get_field_type())).collect();
    for description in prometheus::process_collector::ProcessCollector::for_self().desc() {
        types.insert(description.fq_name.clone(), MetricType::UNTYPED);
    }
    types
}
