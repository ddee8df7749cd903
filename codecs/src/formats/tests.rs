use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use thicket_schema::Reason;

use super::*;
use crate::payload::OnBadTime;

const PLAIN: &str = r#"{"ts":1795345200,"a":1.5,"b":2}"#;

fn decoder(format: Format) -> FormatDecoder {
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 10, max_depth: 8 };
    FormatDecoder::new(format, limits, ["ts", "time"].map(str::to_owned).into())
}

/// Shows the measurements as `device@time field=value ...`, or the reason of the error.
fn show(outcome: &Outcome) -> Vec<String> {
    let reason = |error: &PayloadError| Reason::from(error).to_string();
    let measurement = |element: &Result<Measurement, PayloadError>| match element {
        Err(error) => reason(error),
        Ok(measurement) => {
            let time = measurement.ts.map_or(measurement.offset_micros, |ts| ts.0 / 1_000_000);
            let names = measurement.fields.names().iter();
            let fields: Vec<String> =
                names.zip(&measurement.values).map(|(name, value)| format!("{name}={value}")).collect();
            format!("{}@{time} {}", measurement.device.as_deref().unwrap_or(""), fields.join(" "))
        }
    };
    match outcome {
        Err(error) => vec![reason(error)],
        Ok(elements) => elements.iter().map(measurement).collect(),
    }
}

fn auto(payload: impl AsRef<[u8]>) -> Vec<String> {
    show(&decoder(Format::Auto).decode("sensors/a", payload.as_ref()))
}

fn refusal(topic: &str, payload: impl AsRef<[u8]>) -> String {
    let error = decoder(Format::Auto).decode(topic, payload.as_ref()).unwrap_err();
    assert_eq!(Reason::from(&error), Reason::UnknownFormat, "{error}");
    error.to_string()
}

fn gzip(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(payload).unwrap();
    encoder.finish().unwrap()
}

fn zstd(payload: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(payload, ruzstd::encoding::CompressionLevel::Fastest)
}

fn cbor(json: &str) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(&serde_json::from_str::<serde_json::Value>(json).unwrap(), &mut out).unwrap();
    out
}

