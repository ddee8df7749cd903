//! Payloads in the form in which well-known devices and gateways send them, with numbers of our own.

#![allow(clippy::unwrap_used, reason = "a test")]

use thicket_codecs::{PayloadDecoder, PayloadLimits, PayloadRules};
use thicket_schema::Timestamp;

struct Device {
    name: &'static str,
    timestamp_key: &'static str,
    root: &'static str,
    exclude: &'static [&'static str],
    payload: &'static str,
    /// The time in seconds since 1970.
    time: Option<f64>,
    fields: &'static [(&'static str, f64)],
}

const DEVICES: &[Device] = &[
    Device {
        name: "Tasmota, a plug and a climate sensor",
        timestamp_key: "Time",
        root: "",
        exclude: &["*.TotalStartTime"],
        payload: r#"{"Time":"2026-11-22T11:00:00","AM2301":{"Temperature":21.5,"Humidity":48.5,"DewPoint":10.1},
            "ENERGY":{"TotalStartTime":"2026-01-03T12:00:00","Total":12.345,"Power":[230,12],"Voltage":231,"Current":1.02},
            "TempUnit":"C"}"#,
        time: Some(1_795_341_600.0),
        fields: &[
            ("AM2301.DewPoint", 10.1),
            ("AM2301.Humidity", 48.5),
            ("AM2301.Temperature", 21.5),
            ("ENERGY.Current", 1.02),
            ("ENERGY.Power.0", 230.0),
            ("ENERGY.Power.1", 12.0),
            ("ENERGY.Total", 12.345),
            ("ENERGY.Voltage", 231.0),
        ],
    },
    Device {
        name: "Zigbee2MQTT, a plug",
        timestamp_key: "last_seen",
        root: "",
        exclude: &["update"],
        payload: r#"{"child_lock":"UNLOCK","contact":false,"current":0.29,"last_seen":1795341600000,"overload":null,
            "power":58,"state":"ON","update":{"installed_version":7,"latest_version":8,"state":"idle"}}"#,
        time: Some(1_795_341_600.0),
        fields: &[("child_lock", 0.0), ("contact", 0.0), ("current", 0.29), ("power", 58.0), ("state", 1.0)],
    },
    Device {
        name: "The Things Stack v3",
        timestamp_key: "received_at",
        root: "uplink_message.decoded_payload",
        exclude: &[],
        payload: r#"{"end_device_ids":{"device_id":"field-7","dev_eui":"0200000000000007"},"correlation_ids":["as:up:1"],
            "received_at":"2026-11-22T10:00:00.123456789Z","uplink_message":{"f_port":2,"f_cnt":411,"frm_payload":"AQIDBAU=",
            "decoded_payload":{"BatV":3.1,"Hum":"41.2","soil":{"moisture":28.4},"alarm":true},
            "rx_metadata":[{"rssi":-97,"snr":7.5}],"settings":{"frequency":"868100000"}}}"#,
        time: Some(1_795_341_600.123_456),
        fields: &[("BatV", 3.1), ("Hum", 41.2), ("alarm", 1.0), ("soil.moisture", 28.4)],
    },
    Device {
        name: "ChirpStack v4",
        timestamp_key: "time",
        root: "object",
        exclude: &[],
        payload: r#"{"deduplicationId":"3ac7","time":"2026-11-22T10:00:00.5+00:00","deviceInfo":{"devEui":"0101010101010101"},
            "adr":true,"dr":5,"fCnt":7,"data":"AQI=","object":{"temperature":{"1":19.5},"voltage":3.55,"door":"closed"},
            "rxInfo":[{"rssi":-48,"snr":9}],"txInfo":{"frequency":868500000}}"#,
        time: Some(1_795_341_600.5),
        fields: &[("door", 0.0), ("temperature.1", 19.5), ("voltage", 3.55)],
    },
    Device {
        name: "ESPHome through a JSON template",
        timestamp_key: "ts",
        root: "",
        exclude: &[],
        payload: r#"{"ts":"","bme_temp":"21.37","bme_hum":nan,"co2":"612","pir":"OFF","sensor":"unavailable"}"#,
        time: None,
        fields: &[("bme_temp", 21.37), ("co2", 612.0), ("pir", 0.0)],
    },
    Device {
        name: "Shelly, second generation",
        timestamp_key: "params.ts",
        root: "params",
        exclude: &["*.id"],
        payload: r#"{"src":"shellyplus1pm-1","dst":"shellies/events","method":"NotifyStatus","params":{"ts":1795341600.25,
            "switch:0":{"id":0,"output":true,"apower":41.8,"aenergy":{"total":123.4,"by_minute":[1.5,2.5,0],"minute_ts":1795341540},
            "temperature":{"tC":44.1,"tF":111.4}}}}"#,
        time: Some(1_795_341_600.25),
        fields: &[
            ("switch:0.aenergy.by_minute.0", 1.5),
            ("switch:0.aenergy.by_minute.1", 2.5),
            ("switch:0.aenergy.by_minute.2", 0.0),
            ("switch:0.aenergy.minute_ts", 1_795_341_540.0),
            ("switch:0.aenergy.total", 123.4),
            ("switch:0.apower", 41.8),
            ("switch:0.output", 1.0),
            ("switch:0.temperature.tC", 44.1),
            ("switch:0.temperature.tF", 111.4),
        ],
    },
    Device {
        name: "rtl_433",
        timestamp_key: "time",
        root: "",
        exclude: &["id", "channel"],
        payload: r#"{"time":"2026-11-22 11:00:00","model":"Acurite-Tower","id":11524,"channel":"A","battery_ok":1,
            "temperature_C":-3.4,"humidity":67,"mic":"CHECKSUM"}"#,
        time: Some(1_795_341_600.0),
        fields: &[("battery_ok", 1.0), ("humidity", 67.0), ("temperature_C", -3.4)],
    },
    Device {
        name: "ThingsBoard telemetry",
        timestamp_key: "ts",
        root: "values",
        exclude: &[],
        payload: r#"{"ts":1795341600000,"values":{"temperature":42.2,"humidity":"70","enabled":true,"firmware":"v2"}}"#,
        time: Some(1_795_341_600.0),
        fields: &[("enabled", 1.0), ("humidity", 70.0), ("temperature", 42.2)],
    },
    Device {
        name: "JSON of Telegraf",
        timestamp_key: "timestamp",
        root: "fields",
        exclude: &[],
        payload: r#"{"fields":{"usage_idle":91.5,"usage_user":4,"n_cpus":8},"name":"cpu","tags":{"host":"gw","rack":"7"},
            "timestamp":1795341600}"#,
        time: Some(1_795_341_600.0),
        fields: &[("n_cpus", 8.0), ("usage_idle", 91.5), ("usage_user", 4.0)],
    },
];

