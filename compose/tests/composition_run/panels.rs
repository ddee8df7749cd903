//! Sends every query of the dashboards, as Grafana would.

use std::{collections::BTreeMap, time::Duration};

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use thicket_dashboards::{
    ENGINE, FLEET, SENSORS,
    dashboard::{self, Language},
    interpolation::{self, Context, Selection},
};

use crate::project::Project;

/// Panels that must show something a minute after the start of the demo.
const NOT_EMPTY: [&str; 9] = [
    "Fleet: variable site",
    "Fleet: Sensors A",
    "Fleet: Sites A",
    "Sensors: variable sensor",
    "Sensors: variable field",
    "Sensors: Sensors A",
    "Sensors: Grade A",
    "Sensors: Fields A",
    "Sensors: Readings A",
];

/// Sends every query, and returns their number. Panics at the first that fails.
pub(crate) fn ask_all(project: &Project) -> usize {
    let sensor =
        project.sql("SELECT sensor FROM sensor_status WHERE sensor LIKE 'city/%' ORDER BY 1 LIMIT 1");
    let (mut asked, mut sql) = (0, Vec::new());
    for (name, text) in [("Fleet", FLEET), ("Sensors", SENSORS), ("Engine", ENGINE)] {
        let dashboard: Value = serde_json::from_str(text).unwrap();
        let context = context(&dashboard, &sensor);
        for query in dashboard::queries(&dashboard) {
            let place = format!("{name}: {}", query.place);
            match query.language {
                Language::PromVariable => continue,
                Language::PromQl => {
                    let query = interpolation::promql(&query.text, &context).unwrap();
                    let answer = prometheus(project, &query);
                    assert_eq!(answer["status"], "success", "{place}: {query}: {answer}");
                }
                Language::SqlTable | Language::SqlTimeSeries => {
                    sql.push((place, interpolation::sql(&query.text, &context).unwrap()));
                }
            }
            asked += 1;
        }
    }
    let answers = project.sql_answers("grafana", &sql);
    for ((place, _), rows) in sql.iter().zip(&answers) {
        assert!(!NOT_EMPTY.contains(&&**place) || !rows.is_empty(), "{place} is empty");
    }
    assert_eq!(answers.len(), sql.len());
    asked
}

fn context(dashboard: &Value, sensor: &str) -> Context {
    let now = Utc::now();
    let mut variables = BTreeMap::new();
    for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().unwrap().to_owned();
        let one = |value: &str| Selection::One(value.to_owned());
        let selection = match &*name {
            "sensor" => one(sensor),
            "field" => Selection::Several(vec!["laeq_db".to_owned()]),
            "page" => one("0"),
            "levels" => one("1"),
            "job" => one("thicket"),
            _ => Selection::All(variable["allValue"].as_str().unwrap().to_owned()),
        };
        variables.insert(name, selection);
    }
    Context {
        from: now - TimeDelta::hours(1),
        to: now,
        interval: Duration::from_secs(5),
        rate_interval: Duration::from_secs(20),
        search: String::new(),
        variables,
    }
}

/// Returns the answer of Prometheus's query API.
pub(crate) fn prometheus(project: &Project, expression: &str) -> Value {
    let url = format!("http://127.0.0.1:{}/api/v1/query", project.prometheus_port);
    get(&url, &[("query", expression)])
}

/// Returns the JSON of a page, whatever its status; `Null` if there is none.
pub(crate) fn get(url: &str, query: &[(&str, &str)]) -> Value {
    let client = ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent();
    let mut request = client.get(url);
    for (name, value) in query {
        request = request.query(name, value);
    }
    let Ok(mut answer) = request.call() else { return Value::Null };
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::Null)
}
