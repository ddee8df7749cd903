//! The queries of a dashboard, with the place where each stands.

use serde_json::Value;

/// A query and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where: the panel's title and the query's letter (`Latency B`), `annotation Anomalies`, or `variable sensor`.
    pub place: String,
    /// What kind of query it is.
    pub language: Language,
    /// The query as it is written, variables and macros included.
    pub text: String,
    /// How a PromQL query's series are called: text with `{{label}}` in it.
    pub legend: String,
}

/// What a query is written in, and how its answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// SQL for PostgreSQL whose first column is a time.
    SqlTimeSeries,
    /// SQL for PostgreSQL, shown as it comes.
    SqlTable,
    /// PromQL.
    PromQl,
    /// A function of Grafana's Prometheus data source, for variables: `label_values(metric, label)`.
    PromVariable,
}

/// The panels of a dashboard, those in collapsed rows included, rows themselves not.
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

/// Every query of a dashboard: of its variables, its annotations and its panels, in this order.
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let variables = list(&dashboard["templating"]["list"]).iter().map(variable_query);
    let annotations = list(&dashboard["annotations"]["list"])
        .iter()
        .map(|annotation| query(format!("annotation {}", text(&annotation["name"])), &annotation["target"]));
    let panels = panels(dashboard).into_iter().flat_map(|panel| {
        let title = text(&panel["title"]);
        list(&panel["targets"])
            .iter()
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