fn messagepack(json: &str) -> Vec<u8> {
    rmp_serde::to_vec(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap()
}

#[test]
fn json_reads_what_it_always_read() {
    assert_eq!(auto(PLAIN), ["@1795345200 a=1.5 b=2"]);
    assert_eq!(auto("21.5"), ["@0 value=21.5"]);
    assert_eq!(
        auto(r#"[{"ts":1795345201,"x":1},{"ts":1795345202,"x":2}]"#),
        ["@1795345201 x=1", "@1795345202 x=2"]
    );
    assert_eq!(auto(""), ["empty"]);
    assert_eq!(auto("{"), ["malformed_json"]);
    assert_eq!(auto("Online"), ["malformed_json"]);
    assert_eq!(auto(r#"{"a":"x"}"#), ["no_numeric_field"]);
}

#[test]
fn arrays_of_plain_objects_are_no_senml() {
    assert_eq!(auto(r#"[{"t":1,"v":2},{"t":2,"v":3}]"#), ["@0 t=1 v=2", "@0 t=2 v=3"]);
    assert_eq!(auto(r#"[{"n":5,"v":2}]"#), ["@0 n=5 v=2"]);
    assert_eq!(auto(r#"[{"n":"pump","rpm":1200,"v":3}]"#), ["@0 rpm=1200 v=3"]);
    assert_eq!(auto(r#"[{"n":"pump","t":20}]"#), ["@0 t=20"]);
    assert_eq!(auto(r#"[{"ts":1795345207,"n":"x","v":2}]"#), ["@1795345207 v=2"]);
}

#[test]
fn senml_that_is_not_clean_json_is_senml_or_refused_as_such() {
    let pack = br#"[{"bn":"urn:x:","n":"temp","v":21.5},{"n":"hum","v":40,"u":"%"}]"#;
    let expected = auto(pack);
    assert_eq!(expected, ["@0 hum=40 temp=21.5"]);
    let by_name = |payload: &[u8]| show(&decoder(Format::Senml).decode("s", payload));
    let with_unit = |unit: &[u8]| [&pack[..pack.len() - 4], unit, b"\"}]"].concat();
    for payload in
        [[b"\xef\xbb\xbf", &pack[..]].concat(), [&pack[..], b"\n\0\0"].concat(), with_unit(b"\xb0C")]
    {
        assert_eq!(auto(&payload), expected);
        assert_eq!(by_name(&payload), expected);
    }
    let bare = r#"[{"bn":"x/","n":"a","v":1},{"n":"b","v":NaN},{"n":"c","v":5,"u":"\°C"},{"n":"d","v":x}]"#;
    assert_eq!(auto(bare), ["@0 a=1 c=5", "malformed_payload"]);
    assert_eq!(by_name(bare.as_bytes()), auto(bare));
    // These two names would become one.
    for payload in
        [&b"[{\"n\":\"K\xfcche\",\"v\":1},{\"n\":\"K\xf6che\",\"v\":2}]"[..], b"[{\"bn\":\"\xff\",\"v\":1}]"]
    {
        assert_eq!(auto(payload), ["malformed_payload"]);
        assert_eq!(by_name(payload), ["malformed_payload"]);
        assert_eq!(Format::Auto.with_arrival_time(payload, Timestamp(0)), None);
    }
    assert_eq!(auto(r#"[{"n":"pump","rpm":1200,"v":NaN}]"#), ["@0 rpm=1200"], "this is plain JSON");
    assert_eq!(auto(r#"[{"n":"a","v":1},{"n":"b""#), ["malformed_json"], "this is cut");
    assert_eq!(by_name(br#"[{"n":"a","v":1},{"n":"b""#), ["malformed_payload"]);
    // What follows a record is not lost, and a time or a name that is no value is not absent.
    for payload in [
        "{\"n\":\"t\",\"v\":1}\n{\"n\":\"h\",\"v\":2}",
        r#"[{"n":"a","v":1,"t":NaN}]"#,
        r#"[{"bn":"x","v":1},{"n":NaN,"v":2}]"#,
    ] {
        let found = by_name(payload.as_bytes());
        assert!(found.iter().any(|one| one == "malformed_payload"), "{payload}: {found:?}");
        assert!(!found.iter().any(|one| one.contains("=2")), "{payload}: {found:?}");
    }
}

#[test]
fn senml_that_is_not_clean_json_keeps_its_arrival() {
    let payload = b"\xef\xbb\xbf[{\"n\":\"a\",\"v\":1,\"u\":\"\xb0C\"},{\"n\":\"b\",\"v\":nan}]\0";
    let timed = Format::Auto.with_arrival_time(payload, Timestamp(1_795_345_200_250_000)).unwrap();
    assert_eq!(auto(timed), ["@1795345200 a=1"]);
}

#[test]
fn cbor_and_messagepack_follow_the_rules_for_json() {
    for json in [PLAIN, r#"[{"ts":1,"x":1},{"ts":2,"x":2}]"#, r#"[{"x":1},5]"#, r#"{"a":{"b":1},"c":2}"#] {
        assert_eq!(auto(cbor(json)), auto(json), "{json}");
        assert_eq!(auto(messagepack(json)), auto(json), "{json}");
        assert_eq!(show(&decoder(Format::Cbor).decode("", &cbor(json))), auto(json), "{json}");
        assert_eq!(show(&decoder(Format::Messagepack).decode("", &messagepack(json))), auto(json), "{json}");
    }
    assert_eq!(show(&decoder(Format::Cbor).decode("", &cbor("21.5"))), ["@0 value=21.5"]);
    assert_eq!(show(&decoder(Format::Messagepack).decode("", &messagepack("21"))), ["@0 value=21"]);
}

#[test]
fn integers_as_keys_need_the_format_by_name() {
    let frame = [0x81, 0x01, 0x05];
    assert!(refusal("s", frame).contains("mqtt.format"));
    assert_eq!(show(&decoder(Format::Messagepack).decode("s", &frame)), ["@0 1=5"]);
    let senml = [0x81, 0xa3, 0x21, 0x62, b'a', b':', 0x00, 0x61, b'x', 0x02, 0x05];
    assert_eq!(auto(senml), ["@0 x=5"]);
}

#[test]
fn a_compressed_payload_is_read_as_what_it_holds() {
    let line = "m,a=b x=1i 1795345200";
    let packs = [PLAIN.as_bytes().to_vec(), cbor(PLAIN), messagepack(PLAIN), line.as_bytes().to_vec()];
    for payload in packs {
        assert_eq!(auto(gzip(&payload)), auto(&payload));
        assert_eq!(auto(zstd(&payload)), auto(&payload));
        assert_ne!(auto(&payload), ["malformed_json"]);
    }
    assert!(refusal("s", gzip(&gzip(b"{}"))).contains("compressed twice"));
    let cut = &gzip(PLAIN.as_bytes())[..20];
    assert_eq!(auto(cut), ["malformed_payload"]);
    assert_eq!(auto(&zstd(PLAIN.as_bytes())[..8]), ["malformed_payload"]);
}

#[test]
fn all_frames_of_zstd_are_read_and_their_limit_is_one() {
    let skippable = b"\x5f\x2a\x4d\x18\x03\x00\x00\x00abc";
    let frames = [&zstd(b"{\"a\":1}\n")[..], skippable, &zstd(b""), &zstd(b"{\"a\":2}"), skippable].concat();
    assert_eq!(auto(&frames), ["@0 a=1", "@0 a=2"]);
    let error = |rest: &[u8]| {
        let payload = [&zstd(b"{\"a\":1}"), rest].concat();
        decoder(Format::Auto).decode("s", &payload).unwrap_err().to_string()
    };
    assert_eq!(error(b"\n"), "malformed zstd: another frame or the end of the payload must follow a frame");
    assert_eq!(error(&skippable[..10]), "malformed zstd: a skippable frame is truncated");
    assert_eq!(error(&skippable[..6]), "malformed zstd: a skippable frame is truncated");
    assert!(error(&zstd(b"{\"a\":2}")[..8]).starts_with("malformed zstd"));
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0, 0, 0];
    assert_eq!(error(&window), "malformed zstd: the frame needs a window of more than 8 MiB");
    let half = zstd(&[b' '; 2_100]);
    assert_eq!(auto([&half[..], &half].concat()), ["payload_too_large"]);
}

#[test]
fn a_bomb_expands_to_no_more_than_the_limit() {
    let bomb = vec![b' '; 1_000_000];
    assert_eq!(auto(gzip(&bomb)), ["payload_too_large"]);
    assert_eq!(auto([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0, 0, 0]), ["malformed_payload"]);
    let error = decoder(Format::Auto).decode("s", &gzip(&bomb)).unwrap_err();
    assert!(error.to_string().contains("expands to more than 4096 bytes"), "{error}");
}

#[test]
fn lines_name_their_series_as_device() {
    let lines = "# a comment\n\
        weather,site=north,room=2 temp=21.5,open=true,note=\"hot, humid\",count=3i,total=4u 1795345200000000000\n\
        weather,room=2,site=north hum=40 1795345200000000000\n\n\
        mem used=1 1795345201\n\
        mem free=2";
    assert_eq!(
        auto(lines),
        [
            "weather,room=2,site=north@1795345200 count=3 hum=40 open=1 temp=21.5 total=4",
            "mem@1795345201 used=1",
            "mem@0 free=2"
        ]
    );
    assert_eq!(auto("cpu,host=a load=1\ncpu,host=b load=2"), ["cpu,host=a@0 load=1", "cpu,host=b@0 load=2"]);
    assert_eq!(auto("m x=1 1795345200000\nno line here"), ["m@1795345200 x=1", "malformed_payload"]);
    assert_eq!(auto("m x=\"only text\""), ["no_numeric_field"]);
    assert_eq!(auto("m x=1 -5"), ["bad_timestamp"]);
    assert_eq!(auto("my\\ m,a\\ b=c\\,d x=1"), ["my m,a b=c,d@0 x=1"]);
    let many: Vec<String> = (0..11).map(|n| format!("m,n={n} x=1")).collect();
    assert_eq!(auto(many.join("\n")), ["too_many_readings"]);
    let wide: Vec<String> = (0..9).map(|n| format!("f{n}=1")).collect();
    assert_eq!(auto(format!("m {}", wide.join(","))), ["too_many_fields"]);
}

#[test]
fn lines_may_end_with_carriage_returns_and_nuls_and_begin_with_a_mark() {
    let lines = "\u{feff}weather,site=n temp=21.5\r\n\r\n# note\r\nweather,site=s temp=1 1795345200\r\n\0";
    let expected = ["weather,site=s@1795345200 temp=1", "weather,site=n@0 temp=21.5"];
    assert_eq!(auto(lines), expected);
    assert_eq!(show(&decoder(Format::LineProtocol).decode("s", lines.as_bytes())), expected);
    assert_eq!(auto("m x=1\r\nno line here\r\nm x=2"), ["m@0 x=1", "m@0 x=2", "malformed_payload"]);
    let timed = Format::Auto.with_arrival_time(lines.as_bytes(), Timestamp(1_795_345_201_000_000)).unwrap();
    assert_eq!(auto(timed), ["weather,site=s@1795345200 temp=1", "weather,site=n@1795345201 temp=21.5"]);
    assert_eq!(auto("m s=\"a\r\nb\",x=1"), ["m@0 x=1"], "a line feed within a string");
    assert_eq!(show(&decoder(Format::LineProtocol).decode("s", b"\xef\xbb\xbf\r\n\0")), ["empty"]);
}

#[test]
fn different_series_are_different_devices() {
    let lines = [
        ("m,a=1,b=2", "m,a=1,b=2"),
        (r"m,a=1\,b\=2", r"m,a=1\,b=2"),
        (r"m\,a=1,b=2", r"m\,a=1,b=2"),
        (r"m,a\=1\,b=2", r"m,a\=1\,b=2"),
        (r"m,a=1\\\,b\=2", r"m,a=1\\,b=2"),
        (r"m,a\\\=1=2", r"m,a\\=1=2"),
        // Without `=`, a comma cannot be taken for the beginning of a tag.
        (r"m\ n,a=1\,\ b,c=x\=y", "m n,a=1, b,c=x=y"),
    ];
    let mut devices = std::collections::HashSet::new();
    for (series, device) in lines {
        let line = format!("{series} v=1");
        let shown = show(&decoder(Format::LineProtocol).decode("s", line.as_bytes()));
        assert_eq!(shown, [format!("{device}@0 v=1")], "{series}");
        assert!(devices.insert(device));
    }
}

#[test]
fn whole_numbers_that_a_float_would_round_are_left_out_in_every_format() {
    let lines = "m a=9007199254740992i,b=9007199254740993i,c=-9007199254740993i,d=9007199254740993u,e=9007199254740994,x=1";
    assert_eq!(auto(lines), ["m@0 a=9007199254740992 e=9007199254740994 x=1"]);
    assert_eq!(auto("m b=9007199254740993i"), ["no_numeric_field"]);
    let pack = r#"[{"n":"a","v":9007199254740992},{"n":"b","v":9007199254740993},{"n":"c","v":-9007199254740993},
        {"n":"d","v":"9007199254740993"},{"n":"e","v":9007199254740994.0},{"n":"f","s":9007199254740993},
        {"n":"x","v":1}]"#;
    assert_eq!(auto(pack), ["@0 a=9007199254740992 e=9007199254740994 x=1"]);
    assert_eq!(auto(r#"[{"n":"b","v":9007199254740993}]"#), ["no_numeric_field"]);
    assert_eq!(auto(r#"[{"n":"b","bv":9007199254740993,"v":1}]"#), ["malformed_payload"]);
    assert_eq!(auto(r#"[{"n":"b","t":1795345200000000000,"v":1}]"#), ["@1795345200 b=1"], "a time");
}

#[test]
fn a_format_by_name_reads_nothing_else() {
    let by_name = |format, payload: &[u8]| show(&decoder(format).decode("s", payload));
    assert_eq!(by_name(Format::Json, b"m x=1"), ["malformed_json"]);
    assert_eq!(by_name(Format::Json, br#"[{"n":"a","v":1}]"#), ["@0 v=1"]);
    assert_eq!(by_name(Format::LineProtocol, PLAIN.as_bytes()), ["malformed_payload"]);
    assert_eq!(by_name(Format::LineProtocol, b" "), ["empty"]);
    assert_eq!(by_name(Format::Cbor, PLAIN.as_bytes()), ["malformed_payload"]);
    assert_eq!(by_name(Format::Cbor, b"PAR1...."), ["unknown_format"]);
    assert_eq!(by_name(Format::Senml, br#"{"n":"a","v":1}"#), ["@0 a=1"]);
    assert_eq!(by_name(Format::Senml, b"21.5"), ["malformed_payload"]);
    assert_eq!(by_name(Format::Senml, b""), ["empty"]);
}

#[test]
fn formats_that_are_not_read_are_refused_by_name() {
    let sparkplug: &[u8] = b"\x08\xfc\xdc\xe5\x9e\xa1\x34\x12\x14\x10\x01\x18\xfc\xdc\xe5\x9e\xa1\x34\x20\x0a\x69\x33\x33\x33\x33\x33\xb3\x35\x40\x18\x01";
    let by_topic = refusal("spBv1.0/plant/DDATA/edge-1/press-1", sparkplug);
    assert!(by_topic.contains("Sparkplug B (topic spBv1.0/plant/DDATA/edge-1/press-1)"), "{by_topic}");
    let cases: [(&[u8], &str); 13] = [
        (sparkplug, "Sparkplug B"),
        (b"Obj\x01\x04\x14avro.codec\x08null", "Avro"),
        (b"\x00\x00\x00\x00\x2a\x06foo\xff", "schema registry (schema id 42)"),
        (b"\x0a\x05hello\x10\x96\x01\x1d\x00\x00\xac\x41", "Protobuf"),
        (b"<?xml version=\"1.0\"?><a>1</a>", "XML"),
        (b"<reading><temp>1</temp></reading>", "XML"),
        (b"\x13\x00\x00\x00\x01temp\x00\x00\x00\x00\x00\x00\x80\x35\x40\x00", "BSON"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"\x89PNG\r\n\x1a\n\x00", "PNG"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG"),
        (b"\xac\xed\x00\x05sr", "Java"),
        (b"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "UTF-16"),
        (b"\xff\xfe{\x00\"\x00a\x00\"\x00:\x001\x00}\x00", "UTF-16"),
    ];
    for (payload, name) in cases {
        let said = refusal("sensors/a", payload);
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(refusal("sensors/a", "21.5;40;7").contains("CSV"));
    assert!(refusal("sensors/a", "temp=21.5&hum=40").contains("web form"));
    assert!(refusal("sensors/a", &cbor(PLAIN)[..12]).contains("CBOR or MessagePack"));
}

#[test]
fn a_message_that_is_published_again_keeps_its_arrival() {
    let arrival = Timestamp(1_795_345_200_250_000);
    let timed = |payload: &str| {
        let timed = Format::Auto.with_arrival_time(payload.as_bytes(), arrival)?;
        Some(show(&decoder(Format::Auto).decode("s", &timed)))
    };
    assert_eq!(timed("m x=1\nm x=2 1795345201").unwrap(), ["m@1795345200 x=1", "m@1795345201 x=2"]);
    assert_eq!(timed(r#"[{"n":"a","v":1},{"n":"b","v":2}]"#).unwrap(), ["@1795345200 a=1 b=2"]);
    assert_eq!(timed(r#"[{"n":"a","t":-2,"v":1}]"#).unwrap(), ["@-2000000 a=1"]);
    assert_eq!(timed(PLAIN), None);
    assert_eq!(timed("21.5"), None);
    assert_eq!(Format::Json.with_arrival_time(br#"[{"n":"a","v":1}]"#, arrival), None);
}

#[test]
fn a_log_line_is_no_line_protocol() {
    assert_eq!(auto("level=info count=3"), ["malformed_json"]);
}

#[test]
fn json_lines_are_recognised_and_each_line_stands_alone() {
    let lines =
        "{\"ts\":1795345200,\"a\":1}\r\n\n\x1e{\"ts\":1795345201,\"a\":2}\n[{\"a\":3},{\"a\":4}]\n{oops\n";
    let expected = ["@1795345200 a=1", "@1795345201 a=2", "@0 a=3", "@0 a=4", "malformed_json"];
    assert_eq!(auto(lines), expected);
    assert_eq!(show(&decoder(Format::JsonLines).decode("s", lines.as_bytes())), expected);
    assert_eq!(auto(gzip(lines.as_bytes())), expected);
    assert_eq!(show(&decoder(Format::JsonLines).decode("s", b"21.5\n22")), ["@0 value=21.5", "@0 value=22"]);
    assert_eq!(show(&decoder(Format::JsonLines).decode("s", b" \n\n")), ["empty"]);
    assert_eq!(auto("{\"a\":1}\n".repeat(11)), ["too_many_readings"]);
    assert_eq!(auto("{\"a\":1}\0\n{\"a\":2}\n\0"), ["@0 a=1", "@0 a=2"], "NULs cost nothing");
    // An object that is spread over lines is one value.
    assert_eq!(auto("{\n\"a\":1\n}"), ["@0 a=1"]);
    assert_eq!(auto("{oops\n{\"a\":1}"), ["malformed_json"]);
}

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
