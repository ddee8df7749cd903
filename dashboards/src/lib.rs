//! Grafana dashboards and Prometheus rules of Thicket, embedded, and what it takes to run every one of their queries
//! without Grafana: finding them in the dashboards, and putting in what Grafana would put in.
//!
//! The tests of this crate do run them: the SQL against a real PostgreSQL that holds known rows, the PromQL against a real
//! Prometheus that scrapes the engine's own metrics with known values. A query that is not tested fails the tests.
//!
//! # Layout
//!
//! - `grafana/dashboards/`: "Sensors" (what was measured, scores, grades, anomalies) and "Engine" (throughput, lag, latency,
//!   trouble); `grafana/provisioning/`: the data sources and how Grafana finds the dashboards.
//! - `prometheus/`: recording and alerting rules, and their unit tests for `promtool`.
//! - [`dashboard`]: the queries of a dashboard, with the place where each stands.
//! - [`interpolation`]: Grafana's variables and macros.

#![allow(clippy::doc_markdown, reason = "PostgreSQL and PromQL are names, not identifiers")]

pub mod dashboard;
pub mod interpolation;

/// The dashboard "Sensors", Grafana's classic JSON model.
pub const SENSORS: &str = include_str!("../grafana/dashboards/sensors.json");
/// The dashboard "Engine", Grafana's classic JSON model.
pub const ENGINE: &str = include_str!("../grafana/dashboards/engine.json");
/// Recording and alerting rules for Prometheus.
pub const RULES: &str = include_str!("../prometheus/rules.yml");
