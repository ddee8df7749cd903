use thicket_schema::Reason;

use crate::payload::{PayloadDecoder, PayloadLimits, PayloadRules};

fn show(rules: PayloadRules, payload: &str) -> Vec<String> {
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
    let decoder =
        PayloadDecoder::new(limits, vec!["ts".to_owned(), "timestamp".to_owned()]).with_rules(rules);
    match decoder.decode(payload.as_bytes()) {
        Err(error) => vec![Reason::from(&error).to_string()],
        Ok(outcomes) => outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Err(error) => Reason::from(&error).to_string(),
                Ok(measurement) => {
                    let time =
                        measurement.ts.map_or("arrival".to_owned(), |ts| (ts.0 / 1_000_000).to_string());
                    let names = measurement.fields.names().iter();
                    let fields =
                        names.zip(&measurement.values).map(|(name, value)| format!(" {name}={value}"));
                    let device = measurement.device.as_deref().unwrap_or_default();
                    format!("{device}@{time}{}", fields.collect::<String>())
                }
            })
            .collect(),
    }
}

fn below(root: &str, payload: &str) -> Vec<String> {
    show(PayloadRules { root: root.to_owned(), ..PayloadRules::default() }, payload)
}

fn by_device(root: &str, payload: &str) -> Vec<String> {
    show(PayloadRules { root: root.to_owned(), device_keys: true, ..PayloadRules::default() }, payload)
}

