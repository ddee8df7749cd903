//! Checks that the dashboards and their provisioning load in any Grafana without manual settings.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;
use thicket_dashboards::{
    ENGINE, FLEET, SENSORS,
    dashboard::{self, Language, OTHER_PANEL},
};

fn dashboards() -> [(&'static str, Value); 3] {
    [("Fleet", FLEET), ("Sensors", SENSORS), ("Engine", ENGINE)]
        .map(|(title, text)| (title, serde_json::from_str(text).unwrap()))
}

fn file(path: &str) -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&file(path)).unwrap()
}

/// Collects every value of the key `key`, at any depth.
fn everywhere<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == key {
                    found.push(member);
                }
                everywhere(member, key, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| everywhere(item, key, found)),
        _ => {}
    }
}

/// Returns the panel whose data a panel shows: itself, or the one that it takes its data from.
fn source<'a>(dashboard: &'a Value, panel: &'a Value) -> &'a Value {
    let target = &panel["targets"][0];
    if target["datasource"]["uid"] != OTHER_PANEL {
        return panel;
    }
    let all = dashboard["panels"].as_array().unwrap();
    let found = all.iter().find(|other| other["id"] == target["panelId"]);
    let found = found.unwrap_or_else(|| panic!("no panel {}", target["panelId"]));
    assert_eq!(panel["targets"].as_array().unwrap().len(), 1);
    assert_ne!(found["targets"][0]["datasource"]["uid"], OTHER_PANEL);
    found
}

#[test]
fn a_dashboard_is_not_refreshed_more_often_than_its_rows_change() {
    for (title, dashboard) in dashboards() {
        assert_eq!(dashboard["refresh"], "30s", "{title}");
        let intervals = dashboard["timepicker"]["refresh_intervals"].as_array().unwrap();
        assert!(intervals.contains(&Value::from("30s")), "{title}");
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            // 2: when the time range changes. Whoever opens a dashboard before there are data sees
            // them when they come.
            let refresh = &variable["refresh"];
            assert!(*refresh == 2 || variable["type"] == "custom", "{title}: {variable}");
            assert_ne!(variable["allValue"], ".*", "{title}: it matches series without the label");
        }
    }
}

#[test]
fn a_variable_has_a_bounded_list_of_values() {
    for dashboard in [FLEET, SENSORS] {
        let dashboard: Value = serde_json::from_str(dashboard).unwrap();
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let query = variable["query"].as_str().unwrap();
            assert!(query.contains(" LIMIT ") || variable["type"] == "custom", "{query}");
            assert!(variable["type"] == "custom" || variable["definition"] == query, "{query}");
            // Grafana replaces a value that is not in the list when it reads the list again.
            let keeps_its_value = ["OR sensor = '$sensor'", "OR site = ANY (ARRAY[$site]"]
                .iter()
                .any(|part| query.contains(part));
            assert!(!query.contains("$__searchFilter") || keeps_its_value, "{query}");
        }
    }
}

/// Grafana puts the values of a variable that can have several between quotes, and the only value of
/// another one not. It inserts `allValue` as it is.
#[test]
fn a_variable_is_a_literal_in_sql() {
    for (title, dashboard) in dashboards() {
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let name = variable["name"].as_str().unwrap();
            let is_text = variable["type"] == "query" && variable["multi"] == false;
            for query in dashboard::queries(&dashboard) {
                if !matches!(query.language, Language::SqlTable | Language::SqlTimeSeries) {
                    continue;
                }
                let quoted = query.text.matches(&format!("'${name}'")).count();
                let used = query.text.matches(&format!("${name}")).count();
                let braced = query.text.contains(&format!("${{{name}"));
                assert!(!braced, "{title}: {}: write ${name}", query.place);
                assert_eq!(quoted, if is_text { used } else { 0 }, "{title}: {}: {name}", query.place);
            }
        }
    }
}

#[test]
fn every_dashboard_links_to_the_others() {
    let uids: Vec<Value> = dashboards().iter().map(|(_, dashboard)| dashboard["uid"].clone()).collect();
    for (title, dashboard) in dashboards() {
        let links: Vec<&str> = dashboard["links"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| {
                assert_eq!(link["keepTime"], true, "{title}: {link}");
                link["url"].as_str().unwrap()
            })
            .collect();
        for uid in uids.iter().filter(|uid| **uid != dashboard["uid"]) {
            let start = format!("/d/{}/", uid.as_str().unwrap());
            assert!(links.iter().any(|link| link.starts_with(&start)), "{title}: no link to {uid}");
        }
    }
}

