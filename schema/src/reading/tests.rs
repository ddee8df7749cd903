use super::*;

#[test]
fn a_timestamp_shows_six_decimals_and_z() {
    assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000000Z");
    assert_eq!(Timestamp(1_795_341_600_000_001).to_string(), "2026-11-22T10:00:00.000001Z");
    assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999Z");
}

#[test]
fn a_timestamp_beyond_the_calendar_becomes_its_end() {
    assert_eq!(Timestamp(i64::MAX).to_datetime(), DateTime::<Utc>::MAX_UTC);
    assert_eq!(Timestamp(i64::MIN).to_datetime(), DateTime::<Utc>::MIN_UTC);
}

#[test]
fn a_timestamp_survives_the_conversion_to_chrono_and_back() {
    let ts = Timestamp(1_795_341_600_123_456);
    assert_eq!(Timestamp::from(ts.to_datetime()), ts);
}
