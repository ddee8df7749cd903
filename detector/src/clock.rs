//! The time of day and the day of the week at the sensor's site, as coordinates of a point.
//!
//! They are angles on a circle, so midnight is no jump: 23:59 and 00:01 are neighbours. The time is
//! the timestamp of the reading.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Offset as _, TimeZone as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECONDS_OF_DAY: i64 = 86_400;
const SECONDS_OF_WEEK: i64 = 7 * SECONDS_OF_DAY;
/// The Unix epoch was a Thursday; weeks begin on Monday.
const EPOCH_IN_WEEK: i64 = 3 * SECONDS_OF_DAY;
const MICROS: i64 = 1_000_000;

/// A time zone of the IANA database that this program contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Returns the zone's name, such as `Europe/Berlin`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Converts microseconds since 1970 to seconds of local time since 1970-01-01T00:00 local time.
    pub(crate) fn local_seconds(self, ts_micros: i64) -> i64 {
        let seconds = ts_micros.div_euclid(MICROS);
        let offset = DateTime::from_timestamp(seconds, 0)
            .map_or(0, |utc| self.0.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc());
        seconds + i64::from(offset)
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self(chrono_tz::UTC)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone of the IANA database, such as Europe/Berlin")]
pub struct UnknownTimeZone(String);

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    fn from_str(name: &str) -> Result<Self, UnknownTimeZone> {
        name.parse().map(Self).map_err(|_| UnknownTimeZone(name.to_owned()))
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns the second of the local day, 0 to 86,399.
pub(crate) fn second_of_day(local_seconds: i64) -> u32 {
    local_seconds.rem_euclid(SECONDS_OF_DAY) as u32
}

/// Returns the time of day as a point on the unit circle: cosine and sine.
pub(crate) fn day_angle(local_seconds: i64) -> [f32; 2] {
    on_circle(local_seconds, SECONDS_OF_DAY)
}

/// Returns the time of the week as a point on the unit circle: cosine and sine.
pub(crate) fn week_angle(local_seconds: i64) -> [f32; 2] {
    on_circle(local_seconds + EPOCH_IN_WEEK, SECONDS_OF_WEEK)
}

fn on_circle(seconds: i64, period: i64) -> [f32; 2] {
    let angle = core::f64::consts::TAU * seconds.rem_euclid(period) as f64 / period as f64;
    [libm::cos(angle) as f32, libm::sin(angle) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-07-06T22:30:00Z, a Monday in summer.
    const MONDAY_NIGHT: i64 = 1_783_377_000 * MICROS;

    #[test]
    fn a_zone_has_its_own_midnight_and_summer_time() {
        let berlin: TimeZone = "Europe/Berlin".parse().unwrap();
        assert_eq!(second_of_day(TimeZone::default().local_seconds(MONDAY_NIGHT)), 22 * 3_600 + 1_800);
        assert_eq!(second_of_day(berlin.local_seconds(MONDAY_NIGHT)), 1_800);
        let half_a_year_later = MONDAY_NIGHT + 182 * SECONDS_OF_DAY * MICROS;
        assert_eq!(second_of_day(berlin.local_seconds(half_a_year_later)), 23 * 3_600 + 1_800);
    }

    #[test]
    fn angles_close_the_circle() {
        let near = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]) < 0.01;
        assert!(near(day_angle(-1), day_angle(1)));
        assert!(near(day_angle(6 * 3_600), [0.0, 1.0]));
        let monday = TimeZone::default().local_seconds(MONDAY_NIGHT) / SECONDS_OF_DAY * SECONDS_OF_DAY;
        assert!(near(week_angle(monday), [1.0, 0.0]), "a week begins on Monday, at angle 0");
    }

    #[test]
    fn an_error_names_the_unknown_time_zone() {
        let error = "Europe/Atlantis".parse::<TimeZone>().unwrap_err().to_string();
        assert!(error.contains("Europe/Atlantis") && error.contains("IANA"), "{error}");
    }
}
