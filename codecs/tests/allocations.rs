//! Limits on the memory that decoding allocates: little for an honest payload, in proportion to its
//! size for a hostile one.

#![allow(clippy::unwrap_used, reason = "a test")]

use allocation_counter::{AllocationInfo, measure};
use thicket_codecs::payload::CsvRules;
use thicket_codecs::{
    BirthLimits, Format, FormatDecoder, PayloadDecoder, PayloadLimits, PayloadRules, SparkplugDecoder,
    SparkplugRules, SparkplugTopic,
};
use thicket_schema::Timestamp;

const PAYLOAD: &[u8] =
    br#"{"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,"zcr":0.08,"centroid_hz":812.5,"flatness":0.2}"#;

/// Bytes that may be in use at once: `FACTOR` per byte of input, and `BASE` more.
const FACTOR: u64 = 64;
const BASE: u64 = 16_384;
/// The largest window of zstd, which is allocated twice while it grows.
const WINDOW: u64 = 2 * (8 << 20);

fn assert_in_proportion(info: &AllocationInfo, input_bytes: usize) {
    let allowed = FACTOR * input_bytes as u64 + BASE;
    assert!(info.bytes_max <= allowed, "{} bytes for {input_bytes}", info.bytes_max);
}

#[test]
fn an_object_of_a_known_form_allocates_only_what_it_returns() {
    let decoder = PayloadDecoder::default();
    decoder.decode(PAYLOAD).unwrap();
    let info = measure(|| drop(decoder.decode(PAYLOAD)));
    // The list of measurements, and the values of its only element.
    assert_eq!(info.count_total, 2);
}