/// A row of an event or of a silent sensor leads to its own time, not to that of the dashboard.
#[test]
fn a_row_leads_to_the_time_that_it_is_about() {
    let mut found = 0;
    for (title, dashboard) in dashboards() {
        for panel in dashboard::panels(&dashboard) {
            for rule in panel["fieldConfig"]["overrides"].as_array().unwrap() {
                let mut urls = Vec::new();
                everywhere(rule, "url", &mut urls);
                for url in urls {
                    let url = url.as_str().unwrap();
                    let is_of_row = url.ends_with("&from=${__data.fields.from}&to=${__data.fields.to}");
                    let is_of_all = url.contains("?${__url_time_range}&");
                    assert!(is_of_row != is_of_all, "{title}: {url}");
                    let sql = panel["targets"][0]["rawSql"].as_str().unwrap();
                    let has_times = sql.contains(" AS \"from\"") && sql.contains(" AS \"to\"");
                    assert!(!is_of_row || has_times, "{title}: {}: {url}", panel["title"]);
                    found += usize::from(is_of_row);
                }
            }
        }
    }
    assert_eq!(found, 7);
}

#[test]
fn a_line_of_rows_does_not_cross_a_gap() {
    let mut lines = 0;
    for (title, dashboard) in dashboards() {
        for panel in dashboard::panels(&dashboard) {
            let custom = &panel["fieldConfig"]["defaults"]["custom"];
            let of_rows = source(&dashboard, panel)["targets"][0]["rawSql"].is_string();
            if panel["type"] != "timeseries" || custom["drawStyle"] != "line" || !of_rows {
                continue;
            }
            // Milliseconds. Rows of PostgreSQL have no interval: there is no point where nothing
            // was read, so the line would go on to the next point.
            assert_eq!(custom["insertNulls"], 7_200_000, "{title}: {}", panel["title"]);
            // A reading between two gaps is a point.
            assert_eq!(custom["showPoints"], "auto", "{title}: {}", panel["title"]);
            lines += 1;
        }
    }
    assert_eq!(lines, 3);
}

#[test]
fn the_rows_of_a_sensor_are_read_once_for_all_its_fields() {
    let dashboard: Value = serde_json::from_str(SENSORS).unwrap();
    for panel in dashboard::panels(&dashboard) {
        let is_repeated = panel["repeat"].is_string();
        assert_eq!(is_repeated, panel["title"] == "$field");
        assert!(!is_repeated || source(&dashboard, panel)["title"] == "Fields");
    }
}

#[test]
fn a_dashboard_has_a_stable_uid_and_no_id() {
    let mut uids = BTreeSet::new();
    for (title, dashboard) in dashboards() {
        assert_eq!(dashboard["title"], title);
        assert_eq!(dashboard["id"], Value::Null);
        assert!(dashboard.as_object().unwrap().contains_key("id"), "{title}");
        assert_eq!(dashboard["uid"], format!("thicket-{}", title.to_lowercase()));
        assert_eq!(dashboard["schemaVersion"], 41);
        assert!(dashboard["__inputs"].is_null() && dashboard["__requires"].is_null(), "{title}");
        assert_eq!(dashboard["tags"], serde_json::json!(["thicket"]));
        assert!(uids.insert(dashboard["uid"].to_string()));
    }
}

