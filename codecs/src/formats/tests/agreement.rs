//! Binary maps that are read directly give what their JSON gives.

use proptest::prelude::*;

use super::*;
use crate::payload::OnBadTime;

fn arbitrary_payload() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop_oneof![
        Just(PLAIN.as_bytes().to_vec()),
        Just(cbor(r#"[{"-2":"a/","-3":1.7e9,"0":"x","2":1.5},{"0":"y","4":true,"6":-3}]"#)),
        Just(messagepack(r#"[{"ts":1,"x":1.5,"long":[1,2,{"a":null}]},{"x":-70000}]"#)),
        Just(b"m,a=b,c=d x=1.5,y=2i,z=\"t\\\"\",w=t 1795345200000000000\nm x=1".to_vec()),
        Just(br#"[{"bn":"a:","bt":1795345200,"n":"x","v":1},{"n":"y","t":-5,"vb":true,"s":3}]"#.to_vec()),
        Just(gzip(PLAIN.as_bytes())),
        Just(format!("{PLAIN}\n{PLAIN}").into_bytes()),
        Just(b"ts,x,y\n1795345200,1.5,\"2,5\"\n1795345201,21 V,\n".to_vec()),
        Just(zstd(PLAIN.as_bytes())),
    ];
    // A valid payload with its end cut and a byte changed.
    let damaged = (valid, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(mut payload, end, at, byte)| {
            payload.truncate(end.index(payload.len() + 1));
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            payload
        },
    );
    prop_oneof![damaged, prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_payload_makes_a_decoder_panic_or_exceed_its_limits(payload in arbitrary_payload()) {
        let formats =
            [Format::Auto, Format::Json, Format::Senml, Format::Cbor, Format::Messagepack, Format::LineProtocol,
                Format::JsonLines, Format::Csv];
        let csv = CsvRules { columns: ["ts", "x", "y"].map(str::to_owned).into(), separator: b',' };
        let rules = PayloadRules { csv, decimal_comma: true, ..PayloadRules::default() };
        for format in formats {
            for measurement in decoder(format).with_rules(&rules).decode("s", &payload).into_iter().flatten().flatten() {
                prop_assert_eq!(measurement.fields.len(), measurement.values.len());
                prop_assert!(measurement.values.len() <= 8);
                prop_assert!(measurement.values.iter().all(|value| value.is_finite()));
            }
        }
    }
}

fn arbitrary_map() -> impl Strategy<Value = serde_json::Value> {
    let value = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        (0..20_i64).prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        prop_oneof![
            Just("ON"),
            Just("21.5"),
            Just("n/a"),
            Just("é"),
            Just("2026-11-22T10:00:00Z"),
            Just("1795345200")
        ]
        .prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
        Just(serde_json::json!({"x": 1})),
    ];
    let name = prop_oneof![3 => "[a-d]{1,2}", 1 => Just("ts".to_owned()), 1 => Just("time".to_owned())];
    prop::collection::btree_map(name, value, 0..10).prop_map(|members| serde_json::json!(members))
}

#[test]
fn a_nested_map_is_read_without_json_in_between() {
    let decoder = decoder(Format::Auto);
    let json =
        r#"{"time":"2026-11-22T10:00:00Z","s":{"t":21.5,"h":[1,null,-3]},"rx":[{"rssi":-97}],"unit":"C"}"#;
    let expected = ["@1795341600 s.h.0=1 s.h.2=-3 s.t=21.5"];
    for (format, payload) in [(Format::Cbor, cbor(json)), (Format::Messagepack, messagepack(json))] {
        let read = decoder.direct(format, &payload, &None).unwrap();
        assert_eq!((show(&read.outcome), read.format), (expected.map(str::to_owned).into(), Some(format)));
        let report = Some(Vec::new());
        assert!(decoder.direct(format, &payload, &report).is_none(), "a report needs the JSON");
    }
    let without_lengths = b"\xbf\x61s\xbf\x61a\x01\xff\x61b\x9f\x01\xff\xff";
    let read = decoder.direct(Format::Cbor, without_lengths, &None).unwrap();
    assert_eq!(show(&read.outcome), ["@0 b.0=1 s.a=1"]);
}

#[test]
fn maps_of_any_depth_give_the_same_in_every_format() {
    for depth in [1, 7, 8, 9, 14, 15, 16, 17, 29, 30] {
        for (open, close) in [("{\"n\":", "}"), ("[", "]")] {
            let json = format!("{{\"a\":1,\"d\":{}5{}}}", open.repeat(depth), close.repeat(depth));
            assert_eq!(auto(cbor(&json)), auto(&json), "{json}");
            assert_eq!(auto(messagepack(&json)), auto(&json), "{json}");
        }
    }
}

/// Creates maps with members, arrays and texts on several levels.
fn arbitrary_nested() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        4 => (-40..40_i64).prop_map(serde_json::Value::from),
        2 => any::<f64>().prop_map(serde_json::Value::from),
        1 => any::<i64>().prop_map(serde_json::Value::from),
        1 => any::<u64>().prop_map(serde_json::Value::from),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
        1 => Just(serde_json::json!(1_795_345_200_123_u64)),
        4 => prop::sample::select(vec![
            "ON", "21.5", "n/a", "\u{e9}", "\"", "", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00", "1795345200", "1e999",
        ])
        .prop_map(serde_json::Value::from),
    ];
    let name = || prop_oneof![6 => "[a-d]{1,2}", 1 => Just("ts".to_owned()), 1 => Just("time".to_owned()), 1 => "\\PC{0,3}"];
    let value = scalar.prop_recursive(10, 40, 5, move |inner| {
        prop_oneof![
            3 => prop::collection::btree_map(name(), inner.clone(), 0..5).prop_map(|members| serde_json::json!(members)),
            1 => prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from),
            1 => prop::collection::vec(0..9, 0..20).prop_map(serde_json::Value::from),
        ]
    });
    let name = prop_oneof![6 => "[a-d]{1,2}", 1 => Just("ts".to_owned()), 1 => Just("time".to_owned())];
    prop::collection::btree_map(name, value, 0..8).prop_map(|members| serde_json::json!(members))
}

/// Decoders with the default rules, with a root, with patterns and with lenient times.
fn plain_and_other_rules() -> Vec<FormatDecoder> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let rules = [
        PayloadRules::default(),
        PayloadRules { root: "a".to_owned(), ..PayloadRules::default() },
        PayloadRules { root: "a?".to_owned(), labels: texts(&["b", "c.a"]), ..PayloadRules::default() },
        PayloadRules {
            include: texts(&["a*", "*.b"]),
            exclude: texts(&["*c"]),
            on_bad_time: OnBadTime::Arrival,
            time_zone: Some("Europe/Berlin".parse().unwrap()),
            ..PayloadRules::default()
        },
    ];
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 10, max_depth: 5 };
    let keys = texts(&["ts", "a.time", "time"]);
    let decoder = |rules| FormatDecoder::new(Format::Auto, limits.clone(), keys.clone()).with_rules(&rules);
    rules.into_iter().map(decoder).collect()
}

