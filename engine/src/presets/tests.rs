//! Each preset reads payloads as the public documentation of its devices shows them.

use std::io::Write as _;

use thicket_actors::source::{DecodeMessage, MessageDecoder, Severity, filter_receives, misfits};
use thicket_schema::Item;

use super::*;
use crate::brokers::decode_options;
use crate::config::{Config, Overrides, load};

const NOW: i64 = 1_795_629_660_000_000;

fn config(text: &str) -> Config {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(Some(file.path()), &Overrides::new()).unwrap().config
}

/// The sensor and the fields of each reading, or the reason of each dead letter.
fn read(keys: &str, topic: &str, payload: &[u8]) -> Vec<String> {
    let config = config(&format!("[mqtt]\n{keys}\n"));
    let filters = config.mqtt[0].subscriptions().unwrap();
    let mut filters = filters.iter().flat_map(|subscription| &subscription.topics);
    if !filters.any(|filter| filter_receives(filter, topic)) {
        return vec!["not subscribed".to_owned()];
    }
    let decoder = MessageDecoder::new(decode_options(&config).unwrap());
    if decoder.ignore_reason(topic, payload).is_some() {
        return vec!["ignored".to_owned()];
    }
    let records = decoder.decode(DecodeMessage::new(topic, &payload.to_vec().into(), NOW));
    let describe = |item: &Item| match item {
        Item::Reading(reading) => {
            let values = reading.fields.names().iter().zip(&reading.values);
            let values: Vec<String> = values.map(|(name, value)| format!("{name}={value}")).collect();
            let time = if reading.stamped { "now".to_owned() } else { reading.ts.to_string() };
            format!("{} {} {time}", reading.sensor, values.join(" "))
        }
        Item::DeadLetter(letter) => format!("{}: {}", letter.reason, letter.detail),
        Item::Control(_) => panic!("a message is no control entry"),
    };
    records.iter().map(|(_, record)| describe(&record.item)).collect()
}

fn preset(name: &str, topic: &str, payload: &str) -> Vec<String> {
    read(&format!("preset = {name:?}"), topic, payload.as_bytes())
}

#[test]
fn every_preset_is_a_valid_configuration_with_a_comment() {
    for (name, text) in PRESETS {
        let config = config(&format!("[mqtt]\npreset = {name:?}\n"));
        assert!(!config.subscriptions().unwrap().is_empty());
        assert!(first_sentence(text).ends_with('.'), "{name}");
    }
    assert!(PRESETS.is_sorted());
}

#[test]
fn tasmota() {
    let payload =
        r#"{"Time":"2026-11-25T19:00:18","DS18B20":{"Id":"01131B123456","Temperature":20.6},"TempUnit":"C"}"#;
    assert_eq!(
        preset("tasmota", "tele/boiler/SENSOR", payload),
        ["boiler/SENSOR DS18B20.Temperature=20.6 now"]
    );
    let with_zone =
        read("preset = \"tasmota\"\ntime_zone = \"Europe/Berlin\"", "tele/boiler/SENSOR", payload.as_bytes());
    assert_eq!(with_zone, ["boiler/SENSOR DS18B20.Temperature=20.6 2026-11-25T18:00:18.000000Z"]);
    assert_eq!(preset("tasmota", "tele/boiler/LWT", "Online"), ["not subscribed"]);
}

