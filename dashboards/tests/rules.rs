//! Checks and tests the Prometheus rules with Prometheus's own tool.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde_json::Value;
use thicket_dashboards::RULES;

fn promtool(arguments: &[&str]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {}:\n{text}", arguments.join(" "));
}

#[test]
fn the_rules_are_valid() {
    promtool(&["check", "rules", "prometheus/rules.yml"]);
}

#[test]
fn the_composition_s_configuration_is_valid() {
    promtool(&["check", "config", "../compose/prometheus/prometheus.yml"]);
}

#[test]
fn every_alert_fires_on_what_it_is_for_and_not_before() {
    promtool(&["test", "rules", "prometheus/rules_test.yml"]);
}

#[test]
fn every_alert_is_tested_and_says_what_to_do() {
    let rules: Value = serde_saphyr::from_str(RULES).unwrap();
    let tests: Value = serde_saphyr::from_str(include_str!("../prometheus/rules_test.yml")).unwrap();
    let tested: BTreeSet<&str> = tests["tests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|test| test["alert_rule_test"].as_array().map(Vec::as_slice).unwrap_or_default())
        .filter(|case| !case["exp_alerts"].as_array().unwrap().is_empty())
        .map(|case| case["alertname"].as_str().unwrap())
        .collect();
    let mut alerts = BTreeSet::new();
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
    {
        let Some(name) = rule["alert"].as_str() else { continue };
        assert!(name.starts_with("Thicket") && alerts.insert(name), "{name}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].as_str().unwrap().len() > 20, "{name}: {annotation}");
        }
    }
    assert_eq!(tested, alerts);
}