#[test]
fn a_fleet_that_makes_up_names_does_not_fill_the_memory() {
    let decoder = PayloadDecoder::default();
    let many_short = |n: usize| format!(r#"{{"{n}":1}}"#);
    let few_long = |n: usize| {
        let members: Vec<String> = (0..64).map(|field| format!(r#""{n:032}{field:032}":1"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    let info = measure(|| {
        (0..40_000).for_each(|n| drop(decoder.decode(many_short(n).as_bytes()).unwrap()));
        (0..2_000).for_each(|n| drop(decoder.decode(few_long(n).as_bytes()).unwrap()));
    });
    assert!(info.bytes_max < 24_000_000, "{} bytes", info.bytes_max);
}

#[test]
fn a_hostile_payload_costs_in_proportion_to_its_size() {
    let decoder = PayloadDecoder::default();
    let size = 65_536;
    for payload in [
        "[".repeat(size),
        r#"{"a":"#.repeat(size / 5),
        format!("[{}1]", "1,".repeat(size / 2 - 2)),
        format!("[{}{{}}]", "{},".repeat(size / 3 - 2)),
        format!(r#"{{"{}":1}}"#, "x".repeat(size - 6)),
        format!(r#"{{"a":"{}"}}"#, r"\n".repeat(size / 2 - 8)),
        format!(r#"{{"a":{}}}"#, "9".repeat(size - 6)),
        format!("0.{}1", "0".repeat(size - 3)),
        format!(r#"{{"ts":{},"a":1}}"#, "1".repeat(size - 20)),
        format!(r#"{{"a":[{}1]}}"#, "1,".repeat(size / 2 - 8)),
        format!(r#"{{{}"z":{{}}}}"#, r#""a":{"b":[1,2]},"#.repeat(size / 20)),
        format!(r#"{{{}"z":nan}}"#, r#""a":{"b":"c"},"#.repeat(size / 20)),
        format!("[{}{{\"a\":nan}}]", "{},".repeat(size / 3 - 8)),
    ] {
        assert!(payload.len() <= size);
        let info = measure(|| drop(decoder.decode(payload.as_bytes())));
        assert_in_proportion(&info, payload.len());
    }
}

#[test]
fn a_hostile_payload_of_any_format_costs_in_proportion_to_its_size() {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let decoder = FormatDecoder::new(Format::Auto, limits, vec!["ts".to_owned()]);
    let size = 65_536;
    let bytes = |begin: &[u8], part: &[u8]| {
        let parts = part.iter().copied().cycle();
        begin.iter().copied().chain(parts).take(size).collect::<Vec<u8>>()
    };
    for payload in [
        bytes(b"[", br#"{"n":1},"#),
        bytes(b"[", br#"{"n":"","v":1},"#),
        format!("[{}{{}}]", r#"{"n":"a","v":1},"#.repeat(4_000)).into_bytes(),
        bytes(b"m,", b"a=b,"),
        format!("m{} x=1", (0..8_000).map(|n| format!(",{n:x}=b")).collect::<Vec<_>>().concat()).into_bytes(),
        format!("m {}", (0..8_000).map(|n| format!("{n:x}=1")).collect::<Vec<_>>().join(",")).into_bytes(),
        bytes(b"", b"m x=1\n"),
        bytes(b"m", b" \\"),
        bytes(b"", b"\x9f"),
        bytes(b"\x9f", b"\xa1\x61\x61\xf9\x7e\x00"),
        bytes(b"\xdc\xff\xff", b"\x81\xa1\x61\xcb"),
        bytes(b"\xdd\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff"),
        bytes(b"\xbf", b"\x7f\x61\x01\xff\x18"),
        bytes(b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", b"x"),
        bytes(b"\x28\xb5\x2f\xfd\x00\x58", b"\x02\x00\x10\xff"),
        // Empty frames of zstd, each with a window of 8 MiB.
        b"\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00".repeat(size / 9),
    ] {
        let begin = std::time::Instant::now();
        let info = measure(|| drop(decoder.decode("s", &payload)));
        // A record of SenML is a map of its own.
        let allowed = 2 * FACTOR * payload.len() as u64 + WINDOW;
        let name = String::from_utf8_lossy(&payload[..20]).into_owned();
        assert!(info.bytes_max <= allowed, "{} bytes for {name:?}", info.bytes_max);
        assert!(begin.elapsed() < std::time::Duration::from_secs(1), "{name:?}: {:?}", begin.elapsed());
    }
}

#[test]
fn hostile_lines_of_separated_values_cost_in_proportion_to_their_size() {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let columns: Vec<String> = ["ts", "a", "b"].map(str::to_owned).into();
    let csv = CsvRules { columns, separator: b',' };
    let decoder = FormatDecoder::new(Format::Csv, limits, vec!["ts".to_owned()])
        .with_rules(&PayloadRules { csv, ..PayloadRules::default() });
    let size = 65_536;
    for payload in [
        ",".repeat(size),
        "\"".repeat(size),
        "\"\"\"".repeat(size / 3),
        "\n".repeat(size),
        "x\n".repeat(size / 2),
        "0,1,2\n".repeat(999),
        "0,,\n".repeat(999),
        "now,1,2\n".repeat(999),
        "1\n".repeat(999),
        format!("0,\"{}\",1", "\n".repeat(size - 8)),
        format!("0,{},1", "9".repeat(size - 8)),
        format!("0,{},1", "\\".repeat(size - 8)),
        format!("{},1,2", "1".repeat(size - 8)),
    ] {
        assert!(payload.len() <= size);
        let info = measure(|| drop(decoder.decode("s", payload.as_bytes())));
        // A line of two bytes has an error of its own, up to the limit of readings.
        assert_in_proportion(&info, 2 * payload.len());
    }
    for byte in [0xff, 0x00, 0x1f] {
        let payload = [b"0,1,", &vec![byte; 60_000][..]].concat();
        let info = measure(|| drop(decoder.decode("s", &payload)));
        assert_in_proportion(&info, payload.len());
    }
}

#[test]
fn hostile_messages_of_sparkplug_cost_in_proportion_to_their_size() {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let rules = SparkplugRules::new(limits, PayloadRules::default());
    let size = 65_000;
    let field = |key: u8, content: &[u8]| {
        let mut length = Vec::new();
        let mut left = content.len();
        while left > 127 {
            length.push(left as u8 | 0x80);
            left >>= 7;
        }
        length.push(left as u8);
        [&[key][..], &length, content].concat()
    };
    let metrics = |metric: &[u8]| {
        let metric = field(0x12, metric);
        metric.repeat(size / metric.len())
    };
    let numbered: Vec<u8> = (0..4_000)
        .flat_map(|n: u32| {
            let metric = [field(0x0a, format!("m{n}").as_bytes()), vec![0x50, 1]].concat();
            field(0x12, &metric)
        })
        .collect();
    let timed: Vec<u8> = (1..4_000_u32)
        .flat_map(|n| {
            let ms = [0x18, n as u8 | 0x80, (n >> 7) as u8 & 0x7f];
            field(0x12, &[&field(0x0a, b"m")[..], &ms, &[0x20, 3, 0x50, 1]].concat())
        })
        .collect();
    let messages = [
        metrics(b""),
        metrics(b"\x0a\x01a"),
        metrics(b"\x0a\x01a\x20\x03\x50\x01"),
        metrics(b"\x10\x01\x50\x01"),
        metrics(b"\xff\xff\xff"),
        field(0x12, &field(0x0a, &vec![b'x'; size])),
        field(0x22, &vec![b'x'; size]),
        b"\x12\xff\xff\xff\xff\x0f".repeat(size / 6),
        numbered,
        timed,
        vec![0x1a; size],
        // Groups within each other.
        vec![0x0b; size],
    ];
    for message in messages {
        assert!(message.len() <= 65_536);
        for kind in ["NBIRTH", "NDATA", "DBIRTH/d", "DDATA/d"] {
            let (kind, device) = kind.split_once('/').unwrap_or((kind, ""));
            let topic = format!("spBv1.0/g/{kind}/n/{device}");
            let topic = SparkplugTopic::parse(topic.trim_end_matches('/')).unwrap();
            let now = Timestamp(1_795_345_200_000_000);
            let mut decoder = SparkplugDecoder::new(BirthLimits::default());
            let begin = std::time::Instant::now();
            let info = measure(|| drop(decoder.decode(&rules, &topic, &message, false, now)));
            assert_in_proportion(&info, message.len());
            assert!(begin.elapsed() < std::time::Duration::from_secs(1), "{:?}", begin.elapsed());
        }
    }
}
