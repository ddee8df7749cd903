use chrono::{DateTime, FixedOffset, SecondsFormat};
use proptest::prelude::*;

use super::*;

const TEN_O_CLOCK: i64 = 1_795_341_600_000_000;

fn rfc3339(text: &str) -> i64 {
    parse_rfc3339(text).unwrap().0
}

fn epoch(text: &str) -> i64 {
    parse_epoch(text).unwrap().0
}

#[test]
fn rfc3339_is_read_with_any_offset_and_punctuation() {
    for text in [
        "2026-11-22T10:00:00.000000Z",
        "2026-11-22T10:00:00Z",
        "2026-11-22t10:00:00z",
        "2026-11-22 10:00:00+00:00",
        "2026-11-22T10:00:00-00:00",
        "2026-11-22T11:30:00+01:30",
        "2026-11-22T00:00:00-10:00",
        "2026-11-23T09:59:00+23:59",
    ] {
        assert_eq!(rfc3339(text), TEN_O_CLOCK, "{text}");
    }
}

#[test]
fn fractions_are_truncated_to_microseconds() {
    for (fraction, micros) in
        [(".5", 500_000), (".000001", 1), (".0000019999", 1), (".999999999999", 999_999)]
    {
        assert_eq!(rfc3339(&format!("2026-11-22T10:00:00{fraction}Z")), TEN_O_CLOCK + micros, "{fraction}");
    }
}

#[test]
fn a_leap_second_is_the_first_of_the_next_day_and_is_found_nowhere_else() {
    assert_eq!(rfc3339("2016-12-31T23:59:60.25Z"), rfc3339("2017-01-01T00:00:00.25Z"));
    assert_eq!(rfc3339("2017-01-01T00:59:60+01:00"), rfc3339("2017-01-01T00:00:00Z"));
    assert!(matches!(parse_rfc3339("2017-01-01T10:59:60Z"), Err(TimestampError::NotATime(_))));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        "yesterday",
        "2026-11-22",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00 Z",
        "2026-11-22T10:00:00Z ",
        "2026-11-22T10:00:00+0100",
        "2026-11-22T10:00:00+01",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00+01:60",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:00:61Z",
        "2026-13-01T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-11-31T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2100-02-29T10:00:00Z",
        "2026-11-22T1é:00:00Z",
        "+026-11-22T10:00:00Z",
        "1795341600",
    ] {
        let expected = TimestampError::NotATime(text.to_owned());
        assert_eq!(parse_rfc3339(text), Err(expected), "{text}");
    }
}

#[test]
fn a_time_without_an_offset_is_refused_with_the_remedy() {
    let error = parse_rfc3339("2026-11-22T10:00:00.5").unwrap_err();
    assert_eq!(error, TimestampError::NoOffset("2026-11-22T10:00:00.5".into()));
    let message =
        "the time 2026-11-22T10:00:00.5 has no offset; end it with Z or an offset from UTC as in +01:00";
    assert_eq!(error.to_string(), message);
}

#[test]
fn the_years_1970_to_2262_are_accepted() {
    assert_eq!(rfc3339("1970-01-01T00:00:00Z"), 0);
    assert_eq!(rfc3339("2262-12-31T23:59:59.9999999Z"), END - 1);
    assert_eq!(epoch("9246182399999999999"), END - 1);
    assert_eq!(epoch("9246182399.9999999"), END - 1);
    for text in [
        "1969-12-31T23:59:59.9Z",
        "1970-01-01T00:30:00+01:00",
        "2263-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ] {
        assert_eq!(parse_rfc3339(text), Err(TimestampError::OutOfRange(text.to_owned())));
    }
    for text in [
        "-1",
        "-0.001",
        "9246182400",
        "9246182400000",
        "9246182400000000000",
        "1e300",
        "99999999999999999999",
    ] {
        assert_eq!(parse_epoch(text), Err(TimestampError::OutOfRange(text.to_owned())), "{text}");
    }
}

