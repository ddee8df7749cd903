//! Runs every PromQL expression of every dashboard on a real Prometheus that scrapes the engine's
//! own metrics with known values, and compares the answer with the expected one.

#![allow(clippy::doc_markdown, reason = "PromQL is a name, not an identifier")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod engine;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chrono::DateTime;
use engine::Endpoint;
use prometheus::proto::MetricType;
use serde_json::Value;
use thicket_compose::{Prometheus, PrometheusService};
use thicket_dashboards::{
    ENGINE, FLEET, RULES, SENSORS,
    dashboard::{self, Language, Query},
    interpolation::{self, Context, Selection},
};

/// Returns the expected series of each query, by legend. They follow from the values that `engine`
/// serves every five seconds.
#[expect(clippy::too_many_lines, reason = "a table of answers")]
fn answers(instance: &str) -> BTreeMap<&'static str, Vec<(String, f64)>> {
    let one = |value: f64| vec![(String::new(), value)];
    let named = |name: &str, value: f64| vec![(name.to_owned(), value)];
    let two = |first: (&str, f64), second: (&str, f64)| {
        vec![(first.0.to_owned(), first.1), (second.0.to_owned(), second.1)]
    };
    BTreeMap::from([
        ("annotation Engine starts", named(instance, 1.0)),
        ("Engines A", named("up", 1.0)),
        ("Engines B", named("known", 1.0)),
        ("Version A", named(env!("CARGO_PKG_VERSION"), 1.0)),
        ("Broker A", one(1.0)),
        ("Stored A", one(180.0)),
        ("Lag A", one(2.5)),
        // Broker drops, log gap, commit conflict, restore mismatch, fenced, poison, slow commits,
        // and restarts of two actors. The alert that always fires does not count.
        ("Alerts A", one(9.0)),
        (
            "Firing alerts A",
            [
                "ThicketActorRestarts warning",
                "ThicketActorRestarts warning",
                "ThicketBrokerDrops critical",
                "ThicketCommitConflict critical",
                "ThicketCommitsTimeOut warning",
                "ThicketFenced warning",
                "ThicketLogGap critical",
                "ThicketPoison warning",
                "ThicketRestoreMismatch critical",
            ]
            .map(|alert| (alert.to_owned(), 1.0))
            .to_vec(),
        ),
        ("Throughput by stage A", named("1 MQTT messages", 100.0)),
        ("Throughput by stage B", named("2 records appended", 200.0)),
        ("Throughput by stage C", named("3 readings scored", 180.0)),
        ("Throughput by stage D", named("4 readings stored", 180.0)),
        ("Other outcomes A", named("late", 2.0)),
        ("Other outcomes B", named("duplicate", 3.0)),
        ("Other outcomes C", named("poison", 1.0)),
        ("Other outcomes D", named("anomalies", 0.4)),
        (
            "Other outcomes E",
            ["after_silence", "imputed", "learning_slowed", "stuck", "suppressed"]
                .map(|mark| (mark.to_owned(), if mark == "suppressed" { 2.0 } else { 0.0 }))
                .to_vec(),
        ),
        ("Other outcomes F", named("unscored", 4.0)),
        ("Scored by shard A", two(("shard 0", 120.0), ("shard 1", 60.0))),
        ("Records per entry A", named("records per entry", 20.0)),
        ("Lag in seconds A", two(("shard 0", 1.5), ("shard 1", 2.5))),
        ("Lag in entries A", two(("shard 0", 7.0), ("shard 1", 9.0))),
        ("Latency A", named("p50", 0.03 + 0.02 * 50.0 / 98.0)),
        ("Latency B", named("p99", 0.625)),
        ("Append to the log A", named("p50", 0.001 + 0.001 * 50.0 / 98.0)),
        ("Append to the log B", named("p99", 0.075)),
        ("Commit A", named("p50", 0.01 + 0.01 * 50.0 / 98.0)),
        ("Commit B", named("p99", 0.375)),
        ("Commit C", named("mean", 0.0207)),
        ("Detectors in memory A", two(("shard 0", 600.0), ("shard 1", 400.0))),
        ("Restores and evictions A", named("restored", 0.8)),
        ("Restores and evictions B", named("evicted", 0.6)),
        ("CPU per reading A", named("per reading", 1.0 / 16_384.0)),
        ("Oldest waiting checkpoint A", named(instance, 42.0)),
        ("Checkpoint traffic A", named("written", 1_000_000.0)),
        ("Checkpoints A", named("checkpoints", 8.0)),
        ("Dead letters by reason A", two(("empty", 1.0), ("malformed_json", 4.0))),
        // Within the rate interval of 20 s.
        ("Restarts by actor A", two(("shard", 4.0), ("writer", 8.0))),
        // Since the start of the engine, which is older than the first scrape.
        ("Must stay 0 A", named("log gaps", 120.0 + engine::GAPS_AT_START as f64)),
        ("Must stay 0 B", named("commit conflicts", 240.0)),
        ("Must stay 0 C", named("restore mismatches", 360.0)),
        // Within the time range of 600 s.
        ("Must stay 0 D", named("broker drops", 1_200.0)),
        ("Backpressure and fencing A", named("backlog full", 3.0)),
        ("Backpressure and fencing B", named("fenced", 1.2)),
        ("Backpressure and fencing C", named("connections", 0.2)),
        (
            "Backpressure and fencing D",
            [("empty", 0.0), ("ignored", 0.0), ("no_reading", 0.0), ("retained", 1.0)]
                .map(|(result, rate)| (format!("{result}, no reading"), rate))
                .to_vec(),
        ),
        ("Backpressure and fencing E", named("released before queue.reorder", 0.4)),
        ("Backpressure and fencing F", named("held back by queue.reorder (messages)", 3.0)),
        (
            "Ledger over time A",
            engine::LEDGER.map(|(outcome, records)| (outcome.to_owned(), records as f64)).to_vec(),
        ),
        ("Retention A", named("rows dropped", 200.0)),
        ("Retention B", named("days kept", 2.0)),
        ("Retention C", named("dead letters deleted", 100.0)),
        ("Retention D", named("anomalies deleted", 12.0)),
        ("CPU A", named(instance, 0.5)),
        ("Memory A", named(instance, 200_000_000.0)),
        ("Memory per detector A", named("per detector", 200_000.0)),
        ("Commits A", named("commits", 20.0)),
        ("Commits B", named("timed out", 0.4)),
        ("Stores and roles A", two(("postgresql", 1.0), ("redis", 1.0))),
        ("Stores and roles B", two(("active engines", 1.0), ("standby engines", 0.0))),
        ("Operations in progress A", named("append", 0.5)),
        ("Operations in progress B", named("commit", 1.5)),
        ("Operations in progress C", named("lease renewal", 1.0)),
        ("Operations in progress D", named("restore", 0.2)),
        ("Sensors and anomalies A", two(("reporting", 90.0), ("silent", 2.0))),
        ("Sensors and anomalies B", named("anomalous", 3.0)),
        ("Capacity A", named("redis", 500_000_000.0)),
        ("Capacity B", named("redis limit", 2_000_000_000.0)),
        ("Capacity C", named("postgresql", 2_000_000_000.0)),
        ("Configuration loaded A", named(instance, 1e12)),
        ("Notifications A", named("ops waiting", 7.0)),
        ("Notifications B", named("ops lag in seconds", 12.5)),
        ("Notifications sent A", named("ops sent", 1.0)),
        ("Notifications sent B", named("ops attempts failed", 2.0)),
        ("Notifications sent C", named("ops given up", 0.0)),
        ("Notifications sent D", named("ops refused", 0.0)),
        ("Memory bounds A", named("detectors", 250_000_000.0)),
        ("Memory bounds B", named("detectors, bound", 4_000_000_000.0)),
        ("Memory bounds C", named("checkpoints", 80_000_000.0)),
        ("Memory bounds D", named("checkpoints, bound", 1_000_000_000.0)),
        ("At the bounds A", named("checkpoints evicted", 4.0)),
        ("At the bounds B", named("checkpoints refused", 0.0)),
        ("At the bounds C", named("checkpoints deleted", 6.0)),
        ("At the bounds D", named("appends failed", 3.0)),
        ("At the bounds E", named("readings set back", 1.0)),
        ("At the bounds F", named("dead letters only counted", 8.0)),
        ("Partitions by node A", vec![(format!("owned {instance}"), 64.0)]),
        ("Partitions by node B", vec![(format!("share of {instance}"), 64.0)]),
        ("Partitions by node C", named("without owner", 0.0)),
        ("Partitions by node D", named("refused", 0.0)),
        ("Live nodes A", vec![(format!("seen by {instance}"), 1.0)]),
        ("Live nodes B", named("nodes with subscriptions", 1.0)),
        ("Partitions moved A", vec![(format!("from {instance}"), 0.2)]),
    ])
}

