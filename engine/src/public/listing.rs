//! Reads from this build what is public, a line for each thing: its kind, its name, and what else
//! users rely on.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use thicket_compose::Postgres;
use thicket_schema::postgres::migrate;
use thicket_store::postgres::connect_postgres;

use crate::cli::Cli;
use crate::config;

/// Returns the list for the sources in `root`.
pub(super) async fn listing(root: &Path) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let defaults: toml::Table = config::default_text().parse().unwrap();
    add_keys(&mut lines, "", &defaults);
    let mut command = Cli::command();
    command.build();
    for (name, inner) in commands(&command, "") {
        add_command(&mut lines, &name, inner);
    }
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    add_metrics(&mut lines, &read("actors/src/metrics.rs"));
    for file in std::fs::read_dir(root.join("actors/src/metrics")).unwrap() {
        add_metrics(&mut lines, &std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    for file in ["engine/src/http.rs", "engine/src/anomalies/api.rs"] {
        add_routes(&mut lines, file, &read(file));
    }
    add_views(&mut lines).await;
    let version = |name: &str, path: &str, start: &str| {
        let text = read(path);
        let rest = text.split_once(start).unwrap_or_else(|| panic!("{path} has no {start}")).1;
        format!("version {name} = {}", rest.split(';').next().unwrap().trim())
    };
    lines.insert(version("entry", "schema/src/entry/layout.rs", "const VERSION: u8 ="));
    lines.insert(version("checkpoint", "schema/src/checkpoint.rs", "const VERSION: u16 ="));
    lines.insert(version("algorithm", "detector/src/config.rs", "pub const ALGORITHM: u32 ="));
    lines
}

/// Adds every key of the configuration with its default.
fn add_keys(lines: &mut BTreeSet<String>, section: &str, keys: &toml::Table) {
    for (name, value) in keys {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => add_keys(lines, &key, inner),
            value => drop(lines.insert(format!("config {key} = {value}"))),
        }
    }
}

/// Returns the command and everything below it, with the names that users type.
fn commands<'a>(command: &'a Command, above: &str) -> Vec<(String, &'a Command)> {
    let mut all = Vec::new();
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
    {
        let name = format!("{above} {}", inner.get_name()).trim().to_owned();
        all.extend(commands(inner, &name));
        all.push((name, inner));
    }
    all
}

fn add_command(lines: &mut BTreeSet<String>, name: &str, command: &Command) {
    lines.insert(format!("command {name}: "));
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        // Flags that every command takes are listed once, below.
        if argument.is_global_set() || argument.get_id() == "help" || argument.get_id() == "version" {
            continue;
        }
        let shown = argument
            .get_long()
            .map_or_else(|| argument.get_id().as_str().to_uppercase(), |long| format!("--{long}"));
        lines.insert(format!("command {name}: {shown}"));
    }
}

/// Adds every metric with its type and its labels, as they are registered.
fn add_metrics(lines: &mut BTreeSet<String>, source: &str) {
    let source: String = source.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let kinds = [
        "counter",
        "counters",
        "float_counters",
        "gauge",
        "gauges",
        "float_gauge",
        "float_gauges",
        "histogram",
    ];
    for kind in kinds {
        for call in source.split(&format!(".{kind}(")).skip(1) {
            let call = call.split(")?").next().unwrap_or_default();
            let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
            else {
                continue;
            };
            let labels = labels(call, &source);
            let labels: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            let kind = kind.trim_start_matches("float_").trim_end_matches('s');
            lines.insert(format!("metric thicket_{name} {kind} {}", labels.join(" ")).trim_end().to_owned());
        }
    }
}

/// Returns the source of the labels in a call: its last argument, or the value of the variable
/// that is its last argument.
fn labels<'a>(call: &'a str, source: &'a str) -> &'a str {
    if let Some((_, labels)) = call.rsplit_once("&[") {
        return labels;
    }
    let last = call.trim_end().trim_end_matches(',').rsplit(char::is_whitespace).next().unwrap_or_default();
    let value = source.split_once(&format!("let {last} = &["));
    value.and_then(|(_, rest)| rest.split(']').next()).unwrap_or_default()
}

/// Adds every route of the HTTP server.
fn add_routes(lines: &mut BTreeSet<String>, file: &str, source: &str) {
    let below = if file.contains("anomalies") { "/api" } else { "" };
    for call in source.split(".route(\"").skip(1) {
        let (path, rest) = call.split_once('"').unwrap();
        let method = ["get()", "post()", "delete()", "put()"]
            .into_iter()
            .find(|method| rest.split(')').next().is_some_and(|rest| format!("{rest})").contains(method)));
        lines.insert(format!(
            "http {below}{path} {}",
            method.unwrap_or("?").trim_end_matches("()").to_uppercase()
        ));
    }
    for call in source.split("resource(\"").skip(1) {
        let (path, rest) = call.split_once('"').unwrap();
        let methods = rest.lines().next().unwrap_or_default().split('.').skip(1);
        for method in methods.filter_map(|method| method.split_once('(')) {
            lines.insert(format!("http {below}{path} {}", method.0.to_uppercase()));
        }
    }
}

/// Adds every column of every view, from the tables that the migrations create.
async fn add_views(lines: &mut BTreeSet<String>) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_owned();
    let server = tokio::task::spawn_blocking(move || Postgres::start(&directory)).await.unwrap().unwrap();
    migrate(connect_postgres(&server.url()).await.unwrap()).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let query = "SELECT c.table_name::text, c.column_name::text, c.data_type::text FROM information_schema.columns c
                 JOIN information_schema.views v USING (table_schema, table_name) WHERE table_schema = current_schema()";
    for row in client.query(query, &[]).await.unwrap() {
        let [view, column, kind]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
        lines.insert(format!("view {view}.{column} {kind}"));
    }
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
}