#[test]
fn the_magnitude_tells_the_unit() {
    for text in ["1795341600", "1795341600000", "1795341600000000", "1795341600000000000"] {
        assert_eq!(epoch(text), TEN_O_CLOCK, "{text}");
    }
    assert_eq!(epoch("0"), 0);
    assert_eq!(epoch("1"), 1_000_000);
    // The first number of milli-, micro- and nanoseconds.
    for text in ["100000000000", "100000000000000", "100000000000000000"] {
        assert_eq!(epoch(text), 100_000_000_000_000, "{text}");
    }
    for text in ["99999999999", "99999999999.9", "99999999999999", "99999999999999999"] {
        assert_eq!(parse_epoch(text), Err(TimestampError::OutOfRange(text.to_owned())), "{text}");
    }
}

#[test]
fn numbers_are_exact_to_the_last_digit() {
    assert_eq!(epoch("1795341600.123456"), TEN_O_CLOCK + 123_456);
    assert_eq!(epoch("1795341600.1234569"), TEN_O_CLOCK + 123_456);
    assert_eq!(epoch("1795341600000.123999"), TEN_O_CLOCK + 123);
    assert_eq!(epoch("1795341600000001.9"), TEN_O_CLOCK + 1);
    assert_eq!(epoch("1795341600000001999"), TEN_O_CLOCK + 1);
    assert_eq!(epoch("1.7953416e9"), TEN_O_CLOCK);
    assert_eq!(epoch("17953416000000000e-7"), TEN_O_CLOCK);
    assert_eq!(epoch("1795341600e+3"), TEN_O_CLOCK);
    assert_eq!(epoch("0.000001795341600E15"), TEN_O_CLOCK);
    assert_eq!(epoch("0.0000019"), 1);
    assert_eq!(epoch("1e-7"), 0);
    assert_eq!(epoch("-0.0"), 0);
    assert_eq!(epoch("0e999999999999999999999"), 0);
    assert_eq!(epoch("1e-999999999999999999999"), 0);
}

#[test]
fn what_is_no_number_is_refused() {
    for text in
        ["", "-", "null", "true", "1.", ".5", "1e", "1e+", "+1", "1 ", "0x10", "1_000", "{}", "[1]", "NaN"]
    {
        assert_eq!(parse_epoch(text), Err(TimestampError::NotATime(text.to_owned())), "{text}");
    }
}

proptest! {
    #[test]
    fn rfc3339_agrees_with_chrono(micros in 0..END, offset_minutes in -1_439..1_440_i32) {
        let zone = FixedOffset::east_opt(offset_minutes * 60).unwrap();
        let text = DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone)
            .to_rfc3339_opts(SecondsFormat::Micros, offset_minutes == 0);
        prop_assert_eq!(parse_rfc3339(&text), Ok(Timestamp(micros)));
    }

    #[test]
    fn days_agree_with_chrono(year in 1970_i32..=2262, month in 0..14_u32, day in 0..33_u32) {
        let ours = parse_rfc3339(&format!("{year:04}-{month:02}-{day:02}T00:00:00Z")).ok().map(Timestamp::to_datetime);
        let theirs = chrono::NaiveDate::from_ymd_opt(year, month, day);
        prop_assert_eq!(ours, theirs.and_then(|date| date.and_hms_opt(0, 0, 0)).map(|time| time.and_utc()));
    }

    #[test]
    fn every_unit_gives_the_same_time(micros in 100_000_000_000_000..END) {
        let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let millis = format!("{}.{:03}", micros / 1_000, micros % 1_000);
        let nanos = format!("{micros}999");
        for text in [seconds, millis, micros.to_string(), nanos] {
            prop_assert_eq!(parse_epoch(&text), Ok(Timestamp(micros)), "{}", text);
        }
    }

    #[test]
    fn hostile_text_is_an_error_or_a_time_in_range(text in "[-+.:0-9TZez ]{0,40}") {
        for parsed in [parse_rfc3339(&text), parse_epoch(&text)].into_iter().flatten() {
            prop_assert!((0..END).contains(&parsed.0));
        }
    }

    #[test]
    fn any_text_is_survived(text in ".{0,40}") {
        let _ = (parse_rfc3339(&text), parse_epoch(&text));
    }
}