#[test]
fn every_data_source_is_one_that_is_provisioned() {
    let provisioned = yaml("grafana/provisioning/datasources/thicket.yaml");
    let known: BTreeSet<(String, String)> = provisioned["datasources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| (source["type"].to_string(), source["uid"].to_string()))
        .collect();
    assert_eq!(known.len(), 2);
    let other_panel = ("\"datasource\"".to_owned(), format!("\"{OTHER_PANEL}\""));
    let known: BTreeSet<(String, String)> = known.into_iter().chain([other_panel]).collect();
    for (title, dashboard) in dashboards() {
        let mut used = Vec::new();
        everywhere(&dashboard, "datasource", &mut used);
        assert!(!used.is_empty());
        for source in used {
            let pair = (source["type"].to_string(), source["uid"].to_string());
            assert!(known.contains(&pair), "{title}: {source}");
        }
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit() {
    for (title, dashboard) in dashboards() {
        let mut ids = BTreeSet::new();
        let mut titles = BTreeSet::new();
        for panel in dashboard::panels(&dashboard) {
            let name = panel["title"].as_str().unwrap();
            assert!(!name.is_empty() && titles.insert(name), "{title}: {name}");
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: {name}");
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 20 && description.ends_with('.'), "{title}: {name}: {description}");
            assert!(
                !panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(),
                "{title}: {name}"
            );
            let text = panel["fieldConfig"]["defaults"]["noValue"].as_str();
            assert!(text.is_some_and(|text| text.starts_with("no ")), "{title}: {name}: {text:?}");
            let targets = panel["targets"].as_array().unwrap();
            let letters: BTreeSet<&str> =
                targets.iter().map(|target| target["refId"].as_str().unwrap()).collect();
            assert!(!targets.is_empty() && letters.len() == targets.len(), "{title}: {name}");
            for target in targets {
                assert_eq!(target["datasource"], panel["datasource"], "{title}: {name}");
            }
        }
    }
}

#[test]
fn panels_lie_within_the_grid_and_do_not_overlap() {
    for (title, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{title}: {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{title}: {} overlaps", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_that_exist() {
    let uids: Vec<String> =
        dashboards().iter().map(|(_, dashboard)| dashboard["uid"].as_str().unwrap().to_owned()).collect();
    for (title, dashboard) in dashboards() {
        let mut urls = Vec::new();
        everywhere(&dashboard, "url", &mut urls);
        assert!(!urls.is_empty(), "{title}");
        for url in urls {
            let uid = url.as_str().unwrap().strip_prefix("/d/").unwrap().split('/').next().unwrap();
            assert!(uids.iter().any(|known| known == uid), "{title}: {url}");
        }
    }
}

#[test]
fn overrides_name_columns_that_the_queries_return() {
    for (title, dashboard) in dashboards() {
        for panel in dashboard::panels(&dashboard) {
            let queries = source(&dashboard, panel)["targets"].to_string();
            for rule in panel["fieldConfig"]["overrides"].as_array().unwrap() {
                assert_eq!(rule["matcher"]["id"], "byName", "{title}: {rule}");
                let column = rule["matcher"]["options"].as_str().unwrap();
                let quoted = format!("\\\"{column}\\\"");
                let bare = queries.contains(&format!("{column},")) || queries.contains(&format!("{column} "));
                assert!(queries.contains(&quoted) || bare, "{title}: {}: {column}", panel["title"]);
            }
        }
    }
}

#[test]
fn grafana_finds_what_the_composition_mounts() {
    let provider = yaml("grafana/provisioning/dashboards/thicket.yaml");
    let path = provider["providers"][0]["options"]["path"].as_str().unwrap();
    let composition = file("../compose/compose.yaml");
    assert!(composition.contains(&format!("../dashboards/grafana/dashboards:{path}:ro,z")), "{path}");
    assert!(composition.contains("../dashboards/grafana/provisioning:/etc/grafana/provisioning:ro,z"));
    assert!(
        composition.contains("../dashboards/prometheus/rules.yml:/etc/prometheus/rules/thicket.yml:ro,z")
    );
    assert!(composition.contains(&format!("HOME_DASHBOARD_PATH: {path}/sensors.json")));

    let sources = yaml("grafana/provisioning/datasources/thicket.yaml");
    let by_uid = |uid: &str| {
        let sources = sources["datasources"].as_array().unwrap();
        sources.iter().find(|source| source["uid"] == uid).unwrap().clone()
    };
    let postgres = by_uid("postgres");
    assert_eq!(
        (&postgres["url"], &postgres["user"]),
        (&Value::from("postgres:5432"), &Value::from("grafana"))
    );
    assert!(file("../compose/postgres/users.sh").contains("ALTER ROLE grafana LOGIN"));
    let password = postgres["secureJsonData"]["password"].as_str().unwrap();
    assert!(composition.contains(&format!("{}: ${{", password.trim_start_matches('$'))), "{password}");
    let prometheus = by_uid("prometheus");
    assert_eq!(prometheus["url"], "http://prometheus:9090");
    let scrape = yaml("../compose/prometheus/prometheus.yml")["global"]["scrape_interval"].clone();
    assert_eq!(prometheus["jsonData"]["timeInterval"], scrape);
}
