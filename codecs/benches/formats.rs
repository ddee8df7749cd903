//! Measures the time per message, entry and reading of the formats on the data path.
//!
//! Run `cargo bench -p thicket-codecs`. Each line is the best of many short rounds: the least
//! disturbed one.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use prost::Message as _;
use thicket_codecs::formats::sparkplug::{Metric, MetricValue, Payload};
use thicket_codecs::payload::CsvRules;
use thicket_codecs::{
    BirthLimits, Format, FormatDecoder, PayloadDecoder, PayloadLimits, PayloadRules, SparkplugDecoder,
    SparkplugRules, SparkplugTopic, TopicTemplate, TopicTemplates,
};
use thicket_schema::{Entry, FieldSet, Item, Position, Reading, Record, SensorName, Timestamp};

const PAYLOAD: &[u8] =
    br#"{"ts":"2026-11-22T10:00:00.000000Z","laeq_db":52.31,"zcr":0.08,"centroid_hz":812.5,"flatness":0.2}"#;
/// Thirteen numbers and a time, as the stations of the load test send them.
const THIRTEEN: &[u8] = br#"{"ts":1795341600123,"a":52.31,"b":0.08,"c":812.5,"d":0.2,"e":-3.25,"f":1013.2,"g":48.5,"h":21.125,"i":230,"j":1.02,"k":12.345,"l":7,"m":0.001}"#;
/// A nested message with texts, as a plug with Tasmota sends it.
const NESTED: &[u8] = br#"{"Time":"2026-11-25T19:00:18","SI7021":{"Temperature":21.5,"Humidity":48.5,"DewPoint":9.8},"ENERGY":{"Total":12.345,"Power":230,"Voltage":231,"Current":1.02},"TempUnit":"C"}"#;
const ROUNDS: usize = 300;