#[test]
fn zigbee2mqtt() {
    let payload = r#"{"battery":100,"contact":false,"last_seen":1795629534884,"linkquality":40,"update":{"state":"idle","installed_version":5}}"#;
    assert_eq!(
        preset("zigbee2mqtt", "zigbee2mqtt/Hall/Door", payload),
        ["Hall/Door battery=100 contact=0 linkquality=40 now"]
    );
    assert_eq!(
        preset("zigbee2mqtt", "zigbee2mqtt/Hall/Door/availability", r#"{"state":"online"}"#),
        ["ignored"]
    );
    assert_eq!(preset("zigbee2mqtt", "zigbee2mqtt/bridge/info", r#"{"version":"2.1"}"#), ["ignored"]);
    for name in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        for end in ["set", "set/state", "get", "get/state", "availability"] {
            let topic = format!("zigbee2mqtt/{name}/{end}");
            assert_eq!(preset("zigbee2mqtt", &topic, r#"{"state":"ON"}"#), ["ignored"], "{topic}");
        }
        let read = preset("zigbee2mqtt", &format!("zigbee2mqtt/{name}"), r#"{"state":"ON"}"#);
        assert_eq!(read, [format!("{name} state=1 now")]);
    }
}

#[test]
fn esphome() {
    assert_eq!(
        preset("esphome", "greenhouse/sensor/air_temp/state", "21.53"),
        ["greenhouse/sensor/air_temp value=21.53 now"]
    );
    assert_eq!(
        preset("esphome", "greenhouse/binary_sensor/door/state", "ON"),
        ["greenhouse/binary_sensor/door value=1 now"]
    );
    assert_eq!(preset("esphome", "greenhouse/sensor/air_temp/state", "nan"), ["ignored"]);
    assert_eq!(preset("esphome", "greenhouse/status", "online"), ["not subscribed"]);
}

#[test]
fn shelly_of_the_first_generation() {
    let topic = "shellies/shelly1pm-68C63AF/relay/0/power";
    assert_eq!(preset("shelly-gen1", topic, "23.91"), ["shelly1pm-68C63AF/relay/0/power value=23.91 now"]);
    assert_eq!(
        preset("shelly-gen1", "shellies/shelly1pm-68C63AF/relay/0", "on"),
        ["shelly1pm-68C63AF/relay/0 value=1 now"]
    );
    assert_eq!(preset("shelly-gen1", "shellies/shelly1pm-68C63AF/online", "true"), ["ignored"]);
    for (topic, payload) in [
        ("shellies/announce", r#"{"id":"shelly1-1","new_fw":false}"#),
        ("shellies/command", "announce"),
        ("shellies/s/roller/0/command/pos", "50"),
        ("shellies/s/light/0/command", "on"),
        ("shellies/s/roller/0", "stop"),
        ("shellies/s/sensor/act_reasons", r#"["periodic"]"#),
        ("shellies/s/sensor/operation", "warmup"),
        ("shellies/s/sensor/self_test", "completed"),
    ] {
        assert_eq!(preset("shelly-gen1", topic, payload), ["ignored"], "{topic}");
    }
    assert_eq!(preset("shelly-gen1", "shellies/s/roller/0", "open"), ["s/roller/0 value=1 now"]);
    for (payload, value) in [("normal", 0), ("fault", 1)] {
        let expected = format!("s/sensor/operation value={value} now");
        assert_eq!(preset("shelly-gen1", "shellies/s/sensor/operation", payload), [expected]);
    }
    // The time of the last motion, not of the message.
    let status = r#"{"motion":true,"timestamp":1795629600,"lux":62}"#;
    assert_eq!(preset("shelly-gen1", "shellies/m/status", status), ["m/status lux=62 motion=1 now"]);
}

#[test]
fn shelly_of_the_second_generation() {
    let notify = r#"{"src":"shellyplus1pm-a8032abe54dc","dst":"shelly/events","method":"NotifyStatus","params":{"ts":1795629545.04,"switch:0":{"id":0,"apower":8.9,"output":true,"aenergy":{"by_minute":[1.5,2.5],"minute_ts":1795629545,"total":6.5}}}}"#;
    assert_eq!(
        preset("shelly-gen2", "shellyplus1pm-a8032abe54dc/events/rpc", notify),
        [
            "shellyplus1pm-a8032abe54dc switch:0.aenergy.by_minute.0=1.5 switch:0.aenergy.by_minute.1=2.5 switch:0.aenergy.total=6.5 switch:0.apower=8.9 switch:0.output=1 2026-11-25T17:59:05.040000Z"
        ]
    );
    let event = r#"{"src":"a","method":"NotifyEvent","params":{"ts":1795629545.04,"events":[{"id":0,"event":"btn_down"}]}}"#;
    assert_eq!(preset("shelly-gen2", "shellyplus1pm-a8032abe54dc/events/rpc", event), ["ignored"]);
    let status = r#"{"id":0,"temperature":{"tC":41.2,"tF":106.2}}"#;
    assert_eq!(
        preset("shelly-gen2", "shellyplus1pm-a8032abe54dc/status/switch:0", status),
        ["shellyplus1pm-a8032abe54dc/switch:0 temperature.tC=41.2 temperature.tF=106.2 now"]
    );
    for button in [r#"{"id":0,"state":null}"#, r#"{"id":100,"state":null}"#] {
        assert_eq!(preset("shelly-gen2", "s/status/input:0", button), ["ignored"]);
    }
    let switch = r#"{"id":0,"state":true}"#;
    assert_eq!(preset("shelly-gen2", "s/status/input:0", switch), ["s/input:0 state=1 now"]);
    let system = r#"{"method":"NotifyStatus","params":{"ts":1795629545.0,"sys":{"unixtime":1795629545,"uptime":11081}}}"#;
    assert_eq!(
        preset("shelly-gen2", "s/events/rpc", system),
        ["s sys.uptime=11081 2026-11-25T17:59:05.000000Z"]
    );
}

#[test]
fn rtl_433() {
    let payload = r#"{"time":"2026-11-25 19:00:18","model":"Acurite-Tower","id":8946,"channel":"A","battery_ok":1,"temperature_C":4.2,"humidity":66,"mic":"CHECKSUM"}"#;
    assert_eq!(
        preset("rtl_433", "rtl_433/pi/events", payload),
        ["Acurite-Tower/A/8946 battery_ok=1 humidity=66 temperature_C=4.2 now"]
    );
    let without_channel = r#"{"model":"Bresser-3CH","id":23,"temperature_C":21.3}"#;
    assert_eq!(
        preset("rtl_433", "rtl_433/pi/events", without_channel),
        ["Bresser-3CH/23 temperature_C=21.3 now"]
    );
    let without_id = preset("rtl_433", "rtl_433/pi/events", r#"{"model":"Generic-Remote","cmd":7}"#);
    assert!(without_id[0].starts_with("no_sensor: "), "{without_id:?}");
}

#[test]
fn the_things_stack() {
    let payload = r#"{"end_device_ids":{"device_id":"field-7"},"received_at":"2026-11-25T18:00:00.123456789Z","uplink_message":{"f_port":1,"f_cnt":17,"decoded_payload":{"TempC":"12.5","soil":{"moisture":28.4}},"rx_metadata":[{"rssi":-97}],"received_at":"2026-11-25T17:59:59.9Z"}}"#;
    assert_eq!(
        preset("ttn-v3", "v3/farm@ttn/devices/field-7/up", payload),
        ["farm@ttn/field-7 TempC=12.5 soil.moisture=28.4 2026-11-25T17:59:59.900000Z"]
    );
}

#[test]
fn chirpstack() {
    let payload = r#"{"deduplicationId":"3ac7e3c4","time":"2026-11-25T18:00:00.433777+00:00","deviceInfo":{"applicationName":"farm","devEui":"0101010101010101"},"fCnt":10,"object":{"humidity":55.5,"alarm":false},"rxInfo":[{"rssi":-48}]}"#;
    assert_eq!(
        preset("chirpstack-v4", "application/17c82e96/device/0101010101010101/event/up", payload),
        ["farm/0101010101010101 alarm=0 humidity=55.5 2026-11-25T18:00:00.433777Z"]
    );
}

#[test]
fn homie() {
    assert_eq!(
        preset("homie", "homie/super-car/engine/temperature", "21.5"),
        ["super-car/engine/temperature value=21.5 now"]
    );
    assert_eq!(preset("homie", "homie/5/super-car/engine/on", "true"), ["super-car/engine/on value=1 now"]);
    assert_eq!(preset("homie", "homie/super-car/engine/$name", "Car engine"), ["ignored"]);
    assert_eq!(preset("homie", "homie/5/super-car/$state", "ready"), ["ignored"]);
    for topic in [
        "homie/super-car/$implementation/version",
        "homie/super-car/lights/$array",
        "homie/5/super-car/$log/warn",
        "homie/5/super-car/$log",
        "homie/5/super-car/$alert/battery",
    ] {
        assert_eq!(preset("homie", topic, "0-3"), ["ignored"], "{topic}");
    }
}

#[test]
fn home_assistant_statestream() {
    let topic = "homeassistant/sensor/outdoor_temperature/state";
    assert_eq!(
        preset("home-assistant-statestream", topic, "-3.5"),
        ["sensor/outdoor_temperature value=-3.5 now"]
    );
    assert_eq!(preset("home-assistant-statestream", topic, "unavailable"), ["ignored"]);
    let door = "homeassistant/binary_sensor/door/state";
    assert_eq!(preset("home-assistant-statestream", door, "off"), ["binary_sensor/door value=0 now"]);
}

#[test]
fn telegraf_json() {
    let payload = r#"{"fields":{"usage_idle":97.5,"usage_user":1.5},"name":"cpu","tags":{"host":"north","cpu":"cpu0"},"timestamp":1795629600}"#;
    assert_eq!(
        preset("telegraf-json", "telegraf/north/cpu", payload),
        ["cpu/cpu=cpu0,host=north usage_idle=97.5 usage_user=1.5 2026-11-25T18:00:00.000000Z"]
    );
}

#[test]
fn telegraf_json_of_a_disk_and_without_tags() {
    let disk = r#"{"fields":{"free":1},"name":"disk","tags":{"path":"/"},"timestamp":1795629600}"#;
    assert_eq!(
        preset("telegraf-json", "telegraf/north/disk", disk),
        ["disk/path=%2F free=1 2026-11-25T18:00:00.000000Z"]
    );
    let plain = r#"{"fields":{"free":1},"name":"mem","tags":{},"timestamp":1795629600}"#;
    assert_eq!(
        preset("telegraf-json", "telegraf/north/mem", plain),
        ["mem free=1 2026-11-25T18:00:00.000000Z"]
    );
}

#[test]
fn thingsboard() {
    let with_time = r#"{"ts":1795629600000,"values":{"temperature":21.5,"door":"open"}}"#;
    assert_eq!(
        preset("thingsboard", "v1/devices/pump-3/telemetry", with_time),
        ["pump-3 door=1 temperature=21.5 2026-11-25T18:00:00.000000Z"]
    );
    assert_eq!(
        preset("thingsboard", "v1/devices/pump-3/telemetry", r#"{"temperature":21.5}"#),
        ["pump-3 temperature=21.5 now"]
    );
}

#[test]
fn sparkplug_b() {
    use thicket_codecs::formats::sparkplug::{Metric, MetricValue, Payload};
    let metric = Metric {
        name: Some("Motor/Speed".to_owned()),
        value: Some(MetricValue::Double(21.5)),
        ..Metric::default()
    };
    let payload =
        Payload { timestamp: Some(1_795_629_600_000), metrics: vec![metric], seq: Some(0) }.to_bytes();
    let read = |topic| read("preset = \"sparkplug-b\"", topic, &payload);
    assert_eq!(
        read("spBv1.0/plant/NBIRTH/edge"),
        ["plant/edge Motor/Speed=21.5 2026-11-25T17:59:59.999999Z"]
    );
    assert_eq!(
        read("spBv1.0/plant/DDATA/edge/press"),
        ["plant/edge/press Motor/Speed=21.5 2026-11-25T18:00:00.000000Z"]
    );
    assert_eq!(read("spBv1.0/plant/NDEATH/edge"), [""; 0]);
}

#[test]
fn senml() {
    let payload = r#"[{"bn":"urn:dev:mac:0200:","bt":1795629600,"n":"voltage","u":"V","v":229.8},{"n":"door","vb":true}]"#;
    assert_eq!(
        preset("senml", "senml/hall", payload),
        ["hall door=1 voltage=229.8 2026-11-25T18:00:00.000000Z"]
    );
}

#[test]
fn an_unknown_preset_is_refused_with_the_known_ones() {
    let error = subscriptions_of("tasmata").unwrap_err().to_string();
    assert!(error.contains("tasmata") && error.contains("tasmota, telegraf-json"), "{error}");
}

#[test]
fn the_topics_and_templates_of_every_preset_fit() {
    for name in names() {
        let config = config(&format!("[mqtt]\npreset = \"{name}\"\n"));
        let found = misfits(&decode_options(&config).unwrap().subscriptions);
        assert!(found.iter().all(|misfit| misfit.severity() == Severity::Notable), "{name}: {found:?}");
    }
}

#[test]
fn zigbee2mqtt_sends_again_with_the_time_at_which_the_radio_was_last_heard() {
    for last_seen in ["1795629534884", r#""2026-11-25T17:58:54.884Z""#] {
        for (occupancy, value) in [("true", 1), ("false", 0)] {
            let payload = format!(r#"{{"occupancy":{occupancy},"last_seen":{last_seen}}}"#);
            let expected = format!("Hall/Motion occupancy={value} now");
            assert_eq!(preset("zigbee2mqtt", "zigbee2mqtt/Hall/Motion", &payload), [expected]);
        }
    }
}

#[test]
fn an_uplink_without_data_is_ignored_and_one_without_a_formatter_is_not() {
    let ttn = |uplink: &str| {
        let payload = format!(r#"{{"end_device_ids":{{"device_id":"a"}},"uplink_message":{uplink}}}"#);
        preset("ttn-v3", "v3/farm@ttn/devices/a/up", &payload)
    };
    assert_eq!(ttn(r#"{"f_cnt":17,"rx_metadata":[{"rssi":-97}]}"#), ["ignored"]);
    let without_formatter = ttn(r#"{"f_cnt":17,"frm_payload":"AQI="}"#);
    assert!(without_formatter[0].contains("uplink_message.decoded_payload is mqtt.root"));
    assert_eq!(ttn(r#"{"decoded_payload":{"t":1}}"#), ["farm@ttn/a t=1 now"]);
    let chirpstack = |members: &str| {
        let payload = format!(r#"{{"deviceInfo":{{"applicationName":"farm"}},{members}}}"#);
        preset("chirpstack-v4", "application/1/device/a/event/up", &payload)
    };
    assert_eq!(chirpstack(r#""fCnt":10,"object":null,"data":"""#), ["ignored"]);
    let without_codec = chirpstack(r#""fCnt":10,"data":"AQI=""#);
    assert!(without_codec[0].starts_with("no_numeric_field"), "{without_codec:?}");
}

#[test]
fn documented_states_of_shellies_are_readings_or_ignored() {
    for (topic, payload, value) in [
        ("temperature_status", "Normal", 0),
        ("temperature_status", "High", 1),
        ("temperature_status", "Very High", 2),
        ("sensor/gas", "none", 0),
        ("sensor/gas", "mild", 1),
        ("sensor/gas", "heavy", 2),
        ("sensor/illumination", "dark", 0),
        ("sensor/illumination", "twilight", 1),
        ("sensor/illumination", "bright", 2),
        ("roller/0/stop_reason", "normal", 0),
        ("roller/0/stop_reason", "obstacle", 1),
        ("roller/0/stop_reason", "safety_switch", 1),
    ] {
        let read = preset("shelly-gen1", &format!("shellies/s/{topic}"), payload);
        assert_eq!(read, [format!("s/{topic} value={value} now")]);
    }
    for (topic, payload) in [
        ("sensor/operation", "unknown"),
        ("sensor/gas", "unknown"),
        ("sensor/gas", "test"),
        ("ext_temperatures", "{}"),
    ] {
        assert_eq!(preset("shelly-gen1", &format!("shellies/s/{topic}"), payload), ["ignored"], "{topic}");
    }
    for (component, payload) in [
        ("ble", "{}"),
        ("bthome", "{}"),
        ("knx", "{}"),
        ("modbus", "{}"),
        ("eth", r#"{"ip":null}"#),
        ("sys", r#"{"unixtime":1795629545,"uptime":11081}"#),
        ("cloud", r#"{"connected":true}"#),
        ("mqtt", r#"{"connected":true}"#),
        ("ws", r#"{"connected":false}"#),
        ("wifi", r#"{"sta_ip":"10.0.0.7","rssi":-61}"#),
        ("matter", r#"{"num_fabrics":0,"commissionable":false}"#),
        ("input:1", r#"{"id":1,"state":null}"#),
        ("input:10", r#"{"id":10,"state":null}"#),
        ("input:100", r#"{"id":100,"state":null}"#),
    ] {
        assert_eq!(
            preset("shelly-gen2", &format!("s/status/{component}"), payload),
            ["ignored"],
            "{component}"
        );
    }
    let notify = |params: &str| {
        let params = format!(r#"{{"ts":1795629545.04,{params}}}"#);
        let payload = format!(r#"{{"src":"s","dst":"s/events","method":"NotifyStatus","params":{params}}}"#);
        preset("shelly-gen2", "s/events/rpc", &payload)
    };
    assert_eq!(notify(r#""input:0":{"id":0,"state":null}"#), ["ignored"]);
    assert_eq!(notify(r#""input:10":{"id":10,"state":null}"#), ["ignored"]);
    let update = r#""sys":{"available_updates":{"stable":{"version":"1.7.1"}}}"#;
    assert_eq!(notify(update), ["ignored"]);
    let switch = r#""switch:0":{"id":0,"output":true}"#;
    let read = ["s switch:0.output=1 2026-11-25T17:59:05.040000Z"];
    assert_eq!(notify(&format!(r#""input:0":{{"id":0,"state":null}},{switch}"#)), read);
    assert_eq!(notify(&format!(r#"{switch},"input:0":{{"id":0,"state":null}}"#)), read);
    assert_eq!(notify(&format!("{switch},{update}")), read);
}

#[test]
fn actions_of_zigbee2mqtt_and_states_of_home_assistant_are_no_dead_letters() {
    for name in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        let topic = format!("zigbee2mqtt/{name}/action");
        assert_eq!(preset("zigbee2mqtt", &topic, "single"), ["ignored"], "{topic}");
    }
    for (entity, state, value) in [
        ("cover/garage", "opening", 1),
        ("cover/garage", "closing", 1),
        ("cover/garage", "closed", 0),
        ("cover/garage", "open", 1),
        ("lock/door", "locked", 1),
        ("lock/door", "unlocked", 0),
        ("lock/door", "open", 0),
        ("lock/door", "opening", 0),
        ("lock/door", "locking", 0),
        ("lock/door", "unlocking", 1),
        ("lock/door", "jammed", 2),
    ] {
        let read = preset("home-assistant-statestream", &format!("homeassistant/{entity}/state"), state);
        assert_eq!(read, [format!("{entity} value={value} now")], "{state}");
    }
}

#[test]
fn hexadecimal_texts_are_no_numbers_of_a_preset() {
    let sensor = r#"{"DS18B20":{"Id":"011312345678","Temperature":20.6},"RfReceived":{"Data":"458000","RfKey":"None"},"RDM6300":{"UID":"04104955","Data":"00000000"}}"#;
    let read = preset("tasmota", "tele/a/SENSOR", sensor);
    assert_eq!(read, ["a/SENSOR DS18B20.Temperature=20.6 now"]);
    assert_eq!(preset("tasmota", "tele/a/STATE", r#"{"Color":"80","Dimmer":50}"#), ["a/STATE Dimmer=50 now"]);
    let payload =
        r#"{"model":"X","id":1,"flags":"60","data":"4212","raw_msg":"77","mic":"12","temperature_C":4.2}"#;
    assert_eq!(preset("rtl_433", "rtl_433/pi/events", payload), ["X/1 temperature_C=4.2 now"]);
}

#[test]
fn sensors_of_one_tasmota_device_are_sensors_of_their_own() {
    let keys = "preset = \"tasmota\"\ntime_zone = \"Europe/Berlin\"\ndevice_keys = true";
    let payload = r#"{"Time":"2026-11-25T19:00:18","DS18B20-1":{"Id":"011312345678","Temperature":20.6},"DS18B20-2":{"Id":"01131B12345A","Temperature":21},"TempUnit":"C"}"#;
    assert_eq!(
        read(keys, "tele/cellar/SENSOR", payload.as_bytes()),
        [
            "cellar/SENSOR/DS18B20-1 Temperature=20.6 2026-11-25T18:00:18.000000Z",
            "cellar/SENSOR/DS18B20-2 Temperature=21 2026-11-25T18:00:18.000000Z"
        ]
    );
    let keys = "preset = \"tasmota\"\ndevice_keys = true\nroot = \"ZbReceived\"";
    let payload = r#"{"ZbReceived":{"0x1A2B":{"Device":"0x1A2B","Temperature":21.44}}}"#;
    let read = read(keys, "tele/bridge/SENSOR", payload.as_bytes());
    assert_eq!(read, ["bridge/SENSOR/0x1A2B Temperature=21.44 now"]);
}
