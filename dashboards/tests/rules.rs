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
        let severity = rule["labels"]["severity"].as_str().unwrap();
        // The alert that always fires needs nobody.
        let known = if name == "ThicketWatchdog" { &["none"][..] } else { &["critical", "warning"] };
        assert!(known.contains(&severity), "{name}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].as_str().unwrap().len() > 20, "{name}: {annotation}");
        }
    }
    assert_eq!(tested, alerts);
}

#[test]
fn every_alert_links_to_its_page_and_every_page_belongs_to_an_alert() {
    const BASE: &str = "https://github.com/thicket-rs/thicket/blob/main/docs/alerts/";
    let rules: Value = serde_saphyr::from_str(RULES).unwrap();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts");
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let mut pages = BTreeSet::from(["README.md".to_owned()]);
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
    {
        let Some(name) = rule["alert"].as_str() else { continue };
        assert_eq!(rule["annotations"]["runbook_url"].as_str(), Some(&*format!("{BASE}{name}.md")));
        let page = std::fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        for heading in ["**Fires:**", "**Severity:**", "## Meaning", "## Likely causes", "## What to do"] {
            assert!(page.contains(heading), "{name}: {heading}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(page.contains(&format!("**Severity:** {severity}")), "{name}");
        assert!(list.contains(&format!("| [{name}]({name}.md) |")), "{name}");
        pages.insert(format!("{name}.md"));
    }
    let files = std::fs::read_dir(folder).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, pages);
}