/// Queries about the deployment. Their answer is the same whichever instances are chosen: one
/// instance alone does not own all partitions, and one of several holds the subscriptions.
const OF_THE_DEPLOYMENT: [&str; 4] = ["Broker A", "Must stay 0 D", "Partitions by node C", "Live nodes B"];

fn queries(dashboard: &str) -> Vec<Query> {
    dashboard::queries(&serde_json::from_str(dashboard).unwrap())
}

fn get(port: u16, path: &str, parameters: &[(&str, &str)]) -> Value {
    // If Prometheus rejects an expression, the assertion below shows the reason.
    let client = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let url = format!("http://127.0.0.1:{port}{path}");
    let mut answer = client.get(url).query_pairs(parameters.iter().copied()).call().unwrap();
    let body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(body["status"], "success", "{path} {parameters:?}: {body}");
    body["data"].clone()
}

/// Returns the series of an instant query by legend, sorted by legend.
fn series(port: u16, query: &Query, expression: &str, time: u64) -> Vec<(String, f64)> {
    let answer = get(port, "/api/v1/query", &[("query", expression), ("time", &time.to_string())]);
    let mut found: Vec<(String, f64)> = answer["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let value = series["value"][1].as_str().unwrap().parse().unwrap();
            (legend(&query.legend, &series["metric"]), value)
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Replaces `{{label}}` by the label's value, as Grafana does. Panics if the label is missing.
fn legend(format: &str, labels: &Value) -> String {
    let mut result = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("{{") {
        let (label, after) = after.split_once("}}").unwrap();
        result.push_str(before);
        result.push_str(labels[label].as_str().unwrap_or_else(|| panic!("no label {label} in {labels}")));
        rest = after;
    }
    result.push_str(rest);
    result
}

fn close(a: &[(String, f64)], b: &[(String, f64)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() <= 1e-6 * b.1.abs())
}

/// Checks the condition every 20 ms until it holds, at most 60 s.
fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() && Instant::now() < deadline {
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "no arbiter runs in these tests")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn every_expression_answers_with_what_the_engine_serves() {
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start();
    let instance = format!("127.0.0.1:{}", endpoint.port);
    let service = PrometheusService {
        targets: vec![instance.clone()],
        rule_files: vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("prometheus/rules.yml")],
        interval: Duration::from_millis(50),
    };
    let server = Prometheus::start_service(service, directory.path()).unwrap();
    until(|| endpoint.is_through());
    assert!(endpoint.is_through(), "the engine's metrics were not scraped");

    let at = |seconds: u64| DateTime::from_timestamp(seconds.cast_signed(), 0).unwrap();
    let context = Context {
        from: at(endpoint.end - 600),
        to: at(endpoint.end),
        interval: Duration::from_secs(5),
        rate_interval: Duration::from_secs(20),
        search: String::new(),
        variables: BTreeMap::from([
            ("instance".to_owned(), Selection::All(".+".to_owned())),
            ("job".to_owned(), Selection::One("thicket".to_owned())),
        ]),
    };
    let other = Selection::One("other".to_owned());
    let elsewhere = Context {
        variables: context.variables.clone().into_iter().chain([("instance".to_owned(), other)]).collect(),
        ..context.clone()
    };
    let mut expected = answers(&instance);
    for query in [FLEET, SENSORS, ENGINE].into_iter().flat_map(queries) {
        match query.language {
            Language::PromQl => {
                let expression = interpolation::promql(&query.text, &context).unwrap();
                let expected = expected.remove(query.place.as_str());
                let expected = expected.unwrap_or_else(|| panic!("no answer is known for {}", query.place));
                // Samples and alerts become visible with a delay.
                let mut answer = Vec::new();
                until(|| {
                    answer = series(server.port(), &query, &expression, endpoint.end);
                    close(&answer, &expected)
                });
                assert!(close(&answer, &expected), "{}: {answer:?}, not {expected:?}", query.place);
                if OF_THE_DEPLOYMENT.contains(&query.place.as_str()) {
                    let expression = interpolation::promql(&query.text, &elsewhere).unwrap();
                    let answer = series(server.port(), &query, &expression, endpoint.end);
                    assert!(close(&answer, &expected), "{}, another instance: {answer:?}", query.place);
                }
            }
            Language::PromVariable => {
                let text = interpolation::promql(&query.text, &context).unwrap();
                let inside = text.strip_prefix("label_values(").and_then(|text| text.strip_suffix(')'));
                let (metric, label) = inside.unwrap().split_once(", ").unwrap();
                let path = format!("/api/v1/label/{label}/values");
                let end = endpoint.end.to_string();
                let values = get(server.port(), &path, &[("match[]", metric), ("end", &end)]);
                let expected = if label == "job" { "thicket" } else { &*instance };
                assert_eq!(values, serde_json::json!([expected]), "{}", query.place);
            }
            Language::SqlTable | Language::SqlTimeSeries => {}
        }
    }
    assert!(expected.is_empty(), "answers without a query: {:?}", expected.keys());
}

/// Returns the names of metrics in a PromQL expression: the words with a prefix of metrics.
fn metric_names(expression: &str) -> BTreeSet<&str> {
    expression
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_' && letter != ':')
        .filter(|word| ["thicket_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

fn rule_expressions() -> Vec<(String, String)> {
    let rules: Value = serde_saphyr::from_str(RULES).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let all = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    all.map(|rule| {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        (name.to_owned(), rule["expr"].as_str().unwrap().to_owned())
    })
    .collect()
}

#[test]
fn every_metric_that_is_named_is_one_of_the_engine_s() {
    let types = engine::metric_types();
    let mut expressions = rule_expressions();
    for query in [FLEET, SENSORS, ENGINE].into_iter().flat_map(queries) {
        if matches!(query.language, Language::PromQl | Language::PromVariable) {
            // Two deployments must not be added together.
            let selects_job = query.text.matches('{').count() == query.text.matches("job=~\"$job\"").count();
            // The alert that no engine is known has no job.
            let selects_alerts = query.text.contains("ALERTS{") && query.text.contains("job=~\"$job|\"");
            let is_of_all = query.place == "variable job";
            assert!(selects_job || selects_alerts || is_of_all, "{}: {}", query.place, query.text);
            expressions.push((query.place, query.text));
        }
    }
    let mut seen = BTreeSet::new();
    for (place, expression) in &expressions {
        for name in metric_names(expression) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
                let base = name.strip_suffix(suffix)?;
                (types.get(base) == Some(&MetricType::HISTOGRAM)).then_some(base)
            });
            let known = base.or_else(|| types.contains_key(name).then_some(name));
            let known = known.unwrap_or_else(|| panic!("{place}: the engine has no metric {name}"));
            assert!(
                types[known] != MetricType::HISTOGRAM || base.is_some(),
                "{place}: {name} is a histogram: name its _bucket, _sum or _count"
            );
            seen.insert(known);
        }
    }
    let unseen: Vec<&String> =
        types.keys().filter(|name| name.starts_with("thicket_") && !seen.contains(name.as_str())).collect();
    assert!(unseen.is_empty(), "metrics that are neither on a dashboard nor in a rule: {unseen:?}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(engine::text().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.trim().is_empty(), "{text}");
}

#[test]
fn every_recorded_series_that_is_named_is_recorded() {
    let expressions = rule_expressions();
    let recorded: BTreeSet<&str> = expressions.iter().map(|(name, _)| name.as_str()).collect();
    for (name, expression) in &expressions {
        let words =
            expression.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter));
        for word in words.filter(|word| word.starts_with("thicket:")) {
            assert!(recorded.contains(word), "{name}: {word}");
        }
    }
}
