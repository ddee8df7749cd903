//! Thicket's Grafana dashboards and Prometheus rules, embedded. Finds the queries in the
//! dashboards, and replaces variables and macros as Grafana does, so that the queries run without
//! Grafana.
//!
//! The tests of this crate run every query: SQL on a real PostgreSQL with known rows, PromQL on a
//! real Prometheus that scrapes the engine's own metrics with known values. A query without a test
//! fails the tests.
//!
//! # Layout
//!
//! - `grafana/dashboards/`: "Fleet" (sites, what needs attention), "Sensors" (values, scores, grades,
//!   anomalies) and "Engine" (throughput, lag, latency, errors); `grafana/provisioning/`: the data
//!   sources and the folder of the dashboards.
//! - `prometheus/`: recording and alerting rules, and their unit tests for `promtool`.
//! - [`dashboard`]: finds the queries of a dashboard.
//! - [`interpolation`]: replaces Grafana's variables and macros.

#![allow(clippy::doc_markdown, reason = "PostgreSQL and PromQL are names, not identifiers")]

pub mod dashboard;
pub mod interpolation;

/// The dashboard "Fleet" in Grafana's classic JSON model.
pub const FLEET: &str = include_str!("../grafana/dashboards/fleet.json");
/// The dashboard "Sensors" in Grafana's classic JSON model.
pub const SENSORS: &str = include_str!("../grafana/dashboards/sensors.json");
/// The dashboard "Engine" in Grafana's classic JSON model.
pub const ENGINE: &str = include_str!("../grafana/dashboards/engine.json");
/// Recording and alerting rules for Prometheus.
pub const RULES: &str = include_str!("../prometheus/rules.yml");
