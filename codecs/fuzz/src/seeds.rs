//! Valid payloads of each family.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use thicket_codecs::Format;
use thicket_codecs::formats::sparkplug::{Metric, MetricValue, Payload};

use crate::Family;

const OBJECTS: [&str; 9] = [
    r#"{"ts":"2026-11-22T10:00:00.000000Z","a":52.31,"b":-0.08e2,"c":true,"d":"ON"}"#,
    r#"{"r":{"time":1795345200123,"s":{"a":{"x":"21,5","y":[1,2,null]},"b":NaN,"ac":"\u00b0C"}},"z":"5 %"}"#,
    r#"{"r":{"s":[{"a":1,"ts":1795345200},{"a":"1.234,5","b":2},{"c":"\ud83d\ude00"}]},"ts":"2026-11-22 10:00"}"#,
    r#"{"device 1":[{"ts":1795345200,"a":1},{"a":2}],"device 2":{"a":3,"b":{"x":[0,1]}}}"#,
    r#"[{"ts":1,"x":1.5,"long":[1,2,{"a":null}]},{"x":-70000},{"ts":"20261122T100000Z","a":9007199254740993}]"#,
    r#"{"a":1,"a":2,"":3,"b":1e999,"ts":0,"deep":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":1}}}}}}}}}"#,
    "21.5",
    "\"230 V\"",
    "unavailable",
];
const SENML: [&str; 2] = [
    r#"[{"bn":"urn:dev:02:","bt":1795345200,"bv":2,"bs":1,"n":"x","u":"V","v":1.5},{"n":"y","t":-5,"vb":true,"s":3}]"#,
    r#"[{"bn":"a/","n":"t","vs":"x"},{"bn":"b/","n":"t","v":"21.5","ut":1},{"n":"u","vd":"aGk","v_":1}]"#,
];
const LINES: [&str; 2] = [
    "m,a=b,c=d x=1.5,y=2i,z=\"t\\\"\",w=t 1795345200000000000\nm x=1\nm\\ n,q=\\, v=3u 1795345200\n",
    "{\"ts\":1795345200,\"a\":1}\r\n\x1e{\"a\":2}\n\n[{\"a\":3},{\"b\":4}]\n{oops\n7\n",
];
const CSV: [&str; 2] = [
    "ts,a,b\n1795345200,1.5,\"2,5\"\n2026-11-22T10:00:00Z,21 V,\n",
    "\u{feff}0,\"a\"\"b\",ON\r\n,,\r\n1,2\n",
];

/// Returns the inputs to start with.
#[must_use]
pub fn seeds(family: Family) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    match family {
        Family::Format(Format::Json) => texts(&OBJECTS),
        Family::Format(Format::Senml) => {
            let cbor = br#"[{"-2":"a/","-3":1.7e9,"0":"x","2":1.5},{"0":"y","4":true,"6":-3}]"#;
            [texts(&SENML), vec![to_cbor(cbor)]].concat()
        }
        Family::Format(Format::LineProtocol | Format::JsonLines) => texts(&LINES),
        Family::Format(Format::Csv) => texts(&CSV),
        Family::Format(Format::Cbor) => {
            let mut seeds: Vec<Vec<u8>> = values().map(to_cbor).collect();
            // Tags: a time, a decimal fraction, a bigfloat, a bignum; text of unknown length.
            seeds.push(b"\xa5\x62ts\xc1\x1a\x6b\x02\xd3\xb0\x61a\xc4\x82\x21\x19\x6a\xb3\x61b\xc5\x82\x20\x03\x61c\xc2\x41\x09\x61d\xf9\x4d\x60".to_vec());
            seeds
                .push(b"\x9f\xbf\x61a\xfb\x40\x35\x80\x00\x00\x00\x00\x00\x7f\x61b\xff\x01\xff\xff".to_vec());
            seeds
        }
        Family::Format(Format::Messagepack) => {
            let mut seeds: Vec<Vec<u8>> = values().map(to_messagepack).collect();
            seeds.push(b"\x83\xa2ts\xd7\xff\x77\x35\x94\x00\x51\x4b\x67\xb0\xa1a\xca\x41\xac\x00\x00\xa1b\xc4\x01\x07".to_vec());
            seeds
        }
        Family::Compressed => {
            let all = [texts(&OBJECTS), texts(&LINES), vec![b"1,".repeat(3_000)]].concat();
            let zstd = b"\x28\xb5\x2f\xfd\x04\x58\x39\x00\x00{\"a\":1}\x01\x02\x03\x04".to_vec();
            all.iter().map(|text| gzip(text)).chain([zstd]).collect()
        }
        Family::Sparkplug => sparkplug(),
        Family::Format(_) => {
            let binary = values().flat_map(|json| [to_cbor(json), to_messagepack(json)]);
            [texts(&OBJECTS), texts(&SENML), texts(&LINES), texts(&CSV), binary.collect()].concat()
        }
    }
}

/// The seeds that are JSON without extensions.
fn values() -> impl Iterator<Item = &'static [u8]> {
    let strict = OBJECTS.iter().map(|text| text.as_bytes());
    strict.filter(|text| serde_json::from_slice::<serde_json::Value>(text).is_ok())
}

fn to_cbor(json: &[u8]) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(json).expect("a seed is JSON");
    let mut out = Vec::new();
    ciborium::into_writer(&value, &mut out).expect("memory can be written to");
    out
}

fn to_messagepack(json: &[u8]) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_slice(json).expect("a seed is JSON");
    rmp_serde::to_vec(&value).expect("memory can be written to")
}

fn gzip(payload: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(payload).expect("memory can be written to");
    encoder.finish().expect("memory can be written to")
}

/// Messages of Sparkplug, each after a byte that chooses its topic.
fn sparkplug() -> Vec<Vec<u8>> {
    let values = [
        (3, MetricValue::Int(7)),
        (4, MetricValue::Long(u64::MAX)),
        (9, MetricValue::Float(1.5)),
        (10, MetricValue::Double(21.5)),
        (11, MetricValue::Boolean(true)),
    ];
    let metric = |is_birth: bool, index: usize| {
        let (datatype, value) = values[index];
        Metric {
            name: is_birth.then(|| format!("m/{index}")),
            alias: Some(index as u64),
            timestamp: (index % 2 == 0).then_some(1_795_345_200_000 + index as u64),
            datatype: is_birth.then_some(datatype),
            is_historical: (index == 1).then_some(true),
            is_null: (index == 4).then_some(false),
            value: Some(value),
        }
    };
    let message = |choice: u8, is_birth: bool| {
        let metrics = (0..values.len()).map(|index| metric(is_birth, index)).collect();
        let payload = Payload { timestamp: Some(1_795_345_200_000), metrics, seq: Some(u64::from(choice)) };
        [vec![choice], payload.encode_to_vec()].concat()
    };
    vec![message(0, true), message(1, false), message(2, true), message(3, false), message(129, false)]
}
