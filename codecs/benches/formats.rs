//! Measures the time per message, entry and reading of the formats on the data path.
//!
//! Run `cargo bench -p thicket-codecs`. Each line is the best of many short rounds: the least
//! disturbed one.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use thicket_codecs::{Format, FormatDecoder, PayloadDecoder, PayloadLimits, TopicTemplate, TopicTemplates};
use thicket_schema::{Entry, FieldSet, Item, Position, Reading, Record, SensorName, Timestamp};

const PAYLOAD: &[u8] =
    br#"{"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,"zcr":0.08,"centroid_hz":812.5,"flatness":0.2}"#;
/// Thirteen numbers and a time, as the stations of the load test send them.
const THIRTEEN: &[u8] = br#"{"ts":1795341600123,"a":52.31,"b":0.08,"c":812.5,"d":0.2,"e":-3.25,"f":1013.2,"g":48.5,"h":21.125,"i":230,"j":1.02,"k":12.345,"l":7,"m":0.001}"#;
/// A nested message with texts, as a plug with Tasmota sends it.
const NESTED: &[u8] = br#"{"Time":"2026-11-25T19:00:18","SI7021":{"Temperature":21.5,"Humidity":48.5,"DewPoint":9.8},"ENERGY":{"Total":12.345,"Power":230,"Voltage":231,"Current":1.02},"TempUnit":"C"}"#;
const ROUNDS: usize = 300;

fn report<T>(what: &str, repeats: usize, mut work: impl FnMut() -> T) {
    let round = |_| {
        let start = Instant::now();
        (0..repeats).for_each(|_| drop(black_box(work())));
        start.elapsed().as_nanos() as f64 / repeats as f64
    };
    let best = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    println!("{what:<58} {best:>9.0} ns");
}

/// Creates an entry of readings that several sensors take in turns, each sensor every tenth of a
/// second.
fn entry(sensors: usize, readings: usize) -> Entry {
    let names = ["centroid_hz", "flatness", "laeq_db", "zcr"].map(str::to_owned);
    let fields = FieldSet::new(names.into()).unwrap();
    let sensors: Vec<_> =
        (0..sensors).map(|n| SensorName::new(&format!("site-1/microphone-{n}")).unwrap()).collect();
    let start = 1_795_341_600_000_000;
    let record = |n: usize| {
        let reading = Reading {
            sensor: sensors[n % sensors.len()].clone(),
            ts: Timestamp(start + (n / sensors.len()) as i64 * 100_000),
            stamped: false,
            fields: fields.clone(),
            values: vec![812.5, 0.2, 52.31, 0.08],
        };
        Record { received: start + n as i64 * 50, redelivered: false, item: Item::Reading(reading) }
    };
    let predecessor = Position { generation: 1_795_341_600_000, n: 100_000 };
    Entry { predecessor, records: (0..readings).map(record).collect() }
}

/// The object of four fields in formats other than JSON.
fn other_formats() -> [(&'static str, Vec<u8>); 5] {
    let value: serde_json::Value = serde_json::from_slice(PAYLOAD).unwrap();
    let mut cbor = Vec::new();
    ciborium::into_writer(&value, &mut cbor).unwrap();
    let senml = br#"[{"bn":"a:","bt":1795341600,"n":"laeq_db","v":52.31},{"n":"zcr","v":0.08},
        {"n":"centroid_hz","v":812.5},{"n":"flatness","v":0.2}]"#;
    let line = b"mic,id=a laeq_db=52.31,zcr=0.08,centroid_hz=812.5,flatness=0.2 1795341600000000000";
    [
        ("JSON, recognised", PAYLOAD.to_vec()),
        ("CBOR, recognised", cbor),
        ("MessagePack, recognised", rmp_serde::to_vec(&value).unwrap()),
        ("SenML, recognised", senml.to_vec()),
        ("line protocol, recognised", line.to_vec()),
    ]
}

fn main() {
    let decoder = PayloadDecoder::default();
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let formats = FormatDecoder::new(Format::Auto, limits, vec!["ts".to_owned()]);
    report("payload: object of four fields", 1_000, || decoder.decode(black_box(PAYLOAD)));
    report("payload: object of thirteen fields", 1_000, || decoder.decode(black_box(THIRTEEN)));
    report("payload: nested object of seven fields", 1_000, || decoder.decode(black_box(NESTED)));
    report("payload: the same, only checked by serde_json", 1_000, || {
        serde_json::from_slice::<serde::de::IgnoredAny>(black_box(NESTED))
    });
    report("payload: the same, as a tree of serde_json", 1_000, || {
        serde_json::from_slice::<serde_json::Value>(black_box(NESTED))
    });
    let array = [b"[", PAYLOAD, b",", &[PAYLOAD; 99].join(&b","[..]), b"]"].concat();
    report("payload: array of 100 such objects", 10, || decoder.decode(black_box(&array)));
    report("payload: bare number", 1_000, || decoder.decode(black_box(b"21.5")));

    for (name, payload) in other_formats() {
        report(&format!("payload: {name}"), 1_000, || formats.decode("sensors/a", black_box(&payload)));
    }

    let templates = TopicTemplates(vec![TopicTemplate::parse("sensors/{sensor...}").unwrap()]);
    report("topic: to a sensor's name", 1_000, || templates.sensor(black_box("sensors/site-1/microphone-7")));
    let name = SensorName::new("site-1/microphone-7").unwrap();
    report("sensor's name: to its partition", 1_000, || black_box(&name).partition(64));

    for sensors in [1, 16, 100] {
        let entry = entry(sensors, 100);
        let bytes = entry.encode();
        report(&format!("entry: encode 100 readings of {sensors} sensors"), 50, || {
            black_box(&entry).encode()
        });
        report(&format!("entry: decode 100 readings of {sensors} sensors"), 50, || {
            Entry::decode(black_box(&bytes))
        });
        println!("entry: bytes per reading with {sensors} sensors {:>29.2} B", bytes.len() as f64 / 100.0);
    }
}