fn decoder(device: &Device) -> PayloadDecoder {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    let rules = PayloadRules {
        root: device.root.to_owned(),
        exclude: device.exclude.iter().map(|pattern| (*pattern).to_owned()).collect(),
        time_zone: Some("Europe/Berlin".parse().unwrap()),
        ..PayloadRules::default()
    };
    PayloadDecoder::new(limits, vec![device.timestamp_key.to_owned()]).with_rules(rules)
}

#[test]
fn messages_of_well_known_devices_give_all_their_numbers() {
    for device in DEVICES {
        let decoded = decoder(device).decode(device.payload.as_bytes());
        let measurement = decoded.and_then(|mut all| all.remove(0));
        let measurement = measurement.unwrap_or_else(|error| panic!("{}: {error}", device.name));
        let names = measurement.fields.names().iter().map(String::as_str);
        let fields: Vec<(&str, f64)> = names.zip(measurement.values.iter().copied()).collect();
        assert_eq!(fields, device.fields, "{}", device.name);
        let time = device.time.map(|seconds| Timestamp((seconds * 1e6) as i64));
        assert_eq!(measurement.ts, time, "{}", device.name);
    }
}

#[test]
fn what_is_left_out_of_them_is_reported() {
    for device in DEVICES {
        let (decoded, left_out) = decoder(device).decode_explained(device.payload.as_bytes());
        assert_eq!(decoded, decoder(device).decode(device.payload.as_bytes()), "{}", device.name);
        assert!(!left_out.is_empty(), "{}", device.name);
    }
}

#[test]
fn without_settings_they_are_readings_too() {
    for device in DEVICES {
        let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
        let decoder = PayloadDecoder::new(limits, Vec::new());
        let measurement = decoder.decode(device.payload.as_bytes()).unwrap().remove(0);
        let fields = measurement.unwrap_or_else(|error| panic!("{}: {error}", device.name)).fields;
        assert!(fields.len() >= device.fields.len() - 3, "{}: {:?}", device.name, fields.names());
    }
}
