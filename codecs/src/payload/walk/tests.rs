use std::collections::BTreeMap;

use super::super::rules::PayloadRules;
use super::*;
use crate::payload::{Decoded, Measurement, PayloadDecoder};
use thicket_schema::Reason;

fn limits() -> PayloadLimits {
    PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 }
}

fn with(rules: PayloadRules) -> PayloadDecoder {
    PayloadDecoder::new(limits(), vec!["ts".to_owned(), "meta.time".to_owned()]).with_rules(rules)
}

fn only(decoded: Decoded) -> Result<Vec<(String, f64)>, PayloadError> {
    let measurement = decoded?.remove(0)?;
    Ok(measurement.fields.names().iter().cloned().zip(measurement.values).collect())
}

fn read(payload: &str) -> Vec<(String, f64)> {
    only(PayloadDecoder::default().decode(payload.as_bytes()))
        .unwrap_or_else(|error| panic!("{payload}: {error}"))
}

fn error(payload: &[u8]) -> PayloadError {
    only(PayloadDecoder::default().decode(payload)).unwrap_err()
}

fn left_out(decoder: &PayloadDecoder, payload: &str) -> Vec<(String, LeftOutReason)> {
    let left_out = decoder.decode_explained(payload.as_bytes()).1;
    left_out.into_iter().map(|one| (one.path, one.reason)).collect()
}

fn pairs(expected: &[(&str, f64)]) -> Vec<(String, f64)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

