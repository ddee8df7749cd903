use thicket_codecs::TopicTemplate;
use thicket_schema::Timestamp;

use super::*;
use crate::time_order::{Occupied, Step, TimeOrder};

const NOW: i64 = 1_700_000_000_000_000;

fn subscription(topic: &str, template: &str) -> SubscriptionOptions {
    SubscriptionOptions {
        topics: vec![topic.to_owned()],
        templates: TopicTemplates(vec![TopicTemplate::parse(template).unwrap()]),
        sensor: None,
        ignore: Vec::new(),
        format: Format::Auto,
        limits: PayloadLimits { max_bytes: 200, max_fields: 64, max_readings: 1_000, max_depth: 8 },
        timestamp_keys: vec!["ts".to_owned()],
        rules: PayloadRules::default(),
        max_future: Duration::from_mins(1),
        max_age: Duration::from_hours(1),
        max_lead: Duration::from_secs(2),
    }
}

fn decoder_of(subscriptions: Vec<SubscriptionOptions>) -> MessageDecoder {
    MessageDecoder::new(DecodeOptions { partitions: 8, subscriptions })
}

fn decoder() -> MessageDecoder {
    decoder_of(vec![subscription("sensors/#", "sensors/{site}/{device}")])
}

const fn message<'m>(topic: &'m str, payload: &'m Bytes) -> DecodeMessage<'m> {
    DecodeMessage::new(topic, payload, NOW)
}

fn decode(payload: &str) -> Vec<Record> {
    let records = decoder().decode(message("sensors/site-1/mic-7", &Bytes::from(payload.to_owned())));
    records.into_iter().map(|(_, record)| record).collect()
}

fn reasons(records: &[Record]) -> Vec<&'static str> {
    let reasons = records.iter().filter_map(|record| match &record.item {
        Item::DeadLetter(dead_letter) => Some(dead_letter.reason.as_str()),
        Item::Reading(_) | Item::Control(_) => None,
    });
    reasons.collect()
}

#[test]
fn a_reading_without_a_timestamp_gets_its_arrival_time_and_is_marked_as_stamped() {
    let records = decode("21.5");
    let Item::Reading(reading) = &records[0].item else { panic!("{records:?}") };
    assert_eq!((reading.ts, reading.stamped), (Timestamp(NOW), true));
    assert_eq!((reading.sensor.as_str(), reading.values.as_slice()), ("site-1/mic-7", [21.5].as_slice()));
}

