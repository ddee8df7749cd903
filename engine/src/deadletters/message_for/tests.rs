use std::collections::BTreeMap;

use thicket_schema::{FieldSet, Reading, SensorName};

use super::*;
use crate::deadletters::rules::tests::brokers;

const RECEIVED: Timestamp = Timestamp(1_795_345_200_000_001);

fn rules() -> BrokerRules {
    brokers("").remove(0)
}

fn rules_with(timestamp_keys: &[&str]) -> BrokerRules {
    brokers(&format!("[mqtt]\ntimestamp_keys = {timestamp_keys:?}\n")).remove(0)
}

fn message_for(letter: &DeadLetterRow, broker: &BrokerRules, at_arrival: bool) -> Result<Message, Refusal> {
    let time = ReplayTime { at_arrival, now: RECEIVED };
    super::message_for(letter, std::slice::from_ref(broker), time).map(|(_, message)| message)
}

fn letter(reason: Reason, topic: &str, payload: &[u8]) -> DeadLetterRow {
    DeadLetterRow {
        partition: 3,
        generation: 1,
        n: 2,
        item: 0,
        received: RECEIVED,
        reason: reason.as_str().to_owned(),
        detail: String::new(),
        topic: topic.to_owned(),
        payload: payload.to_vec(),
        payload_bytes: payload.len() as i64,
        content: 0,
        replayed: None,
        of_reading: false,
    }
}

/// The payload that is published for the payload of a message.
fn published(payload: &str) -> String {
    let letter = letter(Reason::TimestampTooOld, "sensors/a", payload.as_bytes());
    String::from_utf8(message_for(&letter, &rules(), false).unwrap().payload).unwrap()
}

#[test]
fn a_payload_without_a_time_gets_that_of_its_arrival_and_keeps_every_digit() {
    let time = "\"ts\":\"2026-11-22T11:00:00.000001Z\"";
    assert_eq!(published("21.50"), format!("{{\"value\":21.50,{time}}}"));
    assert_eq!(
        published(" {\"x\": 0.1000, \"note\": {\"a\": {}}} "),
        format!("{{\"x\": 0.1000, \"note\": {{\"a\": {{}}}},{time}}}")
    );
    assert_eq!(published("{ }"), format!("{{{time}}}"));
}

#[test]
fn a_payload_with_a_time_stays_as_it_is() {
    for payload in
        [r#"{"ts":1795341600,"x":1}"#, r#"{"x":1,"time":"nonsense"}"#, r#"[{"timestamp":1795341600,"x":1}]"#]
    {
        assert_eq!(published(payload), payload);
    }
}

#[test]
fn what_is_no_reading_stays_as_it_is() {
    for payload in ["", "nonsense", "{", "null", "\"two\"", "[1,2]", "{\"x\":1} 2"] {
        assert_eq!(published(payload), payload);
    }
    let bytes = letter(Reason::MalformedJson, "sensors/a", &[0xff, 0x7b]);
    assert_eq!(message_for(&bytes, &rules(), false).unwrap().payload, [0xff, 0x7b]);
}

#[test]
fn readings_of_one_message_are_a_microsecond_apart() {
    let payload = r#"[{"x":1}, {"bad":"text"}, {"ts":1795341605,"x":2}, {"x":3}]"#;
    let expected = concat!(
        r#"[{"x":1,"ts":"2026-11-22T11:00:00.000001Z"},{"bad":"text"},{"ts":1795341605,"x":2},"#,
        r#"{"x":3,"ts":"2026-11-22T11:00:00.000002Z"}]"#
    );
    assert_eq!(published(payload), expected);
}

#[test]
fn what_was_not_kept_whole_is_refused() {
    let mut cut = letter(Reason::PayloadTooLarge, "sensors/a", b"12");
    cut.payload_bytes = 70_000;
    let refusal = message_for(&cut, &rules(), false).unwrap_err();
    assert_eq!(refusal, Refusal::Cut { kept: 2, bytes: 70_000 });
    assert!(refusal.to_string().contains("2 of 70000 bytes"), "{refusal}");
    let long = letter(Reason::Empty, &"t".repeat(1_024), b"");
    assert_eq!(message_for(&long, &rules(), false), Err(Refusal::TopicCut(1_024)));
    assert_eq!(message_for(&letter(Reason::BadEntry, "", b"x"), &rules(), false), Err(Refusal::NoMessage));
}

#[test]
fn a_topic_that_nobody_receives_is_refused() {
    let elsewhere = letter(Reason::Empty, "plant/a", b"");
    assert_eq!(message_for(&elsewhere, &rules(), false), Err(Refusal::NotSubscribed("plant/a".to_owned())));
}

fn of_reading(fields: &[(&str, f64)], reason: Reason) -> DeadLetterRow {
    let fields: BTreeMap<&str, f64> = fields.iter().copied().collect();
    let reading = Reading {
        sensor: SensorName::new("site-1/mic").unwrap(),
        ts: RECEIVED,
        stamped: false,
        fields: FieldSet::new(fields.keys().map(|name| (*name).to_owned()).collect()).unwrap(),
        values: fields.values().copied().collect(),
    };
    let made = DeadLetter::of_reading(&reading, reason, "");
    DeadLetterRow { of_reading: made.of_reading, ..letter(made.reason, &made.topic, &made.payload) }
}

#[test]
fn a_letter_of_a_reading_goes_to_its_sensor_s_topic_with_the_reading_s_time() {
    let values = [("level", 0.1 + 0.2), ("low", -0.0), ("high", f64::MAX), ("tiny", 5e-324)];
    for reason in [Reason::TimestampConflict, Reason::Unstorable] {
        let message = message_for(&of_reading(&values, reason), &rules(), false).unwrap();
        assert_eq!(message.topic, "sensors/site-1/mic");
        let measured = rules().subscriptions[0].payloads.decode(&message.payload).unwrap().remove(0).unwrap();
        assert_eq!(measured.ts, Some(RECEIVED));
        let sorted: BTreeMap<&str, f64> = values.into_iter().collect();
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&measured.values), bits(&sorted.into_values().collect::<Vec<_>>()));
    }
}

