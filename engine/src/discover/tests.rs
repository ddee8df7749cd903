use std::io::Write as _;

use super::capture::Message;
use super::proposal::Proposal;
use super::proposals::proposals;
use super::*;
use crate::config::{Overrides, load};

const NOW: i64 = 1_795_629_600_000_000;

fn config(text: &str) -> Config {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(Some(file.path()), &Overrides::new()).unwrap().config
}

fn capture() -> Capture {
    let mut capture = Capture::default();
    for (topic, payload) in [
        (
            "tele/boiler/SENSOR",
            r#"{"Time":"2026-11-25T19:00:18","DS18B20":{"Temperature":20.6},"TempUnit":"C"}"#,
        ),
        ("zigbee2mqtt/Hall/Door", r#"{"contact":false,"last_seen":1795629534884}"#),
        ("zigbee2mqtt/bridge/state", "online"),
        ("home/hall/temp_C", "21.5"),
        ("home/attic/temp_C", "19.5"),
        ("gateway/lora", r#"{"dev_eui":"a1","measured_at":1795629600,"rain_mm":2}"#),
        ("gateway/lora", r#"{"dev_eui":"a2","measured_at":1795629601,"rain_mm":2}"#),
        ("gateway/lora", r#"{"dev_eui":"a1","measured_at":1795629602,"rain_mm":3}"#),
        ("gateway/lora", r#"{"dev_eui":"a2","measured_at":1795629603,"rain_mm":3}"#),
        ("log/esp", "boot after watchdog"),
    ] {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        capture.add(Message { topic, payload, retained: false });
    }
    capture
}

fn proposed() -> Vec<Proposal> {
    proposals(&config("").mqtt[0].messages, &capture(), NOW).unwrap()
}

#[test]
fn every_message_belongs_to_one_proposal() {
    let found: Vec<(String, Option<&str>, u64, u64)> = proposed()
        .iter()
        .map(|one| (one.filters[0].clone(), one.preset, one.findings.messages, one.findings.readings))
        .collect();
    let expected = [
        ("tele/+/SENSOR", Some("tasmota"), 1, 1),
        ("zigbee2mqtt/#", Some("zigbee2mqtt"), 2, 1),
        ("gateway/lora", None, 4, 4),
        ("home/+/temp_C", None, 2, 2),
        ("log/esp", None, 1, 0),
    ];
    let mut sorted = found.clone();
    sorted.sort();
    let mut expected =
        expected.map(|(filter, preset, messages, readings)| (filter.to_owned(), preset, messages, readings));
    expected.sort();
    assert_eq!(sorted, expected);
}

#[test]
fn devices_that_share_a_topic_are_told_apart_and_times_are_found() {
    let proposals = proposed();
    let gateway = proposals.iter().find(|one| one.filters[0] == "gateway/lora").unwrap();
    assert_eq!(gateway.findings.sensors.iter().collect::<Vec<_>>(), ["lora/a1", "lora/a2"]);
    assert_eq!(gateway.findings.without_time, 0);
    assert_eq!(gateway.findings.units["rain_mm"], "mm");
    let tasmota = proposals.iter().find(|one| one.preset == Some("tasmota")).unwrap();
    assert!(tasmota.notes[0].contains("time_zone"), "{:?}", tasmota.notes);
    assert!(tasmota.findings.left_out["TempUnit"].reason.contains("text"));
}

#[test]
fn the_written_configuration_reads_the_same_messages() {
    let proposals = proposed();
    let text = write::text_of("mqtt://broker.local", &proposals).unwrap();
    let config = config(&text);
    assert_eq!(config.mqtt[0].broker.url, "mqtt://broker.local");
    let subscriptions = config.subscriptions().unwrap();
    let capture = capture();
    let readings: u64 = proposals.iter().map(|one| one.findings.readings).sum();
    let findings = super::findings::Findings::of(&subscriptions, capture.messages.iter(), NOW).unwrap();
    assert_eq!(findings.readings, readings);
    assert!(!text.contains("log/esp"), "{text}");
}

fn proposals_of(messages: &[(&str, &str)]) -> Vec<Proposal> {
    let mut capture = Capture::default();
    for (topic, payload) in messages {
        let (topic, payload) = ((*topic).to_owned(), payload.as_bytes().to_vec());
        capture.add(Message { topic, payload, retained: false });
    }
    proposals(&config("").mqtt[0].messages, &capture, NOW).unwrap()
}

#[test]
fn presets_with_a_topic_of_their_own_are_tried_first() {
    let found = proposals_of(&[
        ("homeassistant/sensor/outdoor/state", "-3.5"),
        ("plug/sensor/heater/state", "21"),
        ("plug/switch/heater/state", "ON"),
    ]);
    let presets: Vec<Option<&str>> = found.iter().map(|one| one.preset).collect();
    assert_eq!(presets, [Some("home-assistant-statestream"), Some("esphome")]);
    assert_eq!(
        found[1].findings.sensors.iter().collect::<Vec<_>>(),
        ["plug/sensor/heater", "plug/switch/heater"]
    );
}

#[test]
fn a_time_zone_is_advised_only_for_local_times() {
    let found = proposals_of(&[("plug/sensor/heater/state", "21")]);
    assert!(!found[0].notes.iter().any(|note| note.contains("time_zone")), "{:?}", found[0].notes);
    let local = r#"{"Time":"2026-11-25T19:00:18","DS18B20":{"Temperature":20.6}}"#;
    let found = proposals_of(&[("tele/boiler/SENSOR", local)]);
    assert!(found[0].notes.iter().any(|note| note.contains("time_zone")), "{:?}", found[0].notes);
}

/// The sensors of each proposal.
fn sensors(proposals: &[Proposal]) -> Vec<Vec<&str>> {
    proposals.iter().map(|one| one.findings.sensors.iter().map(String::as_str).collect()).collect()
}

#[test]
fn topics_of_different_forms_have_different_sensors() {
    for topics in [
        &[
            "esp1/temperature",
            "esp1/humidity",
            "esp2/temperature",
            "esp2/humidity",
            "esp3/temperature",
            "esp3/status",
        ][..],
        &["boiler/flow/temperature", "pool/temperature", "home/cellar/freezer/temperature"],
        &["kitchen/tele/SENSOR", "hall/tele/SENSOR", "hall/stat/RESULT", "kitchen/stat/RESULT"],
        &["garage/hall/hum", "house/hall/hum", "house/attic/hum"],
        &["zigbee2mqtt/plug", "home/plug"],
    ] {
        let messages: Vec<_> = topics.iter().map(|topic| (*topic, r#"{"power":21.5}"#)).collect();
        let found = proposals_of(&messages);
        let sensors = sensors(&found).concat();
        let different: std::collections::BTreeSet<&str> = sensors.iter().copied().collect();
        assert_eq!((sensors.len(), different.len()), (topics.len(), topics.len()), "{sensors:?}");
        let config = config(&write::text_of("mqtt://broker.local", &found).unwrap());
        for proposal in &found {
            let written = config.subscriptions().unwrap();
            let written = written.iter().find(|one| one.topics == proposal.filters).unwrap();
            let sensor = proposal.keys.get("sensor").and_then(|sensor| sensor.as_str());
            assert_eq!(written.sensor, sensor.unwrap_or_default());
        }
    }
    let found =
        proposals_of(&[("esp1/temperature", "21"), ("esp1/humidity", "48"), ("esp2/temperature", "22")]);
    assert_eq!(
        sensors(&found),
        [&["esp1/humidity", "esp1/temperature"][..], &["esp2/temperature"]],
        "by all levels of the topic"
    );
}

#[test]
fn a_topic_of_another_kind_does_not_hide_the_devices_of_a_topic() {
    let out = |idx: u32| format!(r#"{{"idx":{idx},"nvalue":0,"svalue1":"21.5"}}"#);
    let out: Vec<String> = [1, 2, 3, 1, 2, 3, 1, 2, 3].map(out).into();
    let mut messages: Vec<(&str, &str)> = out.iter().map(|text| ("domoticz/out", text.as_str())).collect();
    messages.push(("domoticz/in", r#"{"command":"udevice","nvalue":1}"#));
    let found = proposals_of(&messages);
    assert_eq!(sensors(&found), [&["out/1", "out/2", "out/3"][..], &["in"]]);
    let filters: Vec<&str> = found.iter().map(|one| one.filters[0].as_str()).collect();
    assert_eq!(filters, ["domoticz/out", "domoticz/in"]);

    // Topics that no filter tells from the others are named one by one.
    let ids = |id: u32| format!(r#"{{"id":"{id}","t":1}}"#);
    let ids: Vec<String> = [1, 2, 1, 2].map(ids).into();
    let mut messages = Vec::new();
    for text in &ids {
        messages.extend([("gw/1/x", text.as_str()), ("gw/2/y", text.as_str()), ("gw/2/x", r#"{"t":1}"#)]);
    }
    let found = proposals_of(&messages);
    assert_eq!(found[0].filters, ["gw/1/x", "gw/2/y"]);
    assert_eq!(sensors(&found), [&["1/x/1", "1/x/2", "2/y/1", "2/y/2"][..], &["x"]]);
}

#[test]
fn a_clock_that_cannot_be_read_leaves_the_arrival() {
    let found = proposals_of(&[
        ("esp/hall", r#"{"time":"12:00:05","temp":21.5}"#),
        ("esp/attic", r#"{"time":"12:00:06","temp":19.5}"#),
    ]);
    assert_eq!((found[0].findings.readings, found[0].findings.dead_letters.len()), (2, 0));
    assert!(found[0].notes.iter().any(|note| note.contains("arrival time")), "{:?}", found[0].notes);
    let text = write::text_of("mqtt://broker.local", &found).unwrap();
    assert!(text.contains("\non_bad_time = \"arrival\"\n"), "{text}");
}

#[test]
fn retained_messages_alone_are_proposed_as_a_comment() {
    let mut capture = Capture::default();
    for (topic, payload, retained) in [
        ("homeassistant/sensor/a/config", r#"{"name":"a","expire_after":60}"#, true),
        ("shelly1/online", "true", true),
        ("home/hall/temp", "21.5", true),
        ("home/attic/temp", "21.5", false),
    ] {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        capture.add(Message { topic, payload, retained });
    }
    let found = proposals(&config("").mqtt[0].messages, &capture, NOW).unwrap();
    for proposal in &found {
        let has_note = proposal.notes.iter().any(|note| note.contains("only retained messages"));
        assert_eq!(has_note, !proposal.filters[0].starts_with("home/"), "{:?}", proposal.filters);
    }
    let text = write::text_of("mqtt://broker.local", &found).unwrap();
    let config = config(&text);
    let topics: Vec<String> =
        config.subscriptions().unwrap().into_iter().flat_map(|one| one.topics).collect();
    assert_eq!(topics, ["home/+/temp"]);
    assert!(text.contains("# topics = [\"shelly1/online\"]"), "{text}");
}

#[test]
fn a_preset_is_judged_by_what_the_engine_reads() {
    let mut capture = Capture::default();
    for (payload, retained) in
        [(r#"{"state":"ON"}"#, true), (r#"{"state":"OFF"}"#, true), ("no reading", false)]
    {
        let (topic, payload) = ("zigbee2mqtt/plug".to_owned(), payload.as_bytes().to_vec());
        capture.add(Message { topic, payload, retained });
    }
    let found = proposals(&config("").mqtt[0].messages, &capture, NOW).unwrap();
    assert_eq!(found[0].preset, None);
}

#[test]
fn a_topic_with_braces_costs_no_other_proposal() {
    for topic in ["esp/{{name}}/state", "esp/a{x/state", "esp/{}/{a b}/state"] {
        let found = proposals_of(&[("good/a", "21.5"), (topic, r#"{"t":2}"#), ("good/b", "22.5")]);
        assert_eq!(found.iter().map(|one| one.findings.readings).collect::<Vec<_>>(), [1, 2], "{topic}");
        let config = config(&write::text_of("mqtt://broker.local", &found).unwrap());
        assert_eq!(config.subscriptions().unwrap()[0].topics, [topic]);
    }
}

#[test]
fn a_proposal_that_no_configuration_can_express_is_a_note() {
    let message = |id: u32| format!(r#"{{"a}}b":{{"id":{id}}},"value":1}}"#);
    let gateway: Vec<String> = [1, 2, 1, 2].map(message).into();
    let mut messages: Vec<(&str, &str)> = gateway.iter().map(|text| ("gateway/x", text.as_str())).collect();
    messages.push(("good/a", "21.5"));
    let found = proposals_of(&messages);
    assert_eq!(found.iter().map(|one| one.findings.readings).collect::<Vec<_>>(), [0, 1]);
    assert!(found[0].notes[0].contains("brace"), "{:?}", found[0].notes);
    assert_eq!(found[0].findings.messages, 4);
}

#[test]
fn a_member_with_the_name_of_a_capture_tells_devices_apart() {
    let message = |id: u32| format!(r#"{{"device":"d{id}","value":1}}"#);
    let gateway: Vec<String> = [1, 2, 1, 2].map(message).into();
    let messages: Vec<(&str, &str)> = gateway.iter().map(|text| ("gateway/x", text.as_str())).collect();
    assert_eq!(sensors(&proposals_of(&messages)), [["x/d1", "x/d2"]]);
}

#[test]
fn elements_of_arrays_that_name_what_they_measure_are_sensors() {
    let opc = r#"[{"NodeId":"ns=2;s=Temp","Value":{"Value":21.5,"SourceTimestamp":"2026-11-25T17:59:18Z"}},{"NodeId":"ns=2;s=Pressure","Value":{"Value":900.1,"SourceTimestamp":"2026-11-25T17:59:18Z"}}]"#;
    let tags =
        r#"[{"ts":1795629600000,"tag":"temp","value":21},{"ts":1795629600000,"tag":"pres","value":2}]"#;
    let kepware = r#"{"timestamp":1795629600000,"values":[{"id":"Ch1.Tag1","v":42,"q":true,"t":1795629599999},{"id":"Ch1.Tag2","v":7.5,"q":true,"t":1795629599999}]}"#;
    let found = proposals_of(&[("a/opc", opc), ("b/tags", tags), ("c/kep", kepware)]);
    assert_eq!(
        sensors(&found),
        [
            ["opc/ns=2;s=Pressure", "opc/ns=2;s=Temp"],
            ["tags/pres", "tags/temp"],
            ["kep/Ch1.Tag1", "kep/Ch1.Tag2"]
        ]
    );
    assert!(found.iter().all(|one| one.findings.without_time == 0), "{found:?}");
    let text = write::text_of("mqtt://broker.local", &found).unwrap();
    assert!(text.contains("root = \"values\"\ntimestamp_keys = [\"t\", \"timestamp\"]"), "{text}");
    assert_eq!(config(&text).subscriptions().unwrap()[2].root, "values");
}

#[test]
fn an_array_beside_other_fields_and_an_unknown_member_get_a_note() {
    let edge = r#"{"seq":1,"vals":[{"id":"101","val":21.5},{"id":"102","val":900}]}"#;
    let what =
        r#"[{"ts":1795629600000,"what":"temp","value":21},{"ts":1795629600000,"what":"pres","value":2}]"#;
    let found = proposals_of(&[("a/edge", edge), ("b/what", what)]);
    assert_eq!(sensors(&found), [["edge"], ["what"]]);
    assert!(
        found[0].notes[0].ends_with("set root = \"vals\", sensor = \"{device}/{id}\"."),
        "{:?}",
        found[0].notes
    );
    assert!(found[1].notes[0].contains("add {what} to sensor"), "{:?}", found[1].notes);
}

#[test]
fn the_name_of_a_member_writes_no_line_of_the_configuration() {
    let message = |id: u32| format!(r#"{{"a\n[http]\n#":{{"id":{id}}},"value":1}}"#);
    let gateway: Vec<String> = [1, 2, 1, 2].map(message).into();
    let messages: Vec<(&str, &str)> = gateway.iter().map(|text| ("gateway/x", text.as_str())).collect();
    let text = write::text_of("mqtt://broker.local", &proposals_of(&messages)).unwrap();
    assert!(text.contains("the member a\\n[http]"), "{text}");
    assert_eq!(config(&text).subscriptions().unwrap()[0].sensor, "{device}/{a\n[http]\n#.id}");
}
