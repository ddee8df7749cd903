//! Replaces Grafana's variables and macros in a query, in the same order as Grafana: first its
//! front end replaces the dashboard's variables, then the back end of the data source replaces its
//! macros.
//!
//! Follows `macros.go` and `sql_engine.go` of Grafana's PostgreSQL data source, `SqlDatasource.ts`
//! of its SQL library, `MultiValueVariable` of its library of scenes, and `query.go` of its
//! Prometheus library. Grafana leaves unknown variables and macros in the query. Here they are
//! errors.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};

/// The settings of a dashboard when its queries run.
#[derive(Clone, Debug)]
pub struct Context {
    /// Start of the time range.
    pub from: DateTime<Utc>,
    /// End of the time range.
    pub to: DateTime<Utc>,
    /// Time between two points of a graph (`$__interval`).
    pub interval: Duration,
    /// Range of a rate (`$__rate_interval`).
    pub rate_interval: Duration,
    /// What a person has typed into the list of a variable (`$__searchFilter`).
    pub search: String,
    /// The dashboard's variables and what is selected in them.
    pub variables: BTreeMap<String, Selection>,
}

/// What is selected in a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The value of a variable that has one value.
    One(String),
    /// The values of a variable that can have several.
    Several(Vec<String>),
    /// All values: the variable's `allValue`, which goes into the query as it is, without quotes.
    All(String),
}

/// The reason why a query cannot be interpolated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The dashboard has no variable of this name.
    #[error("unknown variable {0}")]
    UnknownVariable(String),
    /// The data source has no macro of this name.
    #[error("unknown macro {0}")]
    UnknownMacro(String),
    /// A macro has too few or invalid arguments.
    #[error("macro {0} has bad arguments: {1}")]
    BadArguments(String, String),
    /// A variable has a format that this code does not support.
    #[error("unknown variable format {0}")]
    UnknownFormat(String),
}

/// Replaces variables and macros in an SQL query.
pub fn sql(query: &str, context: &Context) -> Result<String, Error> {
    let interval = format_interval(context.interval);
    let query = query
        .replace("$__interval_ms", &context.interval.as_millis().to_string())
        .replace("$__interval", &interval)
        // Grafana appends the wildcard.
        .replace("$__searchFilter", &format!("{}%", context.search.replace('\'', "''")));
    let query = variables(&query, context, sql_text)?;
    macros(&query, context)
}

/// Replaces variables and built-in intervals in a PromQL query.
pub fn promql(query: &str, context: &Context) -> Result<String, Error> {
    let range = (context.to - context.from).num_seconds();
    let query = query
        .replace("$__rate_interval", &format_interval(context.rate_interval))
        .replace("$__interval", &format_interval(context.interval))
        .replace("$__range", &format!("{range}s"));
    variables(&query, context, promql_text)
}

/// Replaces `$name` and `${name}`. Keeps macros, which the back end replaces. A format, as in
/// `${name:sqlstring}`, is an error: that one puts a backslash before double quotes, which
/// PostgreSQL takes as a part of the value.
fn variables(query: &str, context: &Context, text: fn(&Selection) -> String) -> Result<String, Error> {
    let mut result = String::with_capacity(query.len());
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let (name, after) = if let Some(braced) = after.strip_prefix('{') {
            let (inside, after) =
                braced.split_once('}').ok_or_else(|| Error::UnknownVariable(braced.to_owned()))?;
            if let Some((_, format)) = inside.split_once(':') {
                return Err(Error::UnknownFormat(format.to_owned()));
            }
            (inside, after)
        } else {
            let (name, after) = split_name(after);
            if name.starts_with("__") {
                result.push('$');
                result.push_str(name);
                rest = after;
                continue;
            }
            (name, after)
        };
        let selection = context.variables.get(name).ok_or_else(|| Error::UnknownVariable(name.to_owned()))?;
        result.push_str(&text(selection));
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// As in the SQL data sources: one value is put between quotes by the query, several are literals.
fn sql_text(selection: &Selection) -> String {
    let escaped = |value: &String| value.replace('\'', "''");
    match selection {
        Selection::One(value) => escaped(value),
        Selection::Several(values) => {
            let quoted: Vec<String> = values.iter().map(|value| format!("'{}'", escaped(value))).collect();
            quoted.join(",")
        }
        Selection::All(text) => text.clone(),
    }
}

/// As in the Prometheus data source: one value as it is, several values as alternatives.
fn promql_text(selection: &Selection) -> String {
    match selection {
        Selection::One(text) | Selection::All(text) => text.clone(),
        Selection::Several(values) => match values.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join("|")),
        },
    }
}

/// Replaces `$__macro(arguments)`. As in Grafana, arguments end at the first closing parenthesis.
fn macros(query: &str, context: &Context) -> Result<String, Error> {
    let mut result = String::with_capacity(query.len());
    let mut rest = query;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let (name, after) = split_name(after);
        let call = after.strip_prefix('(').and_then(|inside| inside.split_once(')'));
        let (arguments, after) = call.ok_or_else(|| Error::UnknownMacro(name.to_owned()))?;
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        // A group before a comma is a column of its own and gets a name.
        let name = if name == "__timeGroup" && after.starts_with(',') { "__timeGroupAlias" } else { name };
        result.push_str(&expand(name, &arguments, context)?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn expand(name: &str, arguments: &[&str], context: &Context) -> Result<String, Error> {
    let bad = || Error::BadArguments(name.to_owned(), arguments.join(", "));
    let time = |time: DateTime<Utc>| format!("'{}'", time.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let (from, to) = (time(context.from), time(context.to));
    match (name, arguments) {
        ("__timeFilter", [column]) if !column.is_empty() => Ok(format!("{column} BETWEEN {from} AND {to}")),
        ("__timeFrom", [""]) => Ok(from),
        ("__timeTo", [""]) => Ok(to),
        ("__timeGroup", [column, interval] | [column, interval, _]) => {
            if let Some(fill) = arguments.get(2) {
                let known = matches!(*fill, "NULL" | "previous") || fill.parse::<f64>().is_ok();
                known.then_some(()).ok_or_else(bad)?;
            }
            let seconds = parse_interval(interval.trim_matches('\'')).ok_or_else(bad)?.as_secs_f64();
            Ok(format!("floor(extract(epoch from {column})/{seconds})*{seconds}"))
        }
        ("__timeGroupAlias", _) => Ok(format!("{} AS \"time\"", expand("__timeGroup", arguments, context)?)),
        ("__timeFilter" | "__timeFrom" | "__timeTo" | "__timeGroup", _) => Err(bad()),
        _ => Err(Error::UnknownMacro(name.to_owned())),
    }
}

/// Splits off the name (letters, digits, underscores) at the start.
fn split_name(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    text.split_at(end.unwrap_or(text.len()))
}

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Writes an interval in the largest unit that divides it: `90s`, `5m`.
fn format_interval(interval: Duration) -> String {
    let milliseconds = interval.as_millis() as u64;
    let fits = |(_, unit): &&(&str, u64)| milliseconds.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0]);
    format!("{}{name}", milliseconds / unit)
}

fn parse_interval(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, milliseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Some(Duration::from_millis(number.parse::<u64>().ok()? * milliseconds))
}

#[cfg(test)]
mod tests;