#[test]
fn its_time_has_a_name_that_is_no_field_s_and_that_the_engine_knows() {
    let reading = of_reading(&[("ts", 1.0), ("x", 2.0)], Reason::TimestampConflict);
    let message = message_for(&reading, &rules_with(&["when"]), false).unwrap();
    let text = String::from_utf8(message.payload).unwrap();
    assert_eq!(text, r#"{"when":"2026-11-22T11:00:00.000001Z","ts":1.0,"x":2.0}"#);
    assert_eq!(message_for(&reading, &rules_with(&["ts"]), false), Err(Refusal::NoTimestampKey));
    // Its field would be taken for a time.
    let refusal = message_for(&reading, &rules_with(&["when", "ts"]), false).unwrap_err().to_string();
    assert!(refusal.contains("a reading with other values, of x"), "{refusal}");
}

#[test]
fn a_letter_of_a_reading_without_its_time_is_not_given_another() {
    let untimed = |reason| {
        let letter = letter(reason, "site-1/mic", br#"{"level":9.0}"#);
        DeadLetterRow { of_reading: true, ..letter }
    };
    assert_eq!(message_for(&untimed(Reason::TimestampConflict), &rules(), false), Err(Refusal::NoTime));
    assert_eq!(message_for(&untimed(Reason::TooManyFields), &rules(), false), Err(Refusal::NoTime));
}

/// A message and a reading can both have too many fields. The explanation is for people: its
/// wording decides nothing.
#[test]
fn the_wording_of_the_explanation_does_not_decide_how_a_dead_letter_is_replayed() {
    let mut of_detector = of_reading(&[("x", 1.0)], Reason::TooManyFields);
    of_detector.detail = "more fields than its detector takes".to_owned();
    let message = message_for(&of_detector, &rules(), false).unwrap();
    assert_eq!(message.topic, "sensors/site-1/mic");
    assert_eq!(message.payload, br#"{"ts":"2026-11-22T11:00:00.000001Z","x":1.0}"#);

    let mut of_message = letter(Reason::TooManyFields, "sensors/a", br#"{"ts":5,"x":1}"#);
    of_message.detail = "the detector of a at 2026-11-22T11:00:00Z: too many".to_owned();
    assert_eq!(message_for(&of_message, &rules(), false).unwrap().topic, "sensors/a");
}

#[test]
fn a_sensor_that_no_template_gives_is_refused_by_name() {
    let rules = brokers("[mqtt]\ntopics = [\"a/#\"]\ntemplates = [\"a/{x}\"]\n").remove(0);
    let refusal =
        message_for(&of_reading(&[("x", 1.0)], Reason::Unstorable), &rules, false).unwrap_err().to_string();
    assert!(refusal.contains("site-1/mic") && refusal.contains("mqtt.templates"), "{refusal}");
}

#[test]
fn filters_receive_as_a_broker_has_it() {
    for (filter, topic, expected) in [
        ("sensors/#", "sensors/a/b", true),
        ("sensors/#", "sensors", true),
        ("sensors/+", "sensors/a/b", false),
        ("sensors/+/b", "sensors/a/b", true),
        ("sensors/a", "sensors/a", true),
        ("sensors/a", "sensors/a/b", false),
        ("#", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("été/#", "été/a", true),
        ("$share/group/sensors/#", "sensors/a", true),
        ("other/#", "sensors/a", false),
    ] {
        assert_eq!(filter_receives(filter, topic), expected, "{filter} {topic}");
    }
}

#[test]
fn a_replay_at_arrival_replaces_the_written_time() {
    let at_arrival = |payload: &str| {
        let letter = letter(Reason::TimestampTooOld, "sensors/a", payload.as_bytes());
        message_for(&letter, &rules(), true).map(|message| String::from_utf8(message.payload).unwrap())
    };
    let time = |micros: i64| format!("\"ts\":\"2026-11-22T11:00:00.{micros:06}Z\"");
    assert_eq!(at_arrival(r#"{"time":12,"a":1.50}"#), Ok(format!("{{\"a\":1.50,{}}}", time(1))));
    let elements = format!("[{{\"a\":1,{}}},{{\"a\":2,{}}}]", time(1), time(2));
    assert_eq!(at_arrival(r#"[{"ts":12,"a":1},{"ts":13,"a":2}]"#), Ok(elements));
    assert_eq!(at_arrival("a b=1 12"), Err(Refusal::TimeStays), "line protocol");
}

/// The dead letter of the reading `{x: 1}` of a sensor.
fn of_sensor(sensor: &str) -> DeadLetterRow {
    DeadLetterRow { topic: sensor.to_owned(), ..of_reading(&[("x", 1.0)], Reason::TimestampConflict) }
}

#[test]
fn a_reading_that_no_message_gives_again_is_refused() {
    let refusal = |keys: &str, sensor: &str| {
        let rules =
            brokers(&format!("[mqtt]\ntopics = [\"plant/#\"]\ntemplates = [\"plant/{{s...}}\"]\n{keys}\n"));
        message_for(&of_sensor(sensor), &rules[0], false).unwrap_err().to_string()
    };
    // The topic alone does not name the sensor.
    let named = refusal("sensor = \"B-{topic.1}\"", "B-pump");
    assert!(named.contains("on plant/B-pump would be a reading of B-B-pump;"), "{named}");
    let labelled = refusal("sensor = \"{device.id}\"", "pump");
    assert!(labelled.contains("a dead letter again (no_sensor"), "{labelled}");
    let rooted = refusal("root = \"data\"", "pump");
    assert!(rooted.contains("a dead letter again (no_numeric_field"), "{rooted}");
    let ignored = refusal("ignore = [{ topic = \"plant/pump\" }]", "pump");
    assert!(ignored.contains("would be ignored"), "{ignored}");
    let late = ReplayTime { at_arrival: false, now: Timestamp(RECEIVED.0 + 500 * 86_400_000_000) };
    let refused = super::message_for(&of_sensor("a"), &[rules()], late).unwrap_err().to_string();
    assert!(refused.contains("timestamp_too_old"), "{refused}");
}

#[test]
fn another_subscription_may_give_the_reading_again() {
    let text = r#"
        [[mqtt.subscriptions]]
        topics = ["plant/#"]
        templates = ["plant/{s...}"]
        sensor = "B-{topic.1}"
        [[mqtt.subscriptions]]
        topics = ["replay/#"]
        templates = ["replay/{sensor...}"]
    "#;
    let message = message_for(&of_sensor("B-pump"), &brokers(text)[0], false).unwrap();
    assert_eq!(message.topic, "replay/B-pump");
}

#[test]
fn a_time_without_a_name_is_refused_until_one_is_added() {
    let letter = letter(Reason::MalformedJson, "zigbee2mqtt/a", br#"{"state":"ON"}"#);
    let preset = |keys: &str| brokers(&format!("[mqtt]\npreset = \"zigbee2mqtt\"\n{keys}")).remove(0);
    let refusal = message_for(&letter, &preset(""), false).unwrap_err().to_string();
    assert!(refusal.contains("add one, such as \"replayed_at\""), "{refusal}");
    let message = message_for(&letter, &preset("timestamp_keys = [\"replayed_at\"]"), false).unwrap();
    assert!(String::from_utf8(message.payload).unwrap().contains("\"replayed_at\":\"2026-"));
}

#[test]
fn a_topic_of_several_brokers_is_refused() {
    let text = r#"
        [[mqtt]]
        url = "mqtt://a"
        [[mqtt]]
        name = "plant"
        url = "mqtt://b"
    "#;
    let brokers = brokers(text);
    let time = ReplayTime { at_arrival: false, now: RECEIVED };
    for letter in [letter(Reason::Empty, "sensors/a", b""), of_sensor("a")] {
        let refusal = super::message_for(&letter, &brokers, time).unwrap_err().to_string();
        assert!(refusal.contains("sensors/a is a topic of several brokers (a:1883, plant)"), "{refusal}");
        let (broker, _) = super::message_for(&letter, &brokers[1..], time).unwrap();
        assert_eq!(broker.index, 1);
    }
}
