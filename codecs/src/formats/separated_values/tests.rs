use thicket_schema::Reason;

use super::*;
use crate::payload::PayloadRules;

fn show(columns: &[&str], separator: u8, decimal_comma: bool, payload: impl AsRef<[u8]>) -> Vec<String> {
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
    let objects = PayloadDecoder::new(limits.clone(), vec!["ts".to_owned()])
        .with_rules(PayloadRules { decimal_comma, ..PayloadRules::default() });
    let rules = CsvRules { columns: columns.iter().map(|&name| name.to_owned()).collect(), separator };
    let show = |outcome: Result<Measurement, PayloadError>| match outcome {
        Err(error) => Reason::from(&error).to_string(),
        Ok(measurement) => {
            let time = measurement.ts.map_or("arrival".to_owned(), |ts| (ts.0 / 1_000_000).to_string());
            let names = measurement.fields.names().iter();
            let fields = names.zip(&measurement.values).map(|(name, value)| format!(" {name}={value}"));
            time + &fields.collect::<String>()
        }
    };
    match SeparatedValues::new(rules).decode(payload.as_ref(), &limits, &objects) {
        Ok(outcomes) => outcomes.into_iter().map(show).collect(),
        Err(error) => vec![Reason::from(&error).to_string()],
    }
}

const COLUMNS: [&str; 3] = ["ts", "temp", "hum"];

#[test]
fn each_line_is_a_reading() {
    let lines = "1795345200,21.5,48\r\n2026-11-22T10:00:00Z, 21.6 ,\n";
    assert_eq!(show(&COLUMNS, b',', false, lines), ["1795345200 hum=48 temp=21.5", "1795341600 temp=21.6"]);
}

#[test]
fn cells_are_read_like_texts_of_json() {
    let lines = "1795345200;ON;\"21,5 °C\"\n;n/a;1.234,5\n";
    assert_eq!(show(&COLUMNS, b';', true, lines), ["1795345200 hum=21.5 temp=1", "arrival hum=1234.5"]);
    assert_eq!(show(&COLUMNS, b',', true, "0,\"21,5\",1"), ["arrival hum=1 temp=21.5"]);
    assert_eq!(show(&COLUMNS, b'\t', false, "0\ta\\\"b\t1"), ["arrival hum=1"]);
}

#[test]
fn a_header_and_blank_lines_are_skipped() {
    assert_eq!(show(&COLUMNS, b',', false, "\u{feff}TS, Temp,hum\n\n0,1,2\n"), ["arrival hum=2 temp=1"]);
    assert_eq!(show(&COLUMNS, b',', false, "ts,temp,hum\n"), ["empty"]);
}

#[test]
fn nuls_at_the_end_cost_nothing() {
    let expected = ["1795345200 hum=40 temp=21.5"];
    for end in ["\0", "\0\0\r\n", "\r\n\0", " \0\n\0\0"] {
        assert_eq!(show(&COLUMNS, b',', false, format!("1795345200,21.5,40{end}")), expected, "{end:?}");
    }
    assert_eq!(show(&COLUMNS, b'\t', false, "\t1\t\0"), ["arrival temp=1"], "a tab at the end is a cell");
    assert_eq!(show(&COLUMNS, b',', false, "\0"), ["empty"]);
}

#[test]
fn a_sensor_whose_name_has_foreign_bytes_is_refused() {
    let rules = PayloadRules { labels: vec!["name".to_owned()], ..PayloadRules::default() };
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
    let objects = PayloadDecoder::new(limits.clone(), Vec::new()).with_rules(rules);
    let columns = ["name", "note", "x"].map(str::to_owned).into();
    let csv = SeparatedValues::new(CsvRules { columns, separator: b',' });
    let outcomes = csv.decode(b"K\xfcche,,1\nBad,\"\xfc\"\"\",2\n", &limits, &objects).unwrap();
    assert_eq!(Reason::from(outcomes[0].as_ref().unwrap_err()), Reason::MalformedJson);
    assert_eq!(outcomes[1].as_ref().unwrap().labels, [Some("Bad".into())]);
}

#[test]
fn a_column_without_a_name_is_not_read() {
    assert_eq!(show(&["", "x"], b',', false, "7,1\nid,x"), ["arrival x=1"]);
}

#[test]
fn a_line_that_cannot_be_read_does_not_affect_the_others() {
    let lines = "1,2\n0,1,2\n0,,\nnow,1,2";
    assert_eq!(
        show(&COLUMNS, b',', false, lines),
        ["malformed_payload", "arrival hum=2 temp=1", "no_numeric_field", "bad_timestamp"]
    );
}

#[test]
fn lines_and_columns_are_bounded() {
    assert_eq!(show(&COLUMNS, b',', false, "0,1,2\n".repeat(5)), ["too_many_readings"]);
    let names: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(show(&names, b',', false, "1,".repeat(8) + "1").len(), 1);
    assert_eq!(show(&[], b',', false, "1"), ["malformed_payload"]);
}

#[test]
fn the_error_of_a_line_has_its_number() {
    let limits = PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 4, max_depth: 8 };
    let objects = PayloadDecoder::new(limits.clone(), Vec::new());
    let csv = SeparatedValues::new(CsvRules { columns: vec!["a".to_owned()], separator: b',' });
    let outcomes = csv.decode(b"1\n\"2\n\"\n1,2,3,4,5,6,7,8,9\n", &limits, &objects).unwrap();
    let error = outcomes[2].as_ref().unwrap_err().to_string();
    assert!(error.contains("line 4 has 9 cells"), "{error}");
}