/// Checks that a payload that is read directly gives what its JSON gives.
fn assert_both_ways_agree(payload: &[u8], decoders: &[FormatDecoder]) -> Result<(), TestCaseError> {
    for decoder in decoders {
        if let Some(Read { outcome, .. }) = decoder.direct(Format::Cbor, payload, &None) {
            let long = transcode::cbor(payload)
                .map(|json| decoder.of_cbor(&json, &mut None))
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(long.read.outcome, outcome);
            prop_assert!(long.is_certain);
        }
        if let Some(Read { outcome, .. }) = decoder.direct(Format::Messagepack, payload, &None) {
            let long = transcode::messagepack(payload)
                .map(|json| decoder.of_json(&json, Format::Messagepack, &mut None))
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(long.read.outcome, outcome);
            prop_assert!(long.is_certain);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_map_gives_the_same_in_every_format(value in arbitrary_map()) {
        let json = value.to_string();
        let expected = decoder(Format::Json).decode("s", json.as_bytes());
        for format in [Format::Auto, Format::Cbor] {
            prop_assert_eq!(&decoder(format).decode("s", &cbor(&json)), &expected, "{}", json);
        }
        for format in [Format::Auto, Format::Messagepack] {
            prop_assert_eq!(&decoder(format).decode("s", &messagepack(&json)), &expected, "{}", json);
        }
    }

    #[test]
    fn the_short_way_of_binary_maps_gives_what_the_long_one_gives(payload in arbitrary_payload()) {
        assert_both_ways_agree(&payload, &plain_and_other_rules())?;
    }

    #[test]
    fn the_short_way_of_nested_maps_gives_what_the_long_one_gives(
        value in arbitrary_nested(),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let json = value.to_string();
        let decoders = plain_and_other_rules();
        for mut payload in [cbor(&json), messagepack(&json)] {
            if let Some((at, byte)) = &damage {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            assert_both_ways_agree(&payload, &decoders)?;
        }
        if damage.is_none() {
            for decoder in &decoders {
                let expected = decoder.decode("s", json.as_bytes());
                for payload in [cbor(&json), messagepack(&json)] {
                    prop_assert_eq!(decoder.decode("s", &payload), expected.clone(), "{}", json);
                }
            }
        }
    }
}