fn names(decoder: &PayloadDecoder, payload: &str) -> Vec<String> {
    only(decoder.decode(payload.as_bytes())).unwrap().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn nested_members_are_named_by_their_path() {
    let payload = r#"{"a":1,"b":{"c":2,"d":{"e":3}},"f g":{"h.i":4}}"#;
    assert_eq!(read(payload), pairs(&[("a", 1.0), ("b.c", 2.0), ("b.d.e", 3.0), ("f g.h.i", 4.0)]));
}

#[test]
fn numbers_of_a_short_array_are_fields_by_their_index() {
    assert_eq!(
        read(r#"{"v":[1,2.5,null,-3],"w":[{"x":1}],"y":["1"],"z":[],"b":[true],"m":[[1]]}"#),
        pairs(&[("v.0", 1.0), ("v.1", 2.5), ("v.3", -3.0)])
    );
    let sixteen = format!(r#"{{"v":[0{}]}}"#, ",1".repeat(15));
    assert_eq!(read(&sixteen).len(), 16);
    let seventeen = format!(r#"{{"a":1,"v":[0{}]}}"#, ",1".repeat(16));
    assert_eq!(read(&seventeen), pairs(&[("a", 1.0)]));
    let decoder = PayloadDecoder::default();
    assert_eq!(left_out(&decoder, &seventeen), [("v".to_owned(), LeftOutReason::LongArray(16))]);
}

#[test]
fn members_below_the_deepest_level_are_left_out() {
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert_eq!(read(&nested(8)), pairs(&[("a.a.a.a.a.a.a.a", 1.0)]));
    let PayloadError::NoNumericField { found } = error(nested(9).as_bytes()) else { panic!() };
    assert_eq!(found, ": a.a.a.a.a.a.a.a lies deeper than 8 levels");
    assert_eq!(read(&format!(r#"{{"x":1,"deep":{}}}"#, nested(5_000))), pairs(&[("x", 1.0)]));
}

#[test]
fn booleans_texts_and_words_are_numbers() {
    let payload = r#"{"a":true,"b":false,"c":"21.5","d":" 00052.4 ","e":"ON","f":"closed","g":"UNLOCK","h":"+3",
        "name":"kitchen","version":"1.2.3","u":"\u0031\u0032"}"#;
    assert_eq!(
        read(payload),
        pairs(&[
            ("a", 1.0),
            ("b", 0.0),
            ("c", 21.5),
            ("d", 52.4),
            ("e", 1.0),
            ("f", 0.0),
            ("g", 0.0),
            ("h", 3.0),
            ("u", 12.0)
        ])
    );
}

#[test]
fn words_of_the_configuration_have_their_values() {
    let words = BTreeMap::from([("Running".to_owned(), 1.0), ("open".to_owned(), 100.0)]);
    let decoder = with(PayloadRules { words, ..PayloadRules::default() });
    let payload = br#"{"a":"running","b":"OPEN","c":"closed"}"#;
    assert_eq!(only(decoder.decode(payload)), Ok(pairs(&[("a", 1.0), ("b", 100.0), ("c", 0.0)])));
}

#[test]
fn members_without_a_value_are_missing_and_the_rest_lives() {
    for missing in [
        "null",
        r#""""#,
        r#""unavailable""#,
        r#""Unknown""#,
        r#""NaN""#,
        r#""-inf""#,
        r#""N/A""#,
        "NaN",
        "nan",
        "-nan",
        "Infinity",
        "-Infinity",
        "inf",
        "-inf",
        "None",
        "-1.#IND",
    ] {
        for payload in
            [format!(r#"{{"a":1,"b":{missing},"c":2}}"#), format!(r#"{{"m":{{"x":{missing}}},"a":1,"c":2}}"#)]
        {
            assert_eq!(read(&payload), pairs(&[("a", 1.0), ("c", 2.0)]), "{payload}");
        }
    }
    assert_eq!(read(r#"{"a":True,"b":False,"c":None}"#), pairs(&[("a", 1.0), ("b", 0.0)]));
}

#[test]
fn a_bare_nan_in_one_element_of_an_array_costs_only_that_element() {
    let payload = br#"[{"a":NaN}, {"a":1,"b":[nan,2]} ,{"a":{"b":nan},"c":3}]"#;
    let outcomes = PayloadDecoder::default().decode(payload).unwrap();
    assert!(matches!(outcomes[0], Err(PayloadError::MalformedJson { .. })));
    assert_eq!(outcomes[1].as_ref().unwrap().values, [1.0, 2.0]);
    assert_eq!(outcomes[2].as_ref().unwrap().values, [3.0]);
}

#[test]
fn other_bare_words_are_malformed() {
    for payload in [
        r#"{"a":1,"b":ON}"#,
        r#"{"a":1,"b":high}"#,
        r#"{"a":1,"b":-}"#,
        r#"{"a":1,"b":01}"#,
        r#"{"a":1,"m":{"b":oops}}"#,
        r#"{"a":1,"b":nan"#,
        r#"{"a":1,"b":nan,}"#,
        r#"{"a":1,"b":[nan,]}"#,
        r#"{"a":1,"b":{"c":nan]}}"#,
        r#"{"a":1,"b":nan}x"#,
    ] {
        assert!(matches!(error(payload.as_bytes()), PayloadError::MalformedJson { .. }), "{payload}");
    }
}

#[test]
fn whole_numbers_that_a_float_cannot_hold_are_left_out() {
    assert_eq!(
        read(
            r#"{"a":9007199254740992,"b":9007199254740993,"c":-9007199254740993,"d":18446744073709551616,"e":1e300}"#
        ),
        pairs(&[("a", 9_007_199_254_740_992.0), ("e", 1e300)])
    );
    for payload in [r#"{"id":9007199254740993}"#, "9007199254740993"] {
        assert_eq!(Reason::from(&error(payload.as_bytes())), Reason::NoNumericField, "{payload}");
    }
}

#[test]
fn a_number_beyond_a_float_is_refused_at_the_top_and_left_out_below() {
    assert_eq!(error(br#"{"m":{},"huge":1e999}"#), PayloadError::NotFinite { field: "huge".to_owned() });
    assert_eq!(read(r#"{"m":{"huge":1e999},"a":1}"#), pairs(&[("a", 1.0)]));
    assert_eq!(read(r#"{"huge":"1e999","a":1}"#), pairs(&[("a", 1.0)]));
}

#[test]
fn marks_and_padding_around_a_payload_cost_nothing() {
    for payload in ["\u{feff}{\"a\":1}", "{\"a\":1}\0\0", "\u{feff} \n{\"a\":1}\r\n\0 \0", "{\"a\":1}\u{b}\0"]
    {
        let decoded = only(PayloadDecoder::default().decode(payload.trim_end_matches('\u{b}').as_bytes()));
        assert!(decoded.is_ok() || payload.contains('\u{b}'), "{payload:?}");
    }
    assert_eq!(read("\u{feff}21.5\0"), pairs(&[("value", 21.5)]));
    assert_eq!(error(b"\xef\xbb\xbf\0"), PayloadError::Empty);
}

#[test]
fn a_foreign_byte_in_a_text_costs_nothing_and_in_a_name_the_message() {
    let decoder = PayloadDecoder::default();
    assert_eq!(only(decoder.decode(b"{\"unit\":\"\xb0C\",\"t\":21.5}")), Ok(pairs(&[("t", 21.5)])));
    assert_eq!(only(decoder.decode(b"{\"unit\":\"\\q \x01\",\"t\":21.5}")), Ok(pairs(&[("t", 21.5)])));
    for payload in [&b"{\"t\xb0\":21.5}"[..], b"{\"t\":\xb0}", b"\xff\xfe{\"t\":1}"] {
        assert!(matches!(error(payload), PayloadError::MalformedJson { .. }), "{payload:?}");
    }
}

#[test]
fn a_field_that_occurs_twice_is_refused_at_any_level() {
    for (payload, field) in
        [(r#"{"m":{"a":1,"a":2}}"#, "m.a"), (r#"{"m.a":1,"m":{"a":2}}"#, "m.a"), (r#"{"a":"1","a":2}"#, "a")]
    {
        assert_eq!(
            error(payload.as_bytes()),
            PayloadError::DuplicateField { field: field.to_owned() },
            "{payload}"
        );
    }
    assert_eq!(read(r#"{"a":"x","a":2,"m":{"a":null,"a":3}}"#), pairs(&[("a", 2.0), ("m.a", 3.0)]));
}

#[test]
fn an_optional_root_and_labels_are_found_beside_bare_words_and_wrong_escapes() {
    let (root, labels) = ("values?".to_owned(), vec!["id".to_owned()]);
    let decoder = with(PayloadRules { root, labels, ..PayloadRules::default() });
    let elements = [
        r#"{"ts":1795345200000,"id":"a7","values":{"t":42,"h":NaN}}"#,
        r#"{"id":"a7","msg":"C:\temp\x","n":1,"values":{"t":42}}"#,
    ];
    for payload in elements.map(str::to_owned).into_iter().chain([format!("[{}]", elements.join(","))]) {
        for measurement in decoder.decode(payload.as_bytes()).unwrap() {
            let measurement = measurement.unwrap();
            assert_eq!(measurement.fields.names(), ["t"], "{payload}");
            assert_eq!(measurement.labels, [Some("a7".into())], "{payload}");
        }
    }
}

#[test]
fn a_sensor_whose_name_has_foreign_bytes_is_refused() {
    let reasons = |rules: PayloadRules, payload: &[u8]| {
        let outcomes = with(rules).decode(payload).unwrap().into_iter();
        let reason = |outcome: Result<Measurement, PayloadError>| match outcome {
            Ok(measurement) => format!("{:?} {:?}", measurement.device, measurement.labels),
            Err(error) => error.to_string(),
        };
        outcomes.map(reason).collect::<Vec<_>>()
    };
    let not_utf8 = |byte| format!("malformed JSON: not UTF-8 at byte {byte}");
    let by_device = || PayloadRules { device_keys: true, ..PayloadRules::default() };
    assert_eq!(
        reasons(by_device(), b"{\"K\xfcche\":{\"t\":1},\"K\xf6che\":[{\"t\":2}],\"Bad\":{\"t\":3}}"),
        [not_utf8(3), not_utf8(3), "Some(\"Bad\") []".to_owned()]
    );
    assert_eq!(reasons(by_device(), "{\"a\u{fffd}\":{\"t\":1}}".as_bytes()), ["Some(\"a\u{fffd}\") []"]);
    let named = |root: &str| {
        let (root, labels) = (root.to_owned(), vec!["name".to_owned()]);
        PayloadRules { root, labels, ..PayloadRules::default() }
    };
    let payload = b"[{\"name\":\"K\xfcche\",\"t\":1},{\"name\":\"Bad\",\"note\":\"\xfc\",\"t\":1}]";
    assert_eq!(reasons(named(""), payload), [not_utf8(11), "None [Some(\"Bad\")]".to_owned()]);
    let payload = b"{\"name\":\"K\xfcche\",\"d\":[{\"t\":1},{\"name\":\"Bad\",\"t\":2}]}";
    assert_eq!(reasons(named("d"), payload), [not_utf8(10), "None [Some(\"Bad\")]".to_owned()]);
}

#[test]
fn a_root_chooses_the_object_of_the_fields() {
    let root = "up.payload".to_owned();
    let decoder = with(PayloadRules { root, ..PayloadRules::default() });
    let payload =
        r#"{"n":1,"up":{"port":2,"payload":{"t":21.5,"soil":{"m":3}}},"meta":{"time":1795341600,"x":1}}"#;
    let measurement = decoder.decode(payload.as_bytes()).unwrap().remove(0).unwrap();
    assert_eq!(measurement.ts, Some(Timestamp(1_795_341_600_000_000)));
    assert_eq!(measurement.fields.names(), ["soil.m", "t"]);
    let outside = left_out(&decoder, payload);
    assert_eq!(outside.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["n", "up.port", "meta"]);
    let error = only(decoder.decode(br#"{"other":{"t":1}}"#)).unwrap_err().to_string();
    assert!(error.contains("up.payload is mqtt.root, and the message has no such object"), "{error}");
}

#[test]
fn patterns_choose_the_fields() {
    let payload = r#"{"Wifi":{"RSSI":76},"SI":{"Temp":21.5,"Hum":48},"UptimeSec":9,"v":[1,2]}"#;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let excluding =
        |patterns: &[&str]| with(PayloadRules { exclude: texts(patterns), ..PayloadRules::default() });
    let including =
        |patterns: &[&str]| with(PayloadRules { include: texts(patterns), ..PayloadRules::default() });
    assert_eq!(names(&excluding(&["Wifi", "Uptime*"]), payload), ["SI.Hum", "SI.Temp", "v.0", "v.1"]);
    assert_eq!(names(&excluding(&["*.RSSI", "v.1", "*.Hum"]), payload), ["SI.Temp", "UptimeSec", "v.0"]);
    assert_eq!(names(&including(&["*.Temp"]), payload), ["SI.Temp"]);
    assert_eq!(names(&including(&["SI", "v.1"]), payload), ["SI.Hum", "SI.Temp", "v.1"]);
    let both =
        with(PayloadRules { include: texts(&["SI"]), exclude: texts(&["*.Hum"]), ..PayloadRules::default() });
    assert_eq!(names(&both, payload), ["SI.Temp"]);
    assert_eq!(
        left_out(&both, payload),
        [
            ("Wifi.RSSI".to_owned(), LeftOutReason::NotIncluded),
            ("SI.Hum".to_owned(), LeftOutReason::Excluded),
            ("UptimeSec".to_owned(), LeftOutReason::NotIncluded),
            ("v.0".to_owned(), LeftOutReason::NotIncluded),
            ("v.1".to_owned(), LeftOutReason::NotIncluded),
        ]
    );
    // Excluded members cannot harm.
    assert_eq!(names(&excluding(&["x"]), r#"{"x":1e999,"a":1,"x":2}"#), ["a"]);
    // A time counts wherever it lies.
    let measurement =
        excluding(&["meta"]).decode(br#"{"meta":{"time":1795341600},"a":1}"#).unwrap().remove(0);
    assert_eq!(measurement.unwrap().ts, Some(Timestamp(1_795_341_600_000_000)));
}

#[test]
fn members_beyond_the_limit_are_left_out_and_plain_numbers_refused() {
    let decoder = PayloadDecoder::new(PayloadLimits { max_fields: 3, ..limits() }, Vec::new());
    let payload = r#"{"m":{"a":1,"b":2,"c":3},"x":4,"y":5}"#;
    assert_eq!(names(&decoder, payload), ["m.a", "x", "y"]);
    let reason = LeftOutReason::TooManyFields(3);
    assert_eq!(left_out(&decoder, payload), [("m.b".to_owned(), reason.clone()), ("m.c".to_owned(), reason)]);
    let error = only(decoder.decode(br#"{"w":1,"m":{"a":1},"x":4,"y":5,"z":6}"#)).unwrap_err();
    assert_eq!(error, PayloadError::TooManyFields { limit: 3 });
    assert_eq!(names(&decoder, r#"{"w":1,"s":"on","x":4,"y":5}"#), ["w", "x", "y"]);
}

#[test]
fn a_nested_name_that_cannot_be_stored_is_left_out() {
    let long = "x".repeat(40);
    let payload = format!(r#"{{"a":1,"{long}":{{"{long}":2}},"m":{{"b\nc":3}}}}"#);
    assert_eq!(read(&payload), pairs(&[("a", 1.0)]));
    assert!(matches!(error(br#"{"m":{"x":1},"b\nc":3}"#), PayloadError::BadFieldName(_)));
}

#[test]
fn an_object_without_a_field_says_what_was_found() {
    let payload = br#"{"status":"ok","list":[{"t":1}],"gone":null,"id":9007199254740993,"more":"x","time":"2026-11-22T10:00:00Z"}"#;
    let message = error(payload).to_string();
    assert_eq!(
        message,
        "the object has no numeric member: status is the text \"ok\"; mqtt.words gives a word its value; \
         list is an array of objects; if each is a reading, name it in mqtt.root; gone has no value now; \
         id is a whole number of too many digits for a measurement; and 1 more"
    );
}

#[test]
fn elements_of_an_array_are_named_in_the_report() {
    let report = left_out(&PayloadDecoder::default(), r#"[{"a":1},{"a":2,"b":{"c":null}}]"#);
    assert_eq!(report, [("[1].b.c".to_owned(), LeftOutReason::Missing)]);
}

#[test]
fn bare_values_are_read_like_members() {
    for (payload, value) in
        [("ON", 1.0), ("\"closed\"", 0.0), ("true", 1.0), ("\"21.5\"", 21.5), ("+1", 1.0), ("007", 7.0)]
    {
        assert_eq!(read(payload), pairs(&[("value", value)]), "{payload}");
    }
    for (payload, reason) in [
        ("Online", Reason::MalformedJson),
        ("nan", Reason::MalformedJson),
        ("no error", Reason::MalformedJson),
        ("null", Reason::NotAReading),
        ("\"unavailable\"", Reason::NotAReading),
    ] {
        assert_eq!(Reason::from(&error(payload.as_bytes())), reason, "{payload}");
    }
}