fn report<T>(what: &str, repeats: usize, work: impl FnMut() -> T) {
    println!("{what:<58} {:>9.0} ns", time(repeats, work));
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

/// A message of The Things Stack, shortened.
const UPLINK: &[u8] = br#"{"end_device_ids":{"device_id":"field-7","dev_eui":"0200000000000007"},"received_at":"2026-11-22T10:00:00.123456789Z","uplink_message":{"f_port":2,"f_cnt":411,"frm_payload":"AQIDBAU=","decoded_payload":{"BatV":3.1,"Hum":41.2,"Temp":21.25,"soil":{"moisture":28.4}},"rx_metadata":[{"rssi":-97,"snr":7.5}],"settings":{"frequency":"868100000"}}}"#;

/// The fastest of many short rounds, in ns.
fn time<T>(repeats: usize, mut work: impl FnMut() -> T) -> f64 {
    let round = |_| {
        let start = Instant::now();
        (0..repeats).for_each(|_| drop(black_box(work())));
        start.elapsed().as_nanos() as f64 / repeats as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// Prints the time of a decoder beside that of a plain parse of the same bytes.
fn compare<T, P>(what: &str, decode: impl FnMut() -> T, parse: impl FnMut() -> P) {
    let (decoded, parsed) = (time(200, decode), time(200, parse));
    println!(
        "{what:<46} {:>8.2} \u{b5}s   plain parse {:>8.2} \u{b5}s   ratio {:>5.2}",
        decoded / 1e3,
        parsed / 1e3,
        decoded / parsed
    );
}

/// A message of Sparkplug of thirteen metrics, as birth or by alias.
fn sparkplug(is_birth: bool) -> Vec<u8> {
    let metric = |alias: u64| Metric {
        name: is_birth.then(|| format!("Line 1/Motor/Metric {alias}")),
        alias: Some(alias),
        datatype: is_birth.then_some(10),
        value: Some(MetricValue::Double(21.5 + alias as f64)),
        ..Metric::default()
    };
    let metrics = (0..13).map(metric).collect();
    Payload { timestamp: Some(1_795_341_600_000), metrics, seq: Some(1) }.encode_to_vec()
}

/// Compares all formats with a plain parse, which makes a tree of values.
fn compare_formats() {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let columns: Vec<String> = ["ts", "a", "b", "c", "d"].map(str::to_owned).into();
    let rules = PayloadRules {
        csv: CsvRules { columns, separator: b',' },
        time_zone: Some("Europe/Berlin".parse().unwrap()),
        ..PayloadRules::default()
    };
    let decoder = |format| {
        let keys = ["ts", "Time", "received_at"].map(str::to_owned).into();
        FormatDecoder::new(format, limits.clone(), keys).with_rules(&rules)
    };
    let auto = decoder(Format::Auto);
    let tree = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    for (what, payload) in [
        ("JSON, 4 fields", PAYLOAD),
        ("JSON, 13 fields", THIRTEEN),
        ("JSON, nested: Tasmota, 7 fields", NESTED),
        ("JSON, nested: The Things Stack, 9 fields", UPLINK),
    ] {
        let json = decoder(Format::Json);
        compare(what, || json.decode("s", black_box(payload)), || tree(black_box(payload)));
    }
    compare(
        "JSON, 13 fields, recognised",
        || auto.decode("s", black_box(THIRTEEN)),
        || tree(black_box(THIRTEEN)),
    );
    for (what, payload) in [
        ("4 fields", PAYLOAD),
        ("13 fields", THIRTEEN),
        ("nested: Tasmota", NESTED),
        ("nested: The Things Stack", UPLINK),
    ] {
        let mut cbor = Vec::new();
        ciborium::into_writer(&tree(payload), &mut cbor).unwrap();
        let messagepack = rmp_serde::to_vec(&tree(payload)).unwrap();
        compare(
            &format!("CBOR, {what}"),
            || auto.decode("s", black_box(&cbor)),
            || ciborium::from_reader::<ciborium::Value, _>(black_box(cbor.as_slice())),
        );
        compare(
            "  the same, beside the JSON of the same values",
            || auto.decode("s", black_box(&cbor)),
            || tree(black_box(payload)),
        );
        compare(
            &format!("MessagePack, {what}"),
            || auto.decode("s", black_box(&messagepack)),
            || rmp_serde::from_slice::<serde_json::Value>(black_box(&messagepack)),
        );
        compare(
            "  the same, beside the JSON of the same values",
            || auto.decode("s", black_box(&messagepack)),
            || tree(black_box(payload)),
        );
    }
    let senml = br#"[{"bn":"a:","bt":1795341600,"n":"laeq_db","v":52.31},{"n":"zcr","v":0.08},{"n":"centroid_hz","v":812.5},{"n":"flatness","v":0.2}]"#;
    compare("SenML, 4 fields", || auto.decode("s", black_box(senml)), || tree(black_box(senml)));
    let line = "mic,id=a laeq_db=52.31,zcr=0.08,centroid_hz=812.5,flatness=0.2 1795341600000000000";
    compare(
        "line protocol, 4 fields",
        || auto.decode("s", black_box(line.as_bytes())),
        || influxdb_line_protocol::parse_lines(black_box(line)).collect::<Vec<_>>(),
    );
    let lines = [PAYLOAD; 10].join(&b"\n"[..]);
    compare(
        "JSON lines, 10 of 4 fields",
        || auto.decode("s", black_box(&lines)),
        || lines.split(|byte| *byte == b'\n').map(tree).collect::<Vec<_>>(),
    );
    let row = b"1795341600,52.31,0.08,812.5,0.2\n";
    let csv = decoder(Format::Csv);
    let plain_csv = |row: &[u8]| {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row);
        reader.records().map(Result::unwrap).collect::<Vec<_>>()
    };
    compare("CSV, 4 fields", || csv.decode("s", black_box(row)), || plain_csv(black_box(row)));
    let mut sparkplug_decoder = SparkplugDecoder::new(BirthLimits::default());
    let sparkplug_rules = SparkplugRules::new(limits.clone(), PayloadRules::default());
    let now = Timestamp(1_795_341_600_000_000);
    for (what, kind) in [("birth of 13 metrics", "NBIRTH"), ("data of 13 metrics by alias", "NDATA")] {
        let topic = format!("spBv1.0/plant/{kind}/edge");
        let topic = SparkplugTopic::parse(&topic).unwrap();
        let message = sparkplug(kind == "NBIRTH");
        compare(
            &format!("Sparkplug B, {what}"),
            || sparkplug_decoder.decode(&sparkplug_rules, &topic, black_box(&message), false, now),
            || Payload::decode(black_box(message.as_slice())),
        );
    }
}

fn main() {
    let decoder = PayloadDecoder::default();
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

    compare_formats();

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
