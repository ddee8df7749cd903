use super::*;
use crate::payload::{PayloadDecoder, PayloadLimits};
use crate::timestamp::LocalZone;

const TEN_O_CLOCK: Timestamp = Timestamp(1_795_341_600_000_000);

fn decoder(rules: PayloadRules) -> PayloadDecoder {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 64, max_readings: 1_000, max_depth: 8 };
    PayloadDecoder::new(limits, ["ts", "time", "meta.at"].map(str::to_owned).into()).with_rules(rules)
}

fn time(rules: PayloadRules, payload: &str) -> Result<Option<Timestamp>, PayloadError> {
    decoder(rules).decode(payload.as_bytes())?.remove(0).map(|measurement| measurement.ts)
}

fn by_default(payload: &str) -> Result<Option<Timestamp>, PayloadError> {
    time(PayloadRules::default(), payload)
}

#[test]
fn a_member_that_holds_no_time_leaves_the_reading_to_its_arrival() {
    for no_time in [
        "null",
        "0",
        "0.0",
        r#""""#,
        r#""0""#,
        r#""unknown""#,
        "NaN",
        "15",
        "86400",
        "-1",
        "-5.5",
        "1577836799",
        r#""1970-01-01T00:03:15Z""#,
        r#""1970-01-01T00:03:15""#,
        r#""1970-01-01T01:00:00+01:00""#,
        r#""2000-01-01T00:00:00Z""#,
        r#""1969-12-31T23:59:59Z""#,
        r#""0000-00-00T00:00:00""#,
        r#""0000-00-00 00:00:00""#,
        r#""0000-00-00T00:00:00+01:00""#,
        r#""0000/00/00 00:00""#,
        r#""0000-00-00""#,
    ] {
        let payload = format!(r#"{{"ts":{no_time},"a":1}}"#);
        assert_eq!(by_default(&payload), Ok(None), "{payload}");
    }
    assert_eq!(by_default(r#"{"ts":1577836800,"a":1}"#), Ok(Some(PayloadRules::DEFAULT_TIME_FLOOR)));
    assert!(by_default(r#"{"ts":"00:00:00","a":1}"#).is_err(), "midnight is a time of the day");
}

#[test]
fn a_time_that_cannot_be_read_leads_to_the_setting_that_takes_the_arrival() {
    for time in ["12:00:05", "2026-11-22T10:00:00", "22/11/2026 10:00:00"] {
        let error = by_default(&format!(r#"{{"ts":"{time}","a":1}}"#)).unwrap_err().to_string();
        assert!(
            error.ends_with("mqtt.on_bad_time = \"arrival\", which takes the time of the arrival"),
            "{error}"
        );
    }
}

#[test]
fn the_floor_can_be_moved() {
    let rules = PayloadRules { time_floor: Timestamp(0), ..PayloadRules::default() };
    assert_eq!(time(rules, r#"{"ts":15,"a":1}"#), Ok(Some(Timestamp(15_000_000))));
}

#[test]
fn the_next_key_is_tried_if_one_holds_no_usable_time() {
    for first in ["null", "0", r#""""#, r#""half past nine""#, r#""2026-11-22T10:00:00""#, "[1]", "{}"] {
        for payload in [
            format!(r#"{{"ts":{first},"time":1795341600,"a":1}}"#),
            format!(r#"{{"meta":{{"at":"2026-11-22T11:00:00+0100"}},"ts":{first},"a":1}}"#),
        ] {
            assert_eq!(by_default(&payload), Ok(Some(TEN_O_CLOCK)), "{payload}");
        }
    }
}

#[test]
fn an_unreadable_time_is_refused_or_replaced_by_the_arrival() {
    let payload = r#"{"ts":"half past nine","a":1}"#;
    assert!(matches!(by_default(payload), Err(PayloadError::BadTimestamp(TimestampError::NotATime(_)))));
    let rules = PayloadRules { on_bad_time: OnBadTime::Arrival, ..PayloadRules::default() };
    assert_eq!(time(rules.clone(), payload), Ok(None));
    let (_, left_out) = decoder(rules).decode_explained(payload.as_bytes());
    assert!(matches!(left_out[0].reason, LeftOutReason::BadTime(_)), "{left_out:?}");
}

#[test]
fn a_local_time_is_read_in_the_zone_of_the_configuration() {
    let zone: LocalZone = "Europe/Berlin".parse().unwrap();
    let rules = PayloadRules { time_zone: Some(zone), ..PayloadRules::default() };
    assert_eq!(time(rules, r#"{"ts":"2026-11-22T11:00:00","a":1}"#), Ok(Some(TEN_O_CLOCK)));
    let error = by_default(r#"{"ts":"2026-11-22T11:00:00","a":1}"#).unwrap_err();
    assert!(matches!(error, PayloadError::BadTimestamp(TimestampError::NoZone(_))), "{error}");
}

#[test]
fn epoch_numbers_may_be_texts_with_fractions() {
    for text in [r#""1795341600""#, r#""1795341600.0""#, r#"" 1795341600000 ""#] {
        assert_eq!(by_default(&format!(r#"{{"a":1,"ts":{text}}}"#)), Ok(Some(TEN_O_CLOCK)), "{text}");
    }
    for number in ["1.7953416e9", "1.7953416e+9", "17953416e+2", r#""1.7953416e+9""#] {
        assert_eq!(by_default(&format!(r#"{{"a":1,"ts":{number}}}"#)), Ok(Some(TEN_O_CLOCK)), "{number}");
        let nested = format!(r#"{{"b":{{"a":1}},"ts":{number}}}"#);
        assert_eq!(by_default(&nested), Ok(Some(TEN_O_CLOCK)), "nested {number}");
    }
}

#[test]
fn a_time_may_be_written_twice_only_if_one_of_them_is_none() {
    assert_eq!(by_default(r#"{"ts":null,"a":1,"ts":1795341600}"#), Ok(Some(TEN_O_CLOCK)));
    assert_eq!(by_default(r#"{"ts":1795341600,"a":1,"ts":0}"#), Ok(Some(TEN_O_CLOCK)));
    let twice = by_default(r#"{"ts":1795341600,"a":1,"ts":1795341600}"#);
    assert_eq!(twice, Err(PayloadError::DuplicateField { field: "ts".to_owned() }));
}

#[test]
fn times_beyond_the_last_year_are_refused() {
    for late in ["9246182400", "1e300", "99999999999999999999", r#""2263-01-01T00:00:00Z""#, "1.8e300"] {
        let error = by_default(&format!(r#"{{"a":1,"ts":{late}}}"#)).unwrap_err();
        assert!(
            matches!(error, PayloadError::BadTimestamp(TimestampError::OutOfRange(_))),
            "{late}: {error}"
        );
    }
}

#[test]
fn fourteen_digits_are_a_local_date_and_time_also_as_a_number() {
    for written in ["20261122110000", r#""20261122110000""#] {
        let payload = format!(r#"{{"ts":{written},"a":1}}"#);
        let berlin =
            PayloadRules { time_zone: Some("Europe/Berlin".parse().unwrap()), ..PayloadRules::default() };
        assert_eq!(time(berlin, &payload), Ok(Some(TEN_O_CLOCK)), "{payload}");
        let error = by_default(&payload).unwrap_err().to_string();
        assert!(error.contains("mqtt.time_zone"), "{error}");
    }
    let berlin =
        PayloadRules { time_zone: Some("Europe/Berlin".parse().unwrap()), ..PayloadRules::default() };
    for no_time in ["19700101000000", "20000101000000"] {
        let payload = format!(r#"{{"ts":"{no_time}","a":1}}"#);
        assert_eq!(time(berlin.clone(), &payload), Ok(None), "{payload}");
        assert_eq!(by_default(&payload), Ok(None), "{payload}");
    }
}
