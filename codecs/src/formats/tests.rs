use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use thicket_schema::Reason;

use super::*;
use crate::payload::PayloadRules;

mod agreement;

const PLAIN: &str = r#"{"ts":1795345200,"a":1.5,"b":2}"#;

const FLOOR: Timestamp = PayloadRules::DEFAULT_TIME_FLOOR;

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
        assert_eq!(Format::Auto.with_arrival_time(payload, Timestamp(0), FLOOR), None);
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
    let timed = Format::Auto.with_arrival_time(payload, Timestamp(1_795_345_200_250_000), FLOOR).unwrap();
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
fn a_binary_array_of_numbers_needs_the_format_by_name() {
    for (format, payload) in [(Format::Messagepack, messagepack("[1,2,3]")), (Format::Cbor, cbor("[1,2,3]"))]
    {
        assert!(refusal("s", &payload).contains("mqtt.format"));
        assert_eq!(show(&decoder(format).decode("s", &payload)), ["@0 value.0=1 value.1=2 value.2=3"]);
    }
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
    let timed =
        Format::Auto.with_arrival_time(lines.as_bytes(), Timestamp(1_795_345_201_000_000), FLOOR).unwrap();
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
        (r"m,a=1\\\,b\=2", r"m,a=1\\\,b=2"),
        (r"m,a\\\=1=2", r"m,a\\\=1=2"),
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
        let timed = Format::Auto.with_arrival_time(payload.as_bytes(), arrival, FLOOR)?;
        Some(show(&decoder(Format::Auto).decode("s", &timed)))
    };
    assert_eq!(timed("m x=1\nm x=2 1795345201").unwrap(), ["m@1795345200 x=1", "m@1795345201 x=2"]);
    assert_eq!(timed(r#"[{"n":"a","v":1},{"n":"b","v":2}]"#).unwrap(), ["@1795345200 a=1 b=2"]);
    assert_eq!(timed("m x=1 1262304000\nm x=2 0").unwrap(), ["m@1795345200 x=1", "m@1795345200 x=2"]);
    assert_eq!(
        timed(r#"[{"n":"a","bt":1262304000,"v":1},{"n":"b","v":2}]"#).unwrap(),
        ["@1795345200 a=1 b=2"]
    );
    assert_eq!(timed(r#"[{"n":"a","t":-2,"v":1}]"#).unwrap(), ["@-2000000 a=1"]);
    assert_eq!(timed(PLAIN), None);
    assert_eq!(timed("21.5"), None);
    assert_eq!(Format::Json.with_arrival_time(br#"[{"n":"a","v":1}]"#, arrival, FLOOR), None);
}

#[test]
fn a_log_line_is_no_line_protocol() {
    assert_eq!(auto("level=info count=3"), ["malformed_json"]);
    assert_eq!(auto("level=info count=3\nlevel=warn count=4"), ["malformed_json"]);
}

#[test]
fn any_line_tells_line_protocol() {
    let lines = "weather temp=NaN 1795345200\nweather temp=21.5 1795345201";
    assert_eq!(auto(lines), ["weather@1795345201 temp=21.5", "malformed_payload"]);
}

#[test]
fn a_time_before_the_clock_was_set_is_no_time_in_any_format() {
    let lines = "m a=1 1262304000\nm b=2 0\nm c=3 -5\nm d=4 1262304000000000000";
    assert_eq!(auto(lines), ["m@0 a=1 b=2 c=3 d=4"]);
    for time in ["1262304000", "1262304000000", "-1262304000"] {
        assert_eq!(auto(format!(r#"[{{"n":"t","t":{time},"v":20}}]"#)), ["@0 t=20"]);
    }
    assert_eq!(auto("m a=1 99999999999"), ["bad_timestamp"]);
    let rules = PayloadRules { time_floor: Timestamp(1_000_000_000_000_000), ..PayloadRules::default() };
    let decoder = decoder(Format::Auto).with_rules(&rules);
    assert_eq!(show(&decoder.decode("s", b"m a=1 1262304000")), ["m@1262304000 a=1"]);
    assert_eq!(show(&decoder.decode("s", br#"[{"n":"t","t":1262304000,"v":20}]"#)), ["@1262304000 t=20"]);
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
