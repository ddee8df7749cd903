use super::*;

const LIMITS: PayloadLimits =
    PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };

/// Shows each measurement as `device@time field=value ...`; a relative time has a sign.
fn show(text: &str) -> Vec<String> {
    let pack = Pack::recognise(text, Encoding::Json).expect("is recognised");
    let show = |element: Result<Measurement, PayloadError>| {
        let measurement = match element {
            Ok(measurement) => measurement,
            Err(error) => return error.to_string(),
        };
        let time = measurement.ts.map_or(format!("{:+}", measurement.offset_micros), |ts| ts.0.to_string());
        let names = measurement.fields.names().iter();
        let fields: Vec<String> =
            names.zip(&measurement.values).map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}@{time} {}", measurement.device.as_deref().unwrap_or(""), fields.join(" "))
    };
    match pack.decode(&LIMITS, Timestamp(0)) {
        Ok(elements) => elements.into_iter().map(show).collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn a_single_record_has_its_whole_name_as_field() {
    let probe = r#"[{"n":"urn:dev:mac:0200000000000001","u":"Cel","v":19.6}]"#;
    assert_eq!(show(probe), ["@+0 urn:dev:mac:0200000000000001=19.6"]);
}

#[test]
fn quantities_of_one_device_are_fields_at_their_times() {
    let line = r#"[
        {"bn":"urn:dev:mac:02:","bt":1795345200,"bu":"A","bver":10,"n":"voltage","u":"V","v":229.8},
        {"n":"current","t":-5,"v":1.4},
        {"n":"current","v":1.5},
        {"n":"door","vb":true},
        {"n":"label","vs":"ok"},
        {"n":"raw","vd":"aGk"}]"#;
    assert_eq!(
        show(line),
        ["@1795345195000000 current=1.4", "@1795345200000000 current=1.5 door=1 voltage=229.8"]
    );
}

#[test]
fn several_units_of_one_name_are_several_fields() {
    // Section 5.1.3 of the RFC.
    let example = r#"[{"bn":"urn:dev:ow:10e2073a01080063","bt":1795881618,"bu":"%RH","v":20},
        {"u":"lon","v":24.30621},{"u":"lat","v":60.07965},
        {"t":60,"v":20.3},{"u":"lon","t":60,"v":24.30622},{"u":"lat","t":60,"v":60.07965}]"#;
    let name = "urn:dev:ow:10e2073a01080063";
    let fields = |rh: f64, lon: f64| format!("{name}.%RH={rh} {name}.lat=60.07965 {name}.lon={lon}");
    assert_eq!(
        show(example),
        [
            format!("@1795881618000000 {}", fields(20.0, 24.30621)),
            format!("@1795881678000000 {}", fields(20.3, 24.30622))
        ]
    );
    // Other names of the pack, and a value without a unit, keep their names.
    let mixed =
        r#"[{"n":"x","u":"V","v":1,"s":2},{"n":"x","u":"A","v":3},{"n":"x","v":4},{"n":"y","u":"V","v":5}]"#;
    assert_eq!(show(mixed), ["@+0 x=4 x.A=3 x.V=1 x.sum=2 y=5"]);
    let series = r#"[{"bn":"d:","bu":"Cel","n":"t","v":1},{"n":"t","u":"Cel","t":1,"v":2},{"n":"t","u":7,"t":2,"v":3}]"#;
    assert_eq!(show(series), ["@+0 t=1", "@+1000000 t=2", "@+2000000 t=3"]);
}

#[test]
fn a_record_of_bases_only_is_no_reading() {
    let room = r#"[{"bn":"room/","bt":1.276020076001e+09},
        {"n":"temperature","u":"Cel","v":20.1},{"n":"humidity","v":58.7}]"#;
    assert_eq!(show(room), ["@1276020076001000 humidity=58.7 temperature=20.1"]);
}

#[test]
fn several_base_names_are_devices() {
    let gateway = r#"[{"bn":"2001:db8::2/","bt":1320078429,"n":"temperature","v":25.2},{"n":"humidity","v":30},
        {"bn":"2001:db8::1/","n":"temperature","v":12.3}]"#;
    assert_eq!(
        show(gateway),
        [
            "2001:db8::2@1320078429000000 humidity=30 temperature=25.2",
            "2001:db8::1@1320078429000000 temperature=12.3"
        ]
    );
}

