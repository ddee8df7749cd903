//! Finds the member that tells the objects of an array apart, such as the tag of each value.
//! Without it in the sensor's name, objects with the same fields are readings of one series.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::compiled::Compiled;
use super::error::PayloadError;
use super::labels;
use super::left_out::{LeftOut, LeftOutReason};
use super::lists;
use super::types::Measurement;
use crate::timestamp::{TimestampError, parse_lenient};

/// Names of members that name a device, or what it measures, in lower case, without `_` and `-`, the
/// best first.
pub const DEVICE_NAMES: [&str; 37] = [
    "deveui",
    "eui",
    "deviceid",
    "device",
    "devicename",
    "imei",
    "mac",
    "serial",
    "serialnumber",
    "sn",
    "uniqueid",
    "uid",
    "sensorid",
    "sensor",
    "nodeid",
    "node",
    "tagid",
    "tag",
    "tagname",
    "signalid",
    "signal",
    "signalname",
    "pointid",
    "point",
    "pointname",
    "idx",
    "id",
    "address",
    "addr",
    "from",
    "endpoint",
    "ep",
    "name",
    "displayname",
    "metric",
    "variable",
    "parameter",
];

const MAX_DEPTH: usize = 4;
/// Maximum number of objects of an array that are looked at.
const MAX_OBJECTS: usize = 100;

/// Returns the place of a path's last name in a list of names, the best first; `None` if it is not
/// one of them. Names are compared in lower case, without `_` and `-`.
pub fn rank(path: &str, names: &[&str]) -> Option<usize> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let name = name.chars().filter(|letter| !matches!(letter, '_' | '-')).collect::<String>().to_lowercase();
    names.iter().position(|known| *known == name)
}

/// Returns the member that tells those elements of an array apart that are readings of one series:
/// they have the same sensor and the same fields. The array is the message, or lies at its root.
pub(super) fn of_message(
    text: &str,
    compiled: &Compiled,
    outcomes: &[Result<Measurement, PayloadError>],
) -> Option<String> {
    let elements = if text.starts_with('[') {
        lists::array(text, |word| compiled.knows_bare(word)).ok()?
    } else {
        lists::array_at(text, &compiled.rules.root, compiled)?
    };
    let mut series: HashMap<_, Vec<(&str, &Measurement)>> = HashMap::new();
    for (element, outcome) in elements.into_iter().zip(outcomes) {
        if let Ok(measurement) = outcome {
            let key = (&measurement.device, &measurement.labels, measurement.fields.names());
            series.entry(key).or_default().push((element, measurement));
        }
    }
    let largest = series.into_values().max_by_key(Vec::len)?;
    let (_, first) = largest.first()?;
    // Values of one time under one name are surely several quantities.
    let have_one_time = largest.iter().all(|(_, measurement)| measurement.ts == first.ts);
    let objects: Vec<&str> = largest.iter().map(|(element, _)| *element).collect();
    member(&objects, have_one_time)
}

/// Adds the members that tell their objects apart to the reports of arrays.
pub(super) fn name_members(text: &str, left_out: &mut [LeftOut]) {
    for report in left_out {
        if let LeftOutReason::ArrayOfObjects(telling) = &mut report.reason {
            let array = labels::find(text, &report.path);
            let objects = array.and_then(|array| lists::array(array, |_| true).ok()).unwrap_or_default();
            *telling = member(&objects, false);
        }
    }
}

/// Returns the member that all objects have and that has several values. Of several, one with a name
/// of the [`DEVICE_NAMES`], and then the one with the most values. `takes_any_text`: another text
/// that differs in each object counts too.
fn member(objects: &[&str], takes_any_text: bool) -> Option<String> {
    let objects = objects.iter().take(MAX_OBJECTS);
    let objects: Vec<BTreeMap<String, Value>> =
        objects.map(|object| scalars(object)).collect::<Option<_>>()?;
    let candidate = |path: &String| {
        let values: BTreeSet<String> =
            objects.iter().map(|object| text_of(object.get(path)?)).collect::<Option<_>>()?;
        let rank = rank(path, &DEVICE_NAMES);
        let is_text = || objects.iter().all(|object| object.get(path).is_some_and(is_plain_text));
        let tells = match rank {
            Some(_) => values.len() > 1,
            None => takes_any_text && objects.len() > 1 && values.len() == objects.len() && is_text(),
        };
        // Braces cannot stand in a template of the sensor's name.
        let is_path = !path.contains(['{', '}']) && !path.ends_with('?');
        (tells && is_path).then(|| ((rank.is_none(), Reverse(values.len()), rank), path.clone()))
    };
    let best = objects.first()?.keys().filter_map(candidate).min();
    best.map(|(_, path)| path)
}

