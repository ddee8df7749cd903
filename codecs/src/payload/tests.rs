use proptest::prelude::*;
use thicket_schema::{FieldSetError, Timestamp};

use super::*;
use crate::timestamp::TimestampError;

const TEN_O_CLOCK: Timestamp = Timestamp(1_795_341_600_000_000);

type Fields = Vec<(String, f64)>;

fn pairs(measurement: &Measurement) -> Fields {
    assert_eq!(measurement.values.len(), measurement.fields.len());
    measurement.fields.names().iter().cloned().zip(measurement.values.iter().copied()).collect()
}

fn fields(expected: &[(&str, f64)]) -> Fields {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// The one measurement of a payload, or the error of the payload.
fn one(payload: &str) -> Result<Measurement, PayloadError> {
    let mut all = PayloadDecoder::default().decode(payload.as_bytes())?;
    assert_eq!(all.len(), 1, "{payload}");
    all.remove(0)
}

fn error(payload: &str) -> PayloadError {
    one(payload).unwrap_err()
}

#[test]
fn an_object_gives_its_time_and_its_fields_sorted_by_name() {
    let payload = r#" {"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,"zcr":0.08,"centroid_hz":812.5} "#;
    let measurement = one(payload).unwrap();
    assert_eq!(measurement.ts, Some(TEN_O_CLOCK));
    assert_eq!(pairs(&measurement), fields(&[("centroid_hz", 812.5), ("laeq_db", 52.31), ("zcr", 0.08)]));
}

#[test]
fn a_bare_number_is_the_field_value() {
    for (payload, value) in [("21.5", 21.5), (" -3\n", -3.0), ("1e3", 1_000.0), ("0", 0.0)] {
        let measurement = one(payload).unwrap();
        assert_eq!(measurement.ts, None);
        assert_eq!(pairs(&measurement), fields(&[("value", value)]), "{payload}");
    }
}

#[test]
fn values_are_the_nearest_floats() {
    for text in [
        "0.1",
        "52.31",
        "1e-400",
        "5e-324",
        "1.7976931348623157e308",
        "-0.0",
        "9007199254740992",
        "-9007199254740992",
        "123456789012345678901234567890.5",
        "1e22",
        "0.30000000000000004",
    ] {
        let expected: f64 = text.parse().unwrap();
        let field = one(&format!(r#"{{"a":{text}}}"#)).unwrap().values[0];
        let bare = one(text).unwrap().values[0];
        assert_eq!([field.to_bits(), bare.to_bits()], [expected.to_bits(); 2], "{text}");
    }
}

#[test]
fn members_that_are_no_numbers_are_left_out() {
    let payload = r#"{"unit":"°C","t":20.5,"note":null,"raw":[1,[2,{"t":3}]],"meta":{"t":9,"x":1e999}}"#;
    assert_eq!(pairs(&one(payload).unwrap()), fields(&[("meta.t", 9.0), ("t", 20.5)]));
    assert_eq!(pairs(&one(r#"{"t":"high","t":1}"#).unwrap()), fields(&[("t", 1.0)]));
}

#[test]
fn escaped_names_and_times_are_read() {
    let payload = r#"{"\u0074s":"2026\u002d11-22T10:00:00Z","\u00b5g\/m\u00b3":1}"#;
    let measurement = one(payload).unwrap();
    assert_eq!(measurement.ts, Some(TEN_O_CLOCK));
    assert_eq!(pairs(&measurement), fields(&[("µg/m³", 1.0)]));
}

#[test]
fn the_time_is_text_or_a_number_under_any_of_the_keys() {
    for key in ["ts", "timestamp", "time"] {
        for time in [
            r#""2026-11-22T11:00:00+01:00""#,
            "1795341600",
            "1795341600.0",
            "1795341600000000000",
            "1.7953416e9",
        ] {
            let measurement = one(&format!(r#"{{"a":1,"{key}": {time} }}"#)).unwrap();
            assert_eq!(measurement.ts, Some(TEN_O_CLOCK), "{key} {time}");
            assert_eq!(measurement.fields.names(), ["a"]);
        }
    }
}

#[test]
fn the_first_timestamp_key_of_the_list_counts_wherever_it_stands() {
    for payload in [
        r#"{"time":1,"timestamp":"x","ts":1795341600,"a":1}"#,
        r#"{"ts":1795341600,"a":1,"timestamp":"x","time":1}"#,
        r#"{"timestamp":1795341600,"a":1,"time":1}"#,
    ] {
        let measurement = one(payload).unwrap();
        assert_eq!((measurement.ts, measurement.fields.names()), (Some(TEN_O_CLOCK), &["a".to_owned()][..]));
    }
}

#[test]
fn other_timestamp_keys_can_be_chosen() {
    let decoder = PayloadDecoder::new(
        PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 },
        vec!["when".to_owned()],
    );
    let measurement = decoder.decode(br#"{"when":1795341600,"ts":5}"#).unwrap().remove(0).unwrap();
    assert_eq!(measurement.ts, Some(TEN_O_CLOCK));
    assert_eq!(pairs(&measurement), fields(&[("ts", 5.0)]));
}

#[test]
fn a_bad_time_is_an_error_and_not_a_missing_one() {
    for time in ["true", "[1]", "{}", r#""on""#, r#""tomorrow""#] {
        let error = error(&format!(r#"{{"ts":{time},"a":1}}"#));
        assert!(matches!(error, PayloadError::BadTimestamp(TimestampError::NotATime(_))), "{time}: {error}");
    }
    let in_2300 = error(r#"{"ts":"2300-01-01T00:00:00Z","a":1}"#);
    assert_eq!(
        in_2300,
        PayloadError::BadTimestamp(TimestampError::OutOfRange("2300-01-01T00:00:00Z".into()))
    );
    let message = "bad timestamp: the time 1e300 is out of range; times from 1970 to 2262 are accepted";
    assert_eq!(error(r#"{"ts":1e300,"a":1}"#).to_string(), message);
}

#[test]
fn each_element_of_an_array_has_its_own_outcome() {
    let payload =
        br#"[{"ts":1795341600,"a":1}, {"a":1e999} ,7,[{"a":1}],{"b":"x"},"x",null,{"a":2,"a":3},{"a":4}]"#;
    let outcomes = PayloadDecoder::default().decode(payload).unwrap();
    let outcomes: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().map(pairs)).collect();
    let not_a_reading = Err(&PayloadError::NotAReading);
    assert_eq!(
        outcomes,
        [
            Ok(fields(&[("a", 1.0)])),
            Err(&PayloadError::NotFinite { field: "a".to_owned() }),
            not_a_reading.clone(),
            not_a_reading.clone(),
            Err(&PayloadError::NoNumericField {
                found: ": b is the text \"x\"; mqtt.words gives a word its value".to_owned()
            }),
            not_a_reading.clone(),
            not_a_reading,
            Err(&PayloadError::DuplicateField { field: "a".to_owned() }),
            Ok(fields(&[("a", 4.0)])),
        ]
    );
}

#[test]
fn what_holds_nothing_is_empty() {
    for payload in ["", " \r\n\t", "[]", " [ ] "] {
        assert_eq!(error(payload), PayloadError::Empty, "{payload:?}");
    }
    for payload in ["{}", r#"{"a":"x"}"#, r#"{"ts":1795341600}"#] {
        assert!(matches!(error(payload), PayloadError::NoNumericField { .. }), "{payload}");
    }
    for payload in ["null", r#""unavailable""#, r#""half""#, r#""Online""#] {
        assert_eq!(error(payload), PayloadError::NotAReading, "{payload}");
    }
}

#[test]
fn a_number_beyond_a_float_names_its_field() {
    for payload in [r#"{"a":1,"huge":1e999}"#, r#"{"huge":-1e999,"a":1}"#] {
        assert_eq!(error(payload), PayloadError::NotFinite { field: "huge".to_owned() }, "{payload}");
    }
    assert_eq!(error("1e999"), PayloadError::NotFinite { field: "value".to_owned() });
    let digits = "9".repeat(400);
    assert_eq!(error(&format!(r#"{{"a":{digits}}}"#)), PayloadError::NotFinite { field: "a".to_owned() });
}

#[test]
fn a_field_or_time_that_occurs_twice_is_refused() {
    for (payload, field) in [
        (r#"{"b":1,"a":2,"b":3}"#, "b"),
        (r#"{"a":1,"\u0061":2}"#, "a"),
        (r#"{"ts":1795341600,"a":1,"ts":1795341601}"#, "ts"),
    ] {
        assert_eq!(error(payload), PayloadError::DuplicateField { field: field.to_owned() }, "{payload}");
    }
}

#[test]
fn malformed_json_is_refused_with_its_place() {
    for payload in [
        "NaN",
        "{",
        "[",
        "[1",
        "{\"a\":1",
        "{\"a\":NaN}",
        "{\"a\":1}x",
        "{\"a\":1,}",
        "1 2",
        "{\"a\":+1}",
        "{a:1}",
        "{'a':1}",
        "[{\"a\":1}",
        "[{\"a\":1},]",
        "nul",
        "\"x",
        "{\"a\":Infinity}",
        "-",
        "no error",
        "Online",
    ] {
        assert!(
            matches!(error(payload), PayloadError::MalformedJson { .. }),
            "{payload}: {:?}",
            one(payload)
        );
    }
    let message = "malformed JSON: expected value at line 2 column 6";
    assert_eq!(error("{\n \"a\":NaN}").to_string(), message);
    let not_utf8 = PayloadDecoder::default().decode(b"{\"a\xff\":1}").unwrap_err();
    assert_eq!(not_utf8, PayloadError::MalformedJson { detail: "not UTF-8 at byte 3".to_owned() });
}

#[test]
fn limits_are_kept_and_named() {
    let limits = PayloadLimits { max_bytes: 40, max_fields: 2, max_readings: 3, max_depth: 8 };
    let decoder = PayloadDecoder::new(limits, vec!["ts".to_owned()]);
    let error = |payload: &str| decoder.decode(payload.as_bytes()).unwrap_err();
    assert!(decoder.decode(format!("{:40}", "1").as_bytes()).is_ok());
    assert_eq!(error(&format!("{:41}", "1")), PayloadError::TooLarge { bytes: 41, limit: 40 });
    assert!(decoder.decode(br#"{"a":1,"b":2,"c":"","ts":1795341600}"#).is_ok());
    assert_eq!(error(r#"{"a":1,"b":2,"c":3}"#), PayloadError::TooManyFields { limit: 2 });
    assert!(decoder.decode(b"[{},2,3]").is_ok());
    assert_eq!(error("[{},2,3,4]"), PayloadError::TooManyReadings { readings: 4, limit: 3 });
}

#[test]
fn a_name_that_cannot_be_stored_is_refused() {
    let bad = |name: &str| match error(&format!(r#"{{"a":1,"{name}":2}}"#)) {
        PayloadError::BadFieldName(error) => error,
        other => panic!("{name}: {other}"),
    };
    assert_eq!(bad(""), FieldSetError::EmptyName);
    assert!(matches!(bad(&"x".repeat(65)), FieldSetError::NameTooLong { bytes: 65, .. }));
    assert!(matches!(bad(r"b\u0000"), FieldSetError::ControlCharacter { character: '\0', .. }));
    assert_eq!(bad(r"b\nc"), FieldSetError::ControlCharacter { character: '\n', name: "b\nc".to_owned() });
}

#[test]
fn a_line_feed_in_a_name_is_not_taken_for_two_known_names() {
    let decoder = PayloadDecoder::default();
    assert!(decoder.decode(br#"{"a":1,"b":2}"#).is_ok());
    assert!(matches!(decoder.decode(br#"{"a\nb":1}"#), Err(PayloadError::BadFieldName(_))));
    assert!(matches!(decoder.decode(br#"{"a\nb":1,"c":1}"#), Err(PayloadError::BadFieldName(_))));
}

#[test]
fn known_forms_share_their_names() {
    let decoder = PayloadDecoder::default();
    let names = |payload: &str| {
        let measurement = decoder.decode(payload.as_bytes()).unwrap().remove(0).unwrap();
        measurement.fields.names().as_ptr()
    };
    let first = names(r#"{"b":1,"ts":1795341600,"a":2}"#);
    assert_eq!(first, names(r#"{"b":7,"unit":"x","a":8}"#));
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<f64>()
            .prop_filter("JSON has finite numbers", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        any::<i64>().prop_map(|number| number.to_string()),
        Just("1e999".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        ".{0,4}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        let key = prop_oneof!["[a-e]", Just("ts".to_owned()), ".{0,3}"];
        let member =
            |(key, value): (&String, &String)| format!("{}:{value}", serde_json::to_string(key).unwrap());
        // Distinct keys: a tree of values forgets the first of two, a decoder must not.
        let object = proptest::collection::btree_map(key, inner.clone(), 0..6).prop_map(move |members| {
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(", "))
        });
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|elements| format!("[{}]", elements.join(","))),
            object,
        ]
    })
}

/// Applies the rules for objects to a tree of values.
fn by_the_rules(object: &serde_json::Map<String, serde_json::Value>) -> Fields {
    let keys = ["ts", "timestamp", "time"];
    let mut fields = Fields::new();
    collect(object, "", 1, &mut fields);
    fields.retain(|(name, _)| !keys.contains(&name.as_str()));
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

fn collect(
    object: &serde_json::Map<String, serde_json::Value>,
    above: &str,
    depth: usize,
    fields: &mut Fields,
) {
    use super::words::Meaning;
    use serde_json::Value;
    let words = words::Words::new(&std::collections::BTreeMap::new());
    for (name, value) in object {
        let path = if depth == 1 { name.clone() } else { format!("{above}.{name}") };
        let is_storable = path.len() <= 64 && !path.is_empty() && !path.chars().any(char::is_control);
        match value {
            Value::Number(number) if is_storable => {
                fields.extend(walk::value_of(&number.to_string()).ok().map(|value| (path, value)));
            }
            Value::Bool(value) if is_storable => fields.push((path, f64::from(u8::from(*value)))),
            Value::String(text) if is_storable => {
                if let Meaning::Number(value) = words.meaning(text) {
                    fields.push((path, value));
                }
            }
            Value::Object(members) if depth < 8 => collect(members, &path, depth + 1, fields),
            Value::Array(elements)
                if elements.len() <= 16 && elements.iter().all(|one| one.is_number() || one.is_null()) =>
            {
                for (index, element) in elements.iter().enumerate().filter(|(_, one)| one.is_number()) {
                    let name = format!("{path}.{index}");
                    let is_storable = name.len() <= 64 && !name.chars().any(char::is_control);
                    let value = walk::value_of(&element.to_string()).ok().filter(|_| is_storable);
                    fields.extend(value.map(|value| (name, value)));
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_what_the_rules_say(text in json_text()) {
        let Ok(outcomes) = PayloadDecoder::default().decode(text.as_bytes()) else { return Ok(()) };
        let Ok(tree) = serde_json::from_str::<serde_json::Value>(&text) else {
            // A number beyond a float is one element's matter here, the whole tree's there.
            return Ok(());
        };
        let elements = match tree {
            serde_json::Value::Array(elements) if elements.iter().any(serde_json::Value::is_object) => elements,
            tree => vec![tree],
        };
        prop_assert_eq!(elements.len(), outcomes.len());
        for (element, outcome) in elements.iter().zip(&outcomes) {
            let Ok(measurement) = outcome else { continue };
            prop_assert!(measurement.values.iter().all(|value| value.is_finite()));
            let expected = element.as_object().map_or_else(
                || {
                    let object = [("value".to_owned(), element.clone())].into_iter().collect();
                    by_the_rules(&object)
                },
                by_the_rules,
            );
            prop_assert_eq!(pairs(measurement), expected);
        }
    }

    #[test]
    fn the_explained_way_gives_the_same_outcome(text in json_text(), odd in r#"[\[\]{}",:0-9eE.+\\u tsaNn-]{0,48}"#) {
        for payload in [text, odd] {
            let decoder = PayloadDecoder::default();
            let plain = decoder.decode(payload.as_bytes());
            prop_assert_eq!(&decoder.decode_explained(payload.as_bytes()).0, &plain, "{}", payload);
            // Now it expects the kind of object that it saw before.
            prop_assert_eq!(&decoder.decode(payload.as_bytes()), &plain, "{}", payload);
        }
    }

    #[test]
    fn honest_objects_are_accepted_with_the_exact_bits(
        members in proptest::collection::btree_map("[a-z_]{1,8}", any::<f64>(), 1..8),
        rotation: usize,
    ) {
        let mut members: Vec<_> = members.into_iter()
            .filter(|(name, value)| value.is_finite() && !matches!(name.as_str(), "ts" | "time"))
            .collect();
        prop_assume!(!members.is_empty());
        let sorted = members.clone();
        let middle = rotation % members.len();
        members.rotate_left(middle);
        let text: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value:?}")).collect();
        let measurement = one(&format!("{{{}}}", text.join(","))).unwrap();
        let bits = |fields: &Fields| fields.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect::<Vec<_>>();
        prop_assert_eq!(bits(&pairs(&measurement)), bits(&sorted));
    }

    #[test]
    fn any_bytes_are_survived(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = PayloadDecoder::default().decode(&payload);
    }

    #[test]
    fn anything_like_json_is_survived(payload in r#"[\[\]{}",:0-9eE.+\\u tsa-]{0,48}"#) {
        let _ = PayloadDecoder::default().decode(payload.as_bytes());
    }
}

#[test]
fn an_object_without_a_value_now_leads_to_the_rule_that_ignores_it() {
    let is_advised = |payload: &str, rules: PayloadRules| {
        let decoder = PayloadDecoder::default().with_rules(rules);
        let error = decoder.decode(payload.as_bytes()).and_then(|mut all| all.remove(0)).unwrap_err();
        error.to_string().ends_with(
            "; a rule of mqtt.ignore with topic and lacks passes over JSON objects without a value",
        )
    };
    for payload in [
        r#"{"value":null}"#,
        r#"{"AM2301":{"Temperature":null,"Humidity":"nan"},"TempUnit":"C"}"#,
        r#"{"ts":null,"a":null,"b":[]}"#,
        r#"{"a":null,"b":null,"c":null,"d":null,"e":null}"#,
    ] {
        assert!(is_advised(payload, PayloadRules::default()), "{payload}");
    }
    let rules = PayloadRules { exclude: vec!["b".to_owned()], ..PayloadRules::default() };
    assert!(is_advised(r#"{"a":null,"b":1}"#, rules));
    let rules = PayloadRules { root: "up".to_owned(), ..PayloadRules::default() };
    assert!(is_advised(r#"{"up":{"a":null}}"#, rules));
    for payload in [r#"{"a":null,"b":"21,5"}"#, r#"{"b":[{"x":1}],"a":null}"#, r#"{"state":"idle"}"#] {
        assert!(!is_advised(payload, PayloadRules::default()), "{payload}");
    }
}
