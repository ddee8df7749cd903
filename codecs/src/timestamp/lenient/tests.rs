use proptest::prelude::*;

use super::*;

const TEN_O_CLOCK: i64 = 1_795_341_600_000_000;

fn berlin() -> LocalZone {
    "Europe/Berlin".parse().unwrap()
}

fn micros(text: &str) -> i64 {
    parse_lenient(text, None).unwrap_or_else(|error| panic!("{text}: {error}")).0
}

#[test]
fn offsets_are_read_in_every_spelling() {
    for text in [
        "2026-11-22T10:00:00Z",
        "2026-11-22T11:00:00+0100",
        "2026-11-22T11:00:00+01",
        "2026-11-22T11:00:00 +01:00",
        "2026-11-22 11:00:00 +0100",
        "2026-11-22 10:00:00 UTC",
        "2026-11-22 10:00:00 utc",
        "2026-11-22 10:00:00 GMT",
        "2026-11-22 12:00:00 UTC+02:00",
        "2026-11-22T10:00:00 Z",
        " 2026-11-22T10:00:00Z\n",
        "2026-11-22  10:00:00Z",
        "2026-11-22T04:30:00-0530",
        "2026-11-22T10:00Z",
        "2026/11/22 10:00:00Z",
        "2026/11/22T10:00:00z",
        "2026/11/22 11:00:00,0 +0100",
        "20261122T100000Z",
        "20261122T1000+0000",
        "20261122T110000+01:00",
        "20261122100000Z",
        "20261122110000+0100",
        "20261122090000-0100",
    ] {
        assert_eq!(micros(text), TEN_O_CLOCK, "{text}");
    }
}

#[test]
fn fractions_have_any_length_and_a_point_or_a_comma() {
    assert_eq!(micros("2026-11-22T10:00:00,5Z"), TEN_O_CLOCK + 500_000);
    assert_eq!(micros("2026-11-22 10:00:00,123 +0000"), TEN_O_CLOCK + 123_000);
    assert_eq!(micros("2026-11-22T10:00:00.1234567890123456789+00"), TEN_O_CLOCK + 123_456);
}

#[test]
fn a_number_since_the_epoch_may_be_text() {
    for text in ["1795341600", " 1795341600 ", "1795341600.0", "1795341600,0", "+1795341600", "1795341600000"]
    {
        assert_eq!(micros(text), TEN_O_CLOCK, "{text}");
    }
    assert_eq!(micros("1795341600.25"), TEN_O_CLOCK + 250_000);
}

#[test]
fn a_time_without_an_offset_needs_a_zone() {
    let error = parse_lenient("2026-11-22T11:00:00", None).unwrap_err();
    assert_eq!(error, TimestampError::NoZone("2026-11-22T11:00:00".to_owned()));
    assert!(error.to_string().contains("mqtt.time_zone"), "{error}");
    for text in [
        "2026-11-22T11:00:00",
        "2026-11-22 11:00",
        "2026-11-22T11:00:00.000",
        "20261122T110000",
        "20261122110000",
        " 20261122110000,0",
    ] {
        assert_eq!(parse_lenient(text, Some(berlin())), Ok(Timestamp(TEN_O_CLOCK)), "{text}");
    }
    assert_eq!(parse_lenient("2026-11-22T10:00:00Z", Some(berlin())), Ok(Timestamp(TEN_O_CLOCK)));
}

#[test]
fn fourteen_digits_that_are_no_date_are_a_number_out_of_range() {
    for text in ["99999999999999", "20261322110000", "00000000000001e13"] {
        let error = parse_lenient(text, Some(berlin())).unwrap_err();
        assert_eq!(error, TimestampError::OutOfRange(text.to_owned()));
    }
    let error = parse_lenient("20261122110000", None).unwrap_err();
    assert_eq!(error, TimestampError::NoZone("20261122110000".to_owned()));
}

#[test]
fn of_an_hour_that_occurs_twice_the_first_counts() {
    let first = parse_rfc3339("2026-10-25T02:30:00+02:00").unwrap();
    assert_eq!(parse_lenient("2026-10-25T02:30:00", Some(berlin())), Ok(first));
}

#[test]
fn a_time_in_an_hour_that_clocks_skip_is_moved_forward_by_the_gap() {
    let moved = parse_rfc3339("2026-03-29T03:30:00+02:00").unwrap();
    assert_eq!(parse_lenient("2026-03-29T02:30:00", Some(berlin())), Ok(moved));
    // Samoa skipped the whole day.
    let apia = Some("Pacific/Apia".parse().unwrap());
    let moved = parse_rfc3339("2011-12-31T12:00:00+14:00").unwrap();
    assert_eq!(parse_lenient("2011-12-30T12:00:00", apia), Ok(moved));
}

#[test]
fn other_texts_are_no_times() {
    for text in [
        "",
        " ",
        "half past nine",
        "2026-11-22",
        "10:00:00",
        "2026-13-01T10:00:00Z",
        "2026-02-29T10:00:00+01",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00+24",
        "2026-11-22T10:00:00+01:",
        "2026-11-22T10:00:00 CET",
        "2026-11-22X10:00:00Z",
        "2026-11-22T10:00:00Z and more",
        "2026-11-22T1é:00:00Z",
        "3T04:05:06",
        "2026-11-22 10:00:00 UTC+2",
    ] {
        assert_eq!(
            parse_lenient(text, Some(berlin())),
            Err(TimestampError::NotATime(text.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_zone_is_named() {
    let error = "Europe/Bielefeld".parse::<LocalZone>().unwrap_err().to_string();
    assert!(error.contains("Europe/Bielefeld"), "{error}");
}

proptest! {
    #[test]
    fn every_rfc3339_time_is_read_alike(micros in 0..9_246_182_400_000_000_i64) {
        let text = Timestamp(micros).to_string();
        prop_assert_eq!(parse_lenient(&text, Some(berlin())), Ok(Timestamp(micros)));
    }

    #[test]
    fn hostile_text_is_survived(text in "[-+.,:0-9TZeUTCz ]{0,40}", any in ".{0,40}") {
        let _ = (parse_lenient(&text, Some(berlin())), parse_lenient(&any, Some(berlin())), parse_lenient(&text, None));
    }
}