/// Returns the members of an object that are no objects and arrays, by path.
fn scalars(object: &str) -> Option<BTreeMap<String, Value>> {
    let object: Value = serde_json::from_str(object).ok().filter(Value::is_object)?;
    let mut found = BTreeMap::new();
    flatten(String::new(), object, 0, &mut found);
    Some(found)
}

fn flatten(path: String, value: Value, depth: usize, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(object) if depth < MAX_DEPTH => {
            for (name, value) in object {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(path, value, depth + 1, found);
            }
        }
        Value::Object(_) | Value::Array(_) => {}
        scalar => _ = found.insert(path, scalar),
    }
}

/// Returns a text or a whole number as text.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

/// Whether a value is a text that is neither a number nor a time.
fn is_plain_text(value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    matches!(parse_lenient(text, None), Err(TimestampError::NotATime(_)))
        && text.trim().parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use crate::payload::{PayloadDecoder, PayloadRules};

    fn apart(root: &str, payload: &str) -> Option<String> {
        let rules = PayloadRules { root: root.to_owned(), ..PayloadRules::default() };
        let decoder = PayloadDecoder::default().with_rules(rules);
        decoder.tells_apart(payload.as_bytes(), &decoder.decode(payload.as_bytes()))
    }

    #[test]
    fn the_member_that_tells_elements_of_one_series_apart_is_found() {
        let opc = r#"[{"NodeId":"ns=2;s=Temp","Value":{"Value":21.5}},{"NodeId":"ns=2;s=Pressure","Value":{"Value":900.1}}]"#;
        assert_eq!(apart("", opc).as_deref(), Some("NodeId"));
        let kepware = r#"{"timestamp":1795881618000,"values":[{"id":"Ch1.Dev1.Tag1","v":42,"q":true,"t":1795881617999},{"id":"Ch1.Dev1.Tag2","v":7.5,"q":true,"t":1795881617998}]}"#;
        assert_eq!(apart("values", kepware).as_deref(), Some("id"));
        let other = r#"[{"ts":1795881618,"unit":"C","what":"temp","x":1},{"ts":1795881618,"unit":"bar","what":"temp","x":2}]"#;
        assert_eq!(apart("", other).as_deref(), Some("unit"), "any text, as the times are the same");
    }

    #[test]
    fn a_batch_of_one_series_has_no_such_member() {
        for batch in [
            r#"[{"ts":1795881618,"name":"a","x":1},{"ts":1795881619,"name":"a","x":2}]"#,
            r#"[{"ts":1795881618,"state":"ok","x":1},{"ts":1795881619,"state":"hot","x":2}]"#,
            r#"[{"at":"2026-11-28 16:00:18","x":1},{"at":"2026-11-28 16:00:19","x":2}]"#,
            r#"[{"name":"a","x":1},{"name":"b","y":2}]"#,
            r#"[{"name":"a","x":1}]"#,
        ] {
            assert_eq!(apart("", batch), None, "{batch}");
        }
        let rules = PayloadRules { labels: vec!["name".to_owned()], ..PayloadRules::default() };
        let decoder = PayloadDecoder::default().with_rules(rules);
        let payload = br#"[{"name":"a","x":1},{"name":"b","x":2}]"#;
        assert_eq!(decoder.tells_apart(payload, &decoder.decode(payload)), None, "the sensors differ");
    }

    #[test]
    fn the_advice_for_an_array_names_the_member() {
        let payload = r#"{"values":[{"id":"a","v":42},{"id":"b","v":7.5}]}"#;
        let error = PayloadDecoder::default().decode(payload.as_bytes()).unwrap_err().to_string();
        assert!(
            error.ends_with("name it in mqtt.root, and add {id}, which tells them apart, to mqtt.sensor"),
            "{error}"
        );
    }
}