#[test]
fn relative_times_count_from_the_arrival_in_order() {
    let relative =
        r#"[{"n":"x","v":3},{"n":"x","t":-10,"v":1},{"n":"x","t":-5.5,"v":2},{"n":"y","t":-10,"v":9}]"#;
    assert_eq!(show(relative), ["@-10000000 x=1 y=9", "@-5500000 x=2", "@+0 x=3"]);
    let base = r#"[{"bn":"a:","bt":-60,"n":"x","v":1},{"n":"x","t":30,"v":2}]"#;
    assert_eq!(show(base), ["@-60000000 x=1", "@-30000000 x=2"]);
}

#[test]
fn base_values_and_sums_are_added() {
    let summed = r#"[{"bn":"m:","bv":20,"bs":100,"n":"t","v":1.5},{"n":"e","v":2,"s":7},{"n":"bare"}]"#;
    assert_eq!(show(summed), ["@+0 bare=20 bare.sum=100 e=22 e.sum=107 t=21.5"]);
}

#[test]
fn a_name_that_repeats_at_one_time_begins_a_new_measurement() {
    assert_eq!(show(r#"[{"n":"x","v":1},{"n":"x","v":2}]"#), ["@+0 x=1", "@+0 x=2"]);
}

#[test]
fn a_pack_that_cannot_be_understood_is_refused_whole() {
    let newer = show(r#"[{"bn":"a","bver":11,"n":"x","v":1}]"#);
    assert_eq!(newer, ["malformed SenML: version 11 (bver) is not known; at most 10 is"]);
    let must = show(r#"[{"n":"x","v":1},{"n":"y","v":1,"foo_":2}]"#);
    assert!(must[0].starts_with("malformed SenML: record 2 has the member foo_"), "{must:?}");
}

#[test]
fn a_bad_record_does_not_affect_the_others() {
    let bad = show(
        r#"[{"n":"x","v":"warm"},{"n":"y","v":"21.5"},{"v":1},{"n":"z","vb":3},{"n":"t","v":2,"t":1e300}]"#,
    );
    assert_eq!(bad.len(), 5, "{bad:?}");
    assert_eq!(bad[0], "@+0 y=21.5");
    assert!(bad[1].contains("in record 1, v is not a number"), "{bad:?}");
    assert!(bad[4].starts_with("bad timestamp"), "{bad:?}");
}

#[test]
fn a_pack_of_texts_only_has_no_numeric_field() {
    assert!(show(r#"[{"n":"x","vs":"a"}]"#)[0].contains("no numeric member"));
}

#[test]
fn unknown_members_are_ignored_in_a_pack_with_bases() {
    assert_eq!(show(r#"[{"bn":"a:","n":"x","v":1,"quality":3}]"#), ["@+0 x=1"]);
}

#[test]
fn labels_of_cbor_are_integers() {
    let pack =
        Pack::recognise(r#"[{"-2":"a:","-3":1795345200,"0":"x","2":1},{"0":"y","4":true}]"#, Encoding::Cbor);
    let elements = pack.unwrap().decode(&LIMITS, Timestamp(0)).unwrap();
    let measurement = elements[0].as_ref().unwrap();
    assert_eq!(measurement.fields.names(), ["x", "y"]);
    assert!(Pack::recognise(r#"[{"0":"x","2":1}]"#, Encoding::Json).is_none());
    assert!(Pack::recognise(r#"[{"0":1,"2":1}]"#, Encoding::Cbor).is_none());
}

#[test]
fn ordinary_objects_with_short_names_are_no_pack() {
    for text in [
        r#"[{"n":"node-1","bv":3.7,"temp":21.5,"s":4}]"#,
        r#"[{"n":"node-1","bv":3.7}]"#,
        r#"[{"bn":"node-1","temp":21.5}]"#,
        r#"[{"n":"node-1","t":21.5}]"#,
        r#"[{"n":1,"v":21.5}]"#,
        r#"[{"n":"node-1","v":21.5},7]"#,
        "[]",
    ] {
        assert!(Pack::recognise(text, Encoding::Json).is_none(), "{text}");
    }
}
