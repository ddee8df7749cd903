//! Finds the queries of a dashboard, with the place of each.

use serde_json::Value;

/// A query and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The panel's title and the query's letter (`Latency B`), `annotation Anomalies`, or
    /// `variable sensor`.
    pub place: String,
    /// The language of the query.
    pub language: Language,
    /// The query with its variables and macros, as the dashboard contains it.
    pub text: String,
    /// The legend of a PromQL query's series, with placeholders such as `{{label}}`. Empty for SQL.
    pub legend: String,
}

/// The language of a query, and the form of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// SQL for PostgreSQL. The first column is a time.
    SqlTimeSeries,
    /// SQL for PostgreSQL. The answer is shown as a table.
    SqlTable,
    /// PromQL.
    PromQl,
    /// A function of Grafana's Prometheus data source, for variables, such as
    /// `label_values(metric, label)`.
    PromVariable,
}

/// Returns the panels of a dashboard, including those in collapsed rows, but not the rows
/// themselves.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    for panel in list(&dashboard["panels"]) {
        if panel["type"] == "row" {
            found.extend(list(&panel["panels"]));
        } else {
            found.push(panel);
        }
    }
    found
}

/// The uid of Grafana's built-in data source that gives a panel the data of another panel.
pub const OTHER_PANEL: &str = "-- Dashboard --";

/// Returns every query of a dashboard: of its variables, its annotations and its panels, in this
/// order. A panel with the data of another panel has no query.
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let variables = list(&dashboard["templating"]["list"])
        .iter()
        .filter(|variable| variable["type"] == "query")
        .map(variable_query);
    let annotations = list(&dashboard["annotations"]["list"])
        .iter()
        .map(|annotation| query(format!("annotation {}", text(&annotation["name"])), &annotation["target"]));
    let panels = panels(dashboard).into_iter().flat_map(|panel| {
        let title = text(&panel["title"]);
        list(&panel["targets"])
            .iter()
            .filter(|target| target["datasource"]["uid"] != OTHER_PANEL)
            .map(move |target| query(format!("{title} {}", text(&target["refId"])), target))
    });
    variables.chain(annotations).chain(panels).collect()
}

fn query(place: String, target: &Value) -> Query {
    match target["rawSql"].as_str() {
        Some(sql) => {
            let language =
                if target["format"] == "table" { Language::SqlTable } else { Language::SqlTimeSeries };
            Query { place, language, text: sql.to_owned(), legend: String::new() }
        }
        None => Query {
            place,
            language: Language::PromQl,
            text: text(&target["expr"]).to_owned(),
            legend: text(&target["legendFormat"]).to_owned(),
        },
    }
}

fn variable_query(variable: &Value) -> Query {
    let place = format!("variable {}", text(&variable["name"]));
    let query = &variable["query"];
    let (language, text) = match query.as_str() {
        Some(sql) => (Language::SqlTable, sql),
        None => (Language::PromVariable, text(&query["query"])),
    };
    Query { place, language, text: text.to_owned(), legend: String::new() }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