#[test]
fn a_bad_element_of_an_array_does_not_affect_the_others() {
    let records = decode(r#"[{"ts":1700000000,"a":1},{"ts":"yesterday","a":2},{"ts":1700000001,"a":3}]"#);
    assert_eq!(records.len(), 3);
    assert_eq!(reasons(&records), ["bad_timestamp"]);
    assert!(matches!(records[2].item, Item::Reading(_)), "the order of the message is kept");
}

#[test]
fn times_far_from_their_arrival_are_dead_letters() {
    assert_eq!(reasons(&decode(r#"{"ts":"2099-01-01T00:00:00Z","a":1}"#)), ["timestamp_in_future"]);
    assert_eq!(reasons(&decode(r#"{"ts":"2021-01-01T00:00:00Z","a":1}"#)), ["timestamp_too_old"]);
}

#[test]
fn a_payload_over_the_limit_is_a_dead_letter_with_its_size() {
    let records = decode(&"9".repeat(10_000));
    let Item::DeadLetter(dead_letter) = &records[0].item else { panic!("{records:?}") };
    assert_eq!((dead_letter.reason.as_str(), dead_letter.payload_bytes), ("payload_too_large", 10_000));
}

#[test]
fn a_topic_without_a_template_is_a_dead_letter_of_a_stable_partition() {
    let payload = Bytes::from_static(b"1");
    let [(partition, record)] = &decoder()
        .decode(DecodeMessage { redelivered: true, ..message("sensors/too/many/levels", &payload) })[..]
    else {
        panic!("not one record")
    };
    assert_eq!(reasons(std::slice::from_ref(record)), ["no_topic_template"]);
    assert!(record.redelivered);
    assert_eq!(*partition, decoder().decode(message("sensors/too/many/levels", &payload))[0].0);
}

#[test]
fn each_record_has_the_partition_of_its_sensor() {
    let payload = Bytes::from_static(br#"[{"ts":1700000000,"a":1},{"ts":"yesterday","a":2}]"#);
    let sensor = SensorName::new("site-1/mic-7").unwrap();
    let records = decoder().decode(message("sensors/site-1/mic-7", &payload));
    let partitions: Vec<PartitionId> = records.iter().map(|(partition, _)| *partition).collect();
    assert_eq!(partitions, [sensor.partition(8), sensor.partition(8)]);
}

/// The names of the sensors of a message, or the reasons of its dead letters.
fn names_of(template: &str, rules: PayloadRules, payload: &str) -> Vec<String> {
    let mut options = subscription("up/#", "up/{device...}");
    options.sensor = Some(SensorTemplate::parse(template, &["device"]).unwrap());
    options.rules = rules;
    let records = decoder_of(vec![options]).decode(message("up/a%2B", &Bytes::from(payload.to_owned())));
    let of_item = |item: Item| match item {
        Item::Reading(reading) => reading.sensor.to_string(),
        Item::DeadLetter(letter) => letter.reason.to_string(),
        Item::Control(_) => panic!("a message is no control entry"),
    };
    records.into_iter().map(|(_, record)| of_item(record.item)).collect()
}

#[test]
fn texts_of_a_payload_name_sensors_whatever_characters_they_have() {
    let plain = PayloadRules::default;
    for (member, sensor) in [
        ("/", "%2F"),
        ("/var/log", "%2Fvar/log"),
        ("Plant #2", "Plant %232"),
        ("a+b 50%", "a%2Bb 50%"),
        ("50%25", "50%2525"),
        ("coap://host/", "coap:%2F%2Fhost%2F"),
    ] {
        let payload = format!(r#"{{"x":1,"id":"{member}"}}"#);
        assert_eq!(names_of("{id}", plain(), &payload), [sensor], "{member}");
        let within = sensor.replacen("%2Fvar", "/var", 1);
        assert_eq!(names_of("n-{id}", plain(), &payload), [format!("n-{within}")], "{member}");
    }
    let tags = r#"{"x":1,"name":"disk","tags":{"path":"/","fs":"a#"}}"#;
    assert_eq!(names_of("{name}/{tags.*}", plain(), tags), ["disk/fs=a%23,path=%2F"]);
    assert_eq!(names_of("{device}/{id}", plain(), r#"{"x":1,"id":"+"}"#), ["a%2B/%2B"], "topics stay");
    let devices = PayloadRules { device_keys: true, ..plain() };
    let payload = r#"{"Dev #2":{"x":1},"/b/":{"x":1}}"#;
    assert_eq!(names_of("{device}", devices, payload), ["a%2B/Dev %232", "a%2B/%2Fb%2F"]);
    let devices = PayloadRules { device_keys: true, ..plain() };
    assert_eq!(names_of("{device}", devices, r#"{"":{"x":1}}"#), ["bad_sensor_name"]);
    let lines = "disk,path=/ free=1\nping,url=http://a.b/c free=1";
    assert_eq!(
        names_of("{device}", plain(), lines),
        ["a%2B/disk,path=%2F", "a%2B/ping,url=http:%2F%2Fa.b/c"]
    );
}

#[test]
fn an_object_without_tags_costs_its_slash() {
    let payload = r#"{"x":1,"name":"disk","tags":{}}"#;
    assert_eq!(names_of("{name}/{tags.*}", PayloadRules::default(), payload), ["disk"]);
    assert_eq!(names_of("{tags.*}/{name}", PayloadRules::default(), payload), ["disk"]);
    assert_eq!(names_of("n/{tags.*}/{name}", PayloadRules::default(), payload), ["n/disk"]);
    assert_eq!(names_of("{tags.*}", PayloadRules::default(), payload), ["bad_sensor_name"]);
    let payload = r#"{"x":1,"name":"disk"}"#;
    assert_eq!(names_of("{name}/{tags.*}", PayloadRules::default(), payload), ["no_sensor"]);
}

#[test]
fn readings_of_several_devices_go_to_the_partitions_of_their_sensors() {
    let payload = Bytes::from_static(b"cpu,core=0 load=1 1700000000\ncpu,core=1 load=2 1700000000");
    let records = decoder().decode(message("sensors/site-1/host", &payload));
    let found: Vec<(PartitionId, &str)> = records
        .iter()
        .map(|(partition, record)| match &record.item {
            Item::Reading(reading) => (*partition, reading.sensor.as_str()),
            item => panic!("{item:?}"),
        })
        .collect();
    assert_eq!(found[0].1, "site-1/host/cpu,core=0");
    assert_eq!(found[1].1, "site-1/host/cpu,core=1");
    for (partition, sensor) in &found {
        assert_eq!(*partition, SensorName::new(sensor).unwrap().partition(8));
    }
    assert_ne!(found[0].0, found[1].0, "the message has two partitions");
}

#[test]
fn a_device_that_is_no_sensor_name_is_a_dead_letter_and_the_others_live() {
    let records = decode("cpu,core=\u{1} load=1\ncpu,core=1 load=2");
    assert_eq!(reasons(&records), ["bad_sensor_name"]);
    assert_eq!(records.len(), 2);
}

#[test]
fn a_relative_time_counts_from_the_arrival() {
    let records = decode(r#"[{"n":"x","t":-5,"v":1},{"n":"x","v":2}]"#);
    let times: Vec<(i64, bool)> = records
        .iter()
        .map(|record| match &record.item {
            Item::Reading(reading) => (reading.ts.0, reading.stamped),
            item => panic!("{item:?}"),
        })
        .collect();
    assert_eq!(times, [(NOW - 5_000_000, false), (NOW, true)]);
}

/// Decodes one reading that arrives at a time. `lead`: how far its own time is ahead, in µs; `None`
/// if it has none.
fn reading_at(decoder: &MessageDecoder, arrival: i64, lead: Option<i64>) -> Reading {
    let ts = lead.map_or_else(|| "null".to_owned(), |lead| (arrival + lead).to_string());
    let payload = Bytes::from(format!("{{\"ts\":{ts},\"a\":{}}}", arrival % 1_000_000));
    let message = DecodeMessage::new("sensors/site-1/mic-7", &payload, arrival);
    let (_, record) = decoder.decode(message).remove(0);
    let Item::Reading(reading) = record.item else { panic!("{record:?}") };
    reading
}

/// Takes readings in the order of the log, and returns how many are stored as next in time, and how
/// often the time began again.
fn taken(readings: &[Reading]) -> (usize, i32) {
    let mut order = TimeOrder::default();
    let mut next = 0;
    for reading in readings {
        let step = order.decide(reading, 20, Some(&Occupied::default()));
        next += usize::from(matches!(step, Step::Next { .. }));
        order.store(step, reading);
    }
    (next, order.era())
}

#[test]
fn a_reading_ahead_of_time_does_not_make_its_sensor_deaf() {
    const SECOND: i64 = 1_000_000;
    let decoder = decoder();
    let read = |second: i64, lead| reading_at(&decoder, NOW + second * SECOND, Some(lead));
    let ahead = read(0, 59 * SECOND);
    assert_eq!((ahead.ts.0, ahead.stamped), (NOW + 2 * SECOND, true), "set back to max_lead");
    let near = read(1, 2 * SECOND);
    assert_eq!((near.ts.0, near.stamped), (NOW + 3 * SECOND, false), "its own time");
    let mut readings = vec![ahead];
    readings.extend((3..30).map(|second| read(second, 0)));
    assert_eq!(taken(&readings), (28, 0));
}

#[test]
fn a_clock_that_is_steadily_ahead_keeps_the_order() {
    let decoder = decoder();
    // Around the limit, in one message and in several.
    let leads = [1_900_000, 2_100_000, 30_000_000, 59_000_000, 1_999_999, 59_000_000];
    let readings: Vec<Reading> = (0..60)
        .map(|i| reading_at(&decoder, NOW + i * 60_000_000, Some(leads[i as usize % leads.len()])))
        .collect();
    assert_eq!(taken(&readings), (60, 0));
    let payload = r#"[{"ts":1700000050,"a":1},{"ts":1700000051,"a":2},{"ts":1700000052,"a":3}]"#;
    let records = decoder.decode(message("sensors/site-1/mic-8", &Bytes::from_static(payload.as_bytes())));
    let times = records.iter().filter_map(|(_, record)| match &record.item {
        Item::Reading(reading) => Some(reading.ts.0 - NOW),
        _ => None,
    });
    assert_eq!(times.collect::<Vec<_>>(), [2_000_000, 2_000_001, 2_000_002]);
}

#[test]
fn a_clock_that_jumps_an_hour_ahead_and_back_makes_no_reading_late() {
    const MINUTE: i64 = 60_000_000;
    let decoder = decoder();
    // Minutes 10 to 14 are read an hour too late. The time after them is not late for an hour.
    let arrivals = (0..40).map(|minute| match minute {
        10..15 => NOW + (minute + 60) * MINUTE,
        _ => NOW + minute * MINUTE,
    });
    let readings: Vec<Reading> = arrivals.map(|now| reading_at(&decoder, now, None)).collect();
    assert_eq!(readings[20].ts.0, NOW + 20 * MINUTE, "stamps follow the clock back");
    assert_eq!(taken(&readings), (40, 1), "the time begins again once");
}

#[test]
fn a_time_far_from_its_arrival_is_replaced_by_it_if_that_is_the_rule() {
    let rules = PayloadRules { on_bad_time: OnBadTime::Arrival, ..PayloadRules::default() };
    let subscription = subscription("sensors/#", "sensors/{site}/{device}");
    let decoder = decoder_of(vec![SubscriptionOptions { rules, ..subscription }]);
    let time_of = |seconds: i64| {
        let payload = format!("{{\"ts\":{},\"a\":1}}", NOW / 1_000_000 + seconds);
        let records = decoder.decode(message("sensors/site-1/mic-7", &Bytes::from(payload)));
        let Item::Reading(reading) = &records[0].1.item else { panic!("{records:?}") };
        (reading.ts.0 - NOW, reading.stamped)
    };
    assert_eq!([time_of(-60), time_of(-7_200), time_of(7_200)], [(-60_000_000, false), (0, true), (1, true)]);
}

#[test]
fn a_format_that_is_not_read_is_a_dead_letter_that_names_it() {
    let payload = Bytes::from_static(b"<?xml version=\"1.0\"?><a>1</a>");
    let records = decoder().decode(message("sensors/site-1/mic-7", &payload));
    let Item::DeadLetter(dead_letter) = &records[0].1.item else { panic!("{records:?}") };
    assert_eq!(dead_letter.reason.as_str(), "unknown_format");
    assert!(dead_letter.detail.starts_with("this looks like XML"), "{}", dead_letter.detail);
}

fn sensors(decoder: &MessageDecoder, topic: &str, payload: &str) -> Vec<Result<String, &'static str>> {
    let records = decoder.decode(message(topic, &Bytes::from(payload.to_owned())));
    let sensor = |item: &Item| match item {
        Item::Reading(reading) => Ok(reading.sensor.to_string()),
        Item::DeadLetter(dead_letter) => Err(dead_letter.reason.as_str()),
        Item::Control(_) => panic!("a message is no control entry"),
    };
    records.iter().map(|(_, record)| sensor(&record.item)).collect()
}

#[test]
fn the_sensor_can_be_named_by_levels_and_members() {
    let mut options = subscription("application/#", "application/{app}/device/{eui}/event/up");
    let template = SensorTemplate::parse("{topic.1}/{deviceInfo.devEui}", &options.templates.names());
    options.sensor = Some(template.unwrap());
    let decoder = decoder_of(vec![options]);
    let payload = r#"[{"deviceInfo":{"devEui":"a840"},"x":1},{"deviceInfo":{},"x":2}]"#;
    assert_eq!(sensors(&decoder, "application/7/any", payload), [Ok("7/a840".to_owned()), Err("no_sensor")]);
}

#[test]
fn a_message_belongs_to_the_first_subscription_that_receives_its_topic() {
    let mut member = subscription("$share/group/plant/+/raw", "plant/{line}/raw");
    member.sensor = Some(SensorTemplate::parse("{line}/{id}", &["line"]).unwrap());
    let decoder = decoder_of(vec![member, subscription("plant/#", "plant/{rest...}")]);
    assert_eq!(sensors(&decoder, "plant/1/raw", r#"{"id":"p3","x":1}"#), [Ok("1/p3".to_owned())]);
    assert_eq!(sensors(&decoder, "plant/1/state", "21.5"), [Ok("1/state".to_owned())]);
    assert_eq!(sensors(&decoder, "other/1", "21.5"), [Err("no_topic_template")]);
}

#[test]
fn the_content_type_names_the_format() {
    // The same bytes are a map in MessagePack, {"a": 1}, and an array in CBOR.
    let payload = Bytes::from_static(b"\x81\xa1a\x01");
    let decode = |content_type| {
        decoder().decode(DecodeMessage { content_type, ..message("sensors/site-1/mic-7", &payload) })
    };
    let values = |records: Vec<(PartitionId, Record)>| match &records[0].1.item {
        Item::Reading(reading) => reading.fields.names().to_vec(),
        item => panic!("{item:?}"),
    };
    assert_eq!(values(decode(Some("application/msgpack"))), ["a"]);
    assert_eq!(values(decode(Some("application/cbor"))), ["a"], "a wrong type loses no reading");
    assert_eq!(values(decode(None)), ["a"]);
}
