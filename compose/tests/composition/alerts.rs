//! Which alerts Alertmanager holds back.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::file::{read, texts};

/// Returns the names in a matcher such as `alertname!~"A|B"`.
fn names<'a>(matcher: &'a str, start: &str) -> Option<BTreeSet<&'a str>> {
    Some(matcher.strip_prefix(start)?.trim_matches('"').split('|').collect())
}

/// Notifications of anomalies come from an engine, which runs whatever Prometheus knows of it.
#[test]
fn that_no_engine_is_known_holds_back_all_alerts_but_itself_the_watchdog_and_anomalies() {
    let settings: Value = serde_saphyr::from_str(&read("alertmanager/alertmanager.yml")).unwrap();
    let rules = settings["inhibit_rules"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    let source = texts(&rules[0]["source_matchers"]);
    assert_eq!(source, ["alertname=\"ThicketAbsent\""]);
    let targets = texts(&rules[0]["target_matchers"]);
    assert_eq!(targets[0], "alertname=~\"Thicket.*\"");
    let template = read("../notify/src/templates/alertmanager.json");
    let (_, of_anomalies) = template.split_once("\"alertname\": \"").unwrap();
    let (of_anomalies, _) = of_anomalies.split_once('"').unwrap();
    let excepted = BTreeSet::from(["ThicketAbsent", "ThicketWatchdog", of_anomalies]);
    assert_eq!(names(targets[1], "alertname!~"), Some(excepted));
    assert_eq!(targets.len(), 2);
}