#[test]
fn each_object_of_an_array_that_is_the_root_is_a_reading() {
    let payload = r#"{"site":{"n":1},"timestamp":1795345200,"up":{"skip":[1,{"x":"]"}],"data":[
        {"t":21.5,"h":{"x":48}},{"ts":1795345201,"t":NaN,"u":2},{"ts":"now","t":1},7]},"after":"x"}"#;
    let expected = ["@1795345200 h.x=48 t=21.5", "@1795345201 u=2", "bad_timestamp", "not_a_reading"];
    assert_eq!(below("up.data", payload), expected);
    assert_eq!(below("data", r#"{"data":[{"a":1},{"a":2}]}"#), ["@arrival a=1", "@arrival a=2"]);
}

#[test]
fn an_array_below_the_root_obeys_the_limits_and_the_rules_of_json() {
    assert_eq!(below("d", r#"{"d":[]}"#), ["empty"]);
    assert_eq!(below("d", r#"{"d":[{},{},{},{},{}]}"#), ["too_many_readings"]);
    assert_eq!(below("d", r#"{"d":[{"a":1}],oops}"#), ["malformed_json"]);
    assert_eq!(below("d", r#"{"d":[{"a":1}"#), ["malformed_json"]);
    assert_eq!(below("d", r#"{"e":[{"a":1}]}"#), ["no_numeric_field"]);
    assert_eq!(
        below("d", r#"{"ts":"now","d":[{"a":1},{"ts":1795345200,"a":2}]}"#),
        ["bad_timestamp", "@1795345200 a=2"]
    );
    assert_eq!(below("d", r#"{"d":{"a":1}}"#), ["@arrival a=1"], "an object is one reading");
}

#[test]
fn a_batch_of_telegraf_is_an_array_below_the_root() {
    let batch = r#"{"metrics":[{"fields":{"usage_idle":91.5},"name":"cpu","tags":{"host":"gw"},"timestamp":1795345200},
        {"fields":{"usage_idle":92},"name":"cpu","tags":{"host":"gw"},"timestamp":1795345210}]}"#;
    assert_eq!(
        below("metrics", batch),
        ["@1795345200 fields.usage_idle=91.5", "@1795345210 fields.usage_idle=92"]
    );
}

#[test]
fn names_of_devices_can_be_the_topmost_members() {
    let gateway = r#"{"Device A":[{"ts":1795345200000,"values":{"t":42,"on":true}},{"ts":1795345201000,"values":{"t":43}}],
        "Device B":[{"ts":1795345200000,"values":{"h":"73 %"}}]}"#;
    assert_eq!(
        by_device("values", gateway),
        ["Device A@1795345200 on=1 t=42", "Device A@1795345201 t=43", "Device B@1795345200 h=73"]
    );
    assert_eq!(
        by_device("", r#"{"a":{"x":1},"b":{"x":2,"y":{"z":3}},"c":4}"#),
        ["a@arrival x=1", "b@arrival x=2 y.z=3"],
        "a number is no device"
    );
    assert_eq!(by_device("", r#"{"a":[{"x":1},{"x":2},{"x":3},{"x":4},{"x":5}]}"#), ["too_many_readings"]);
    assert_eq!(by_device("", "{}"), ["empty"]);
    assert_eq!(by_device("", r#"{"a":{"x":1}"#), ["malformed_json"]);
}

#[test]
fn an_array_of_objects_below_the_root_is_left_out_with_a_reason() {
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
    let payload = br#"{"a":1,"values":[{"id":"t","v":1},{"id":"h","v":2}]}"#;
    let (_, left_out) = PayloadDecoder::new(limits, Vec::new()).decode_explained(payload);
    assert_eq!(
        left_out[0].to_string(),
        "values is an array of objects; if each is a reading, name it in mqtt.root, and add {id}, which tells them apart, to mqtt.sensor"
    );
}

#[test]
fn numbers_with_units_and_decimal_commas_are_read_in_nested_and_flat_objects() {
    let rules = |decimal_comma| PayloadRules { decimal_comma, ..PayloadRules::default() };
    let payload = r#"{"t":"21,5 °C","u":"230 V","e":"12.3kWh","cows":"3 cows"}"#;
    assert_eq!(show(rules(true), payload), ["@arrival e=12.3 t=21.5 u=230"]);
    assert_eq!(show(rules(false), payload), ["@arrival e=12.3 u=230"]);
    assert_eq!(show(rules(true), &format!(r#"{{"x":{payload}}}"#)), ["@arrival x.e=12.3 x.t=21.5 x.u=230"]);
    assert_eq!(show(rules(true), r#""21,5""#), ["@arrival value=21.5"]);
    assert_eq!(
        show(PayloadRules { units: false, ..rules(true) }, r#"{"a":"21,5","b":"5 %"}"#),
        ["@arrival a=21.5"]
    );
}

#[test]
fn a_topmost_array_of_numbers_is_one_reading_as_a_member_is() {
    let read = |payload: &str| show(PayloadRules::default(), payload);
    assert_eq!(read("[21.5,null,-3]"), ["@arrival value.0=21.5 value.2=-3"]);
    assert_eq!(read(" [ 1 , NaN, 2 ]\n"), ["@arrival value.0=1 value.2=2"]);
    let sixteen = format!("[{}null]", "null,".repeat(14) + "7,");
    assert_eq!(read(&sixteen), ["@arrival value.14=7"]);
    let excludes = PayloadRules { exclude: vec!["value.1".to_owned()], ..PayloadRules::default() };
    assert_eq!(show(excludes, "[1,2]"), ["@arrival value.0=1"]);
    assert_eq!(below("data?", "[1,2]"), ["@arrival value.0=1 value.1=2"]);
}

#[test]
fn an_array_without_an_object_is_one_dead_letter() {
    let read = |payload: &str| show(PayloadRules::default(), payload);
    let long = format!("[{}1]", "1,".repeat(16));
    for payload in [&*long, r#"[1,"a"]"#, r#"["a","b"]"#, "[[1,2],[3,4]]", "[true,1]"] {
        assert_eq!(read(payload), ["not_a_reading"], "{payload}");
    }
    assert_eq!(read("[null,null]"), ["no_numeric_field"]);
    assert_eq!(read("[1,oops]"), ["malformed_json"]);
    assert_eq!(read(r#"[{"a":1},7]"#), ["@arrival a=1", "not_a_reading"], "each has its own outcome");
    assert_eq!(below("d", r#"{"d":[1,2,3]}"#), ["not_a_reading"]);
    let error = PayloadDecoder::default().decode(long.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("more than 16 numbers"), "{error}");
}

#[test]
fn devices_have_the_time_that_stands_beside_them_or_above() {
    let tasmota = r#"{"timestamp":1795345200,"DS18B20-1":{"Id":"0A","t":20.5},"DS18B20-2":{"ts":1795345201,"t":21},"TempUnit":"C"}"#;
    assert_eq!(by_device("", tasmota), ["DS18B20-1@1795345200 t=20.5", "DS18B20-2@1795345201 t=21"]);
    let zigbee = r#"{"timestamp":1795345200,"Zb":{"0x1A2B":{"t":21.44},"0x1A2C":[{"t":1},{"t":2}],"n":2},"after":{"t":1}}"#;
    let expected = ["0x1A2B@1795345200 t=21.44", "0x1A2C@1795345200 t=1", "0x1A2C@1795345200 t=2"];
    assert_eq!(by_device("Zb", zigbee), expected);
    assert_eq!(by_device("Zb?", zigbee), expected);
    let below = r#"{"Zb":{"ts":1795345200,"0x1A2B":{"t":21.44}}}"#;
    assert_eq!(by_device("Zb", below), ["0x1A2B@1795345200 t=21.44"]);
    assert_eq!(
        by_device("", r#"{"ts":"now","a":{"x":1},"b":{"ts":1795345200,"x":1}}"#),
        ["bad_timestamp", "b@1795345200 x=1"]
    );
    assert_eq!(by_device("", r#"{"ts":1795345200,"x":1}"#), ["no_numeric_field"], "without a device");
    assert_eq!(by_device("Zb", r#"{"Zb":{"a":{"x":1}},oops}"#), ["malformed_json"]);
}

#[test]
fn what_stands_beside_devices_is_reported() {
    let rules = PayloadRules { device_keys: true, ..PayloadRules::default() };
    let decoder = PayloadDecoder::default().with_rules(rules);
    let (_, left_out) = decoder.decode_explained(br#"{"ts":1795345200,"a":{"x":1},"unit":"C"}"#);
    let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["unit is no device: with mqtt.device_keys, objects and arrays are devices"]);
}
