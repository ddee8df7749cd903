//! The setting `smoothing`: how far the moving means of the measures reach back.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text that stands for [`Smoothing::Auto`].
const AUTO: &str = "auto";
/// The time that the moving means reach back with [`Smoothing::Auto`], in microseconds.
const HOUR: f64 = 3_600e6;
/// The least and the greatest number of readings that they reach back with [`Smoothing::Auto`].
const LEAST: f64 = 12.0;
const GREATEST: f64 = 24.0;

/// How far the moving means of the measures reach back. Written as `auto` or as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Smoothing {
    /// The readings of one hour at the sensor's usual interval, but at least 12 and at most 24.
    #[default]
    Auto,
    /// This number of readings, 2 to 10,000. With 0 there are neither moving means nor forecasts and
    /// courses: the forest alone judges.
    Readings(u32),
}

impl Smoothing {
    /// Returns whether there are moving means.
    pub fn has_means(self) -> bool {
        self != Self::Readings(0)
    }

    /// Returns the readings that the moving means reach back, 0 if there are none. `interval` is the
    /// sensor's usual one, in microseconds.
    pub(crate) fn reach(self, interval: f64) -> f64 {
        match self {
            Self::Auto if interval > 0.0 => (HOUR / interval).clamp(LEAST, GREATEST),
            Self::Auto => GREATEST,
            Self::Readings(readings) => f64::from(readings),
        }
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Readings(readings) => write!(f, "{readings}"),
        }
    }
}

impl Serialize for Smoothing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Readings(readings) => serializer.serialize_u32(*readings),
        }
    }
}

impl<'de> Deserialize<'de> for Smoothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AutoOrNumber)
    }
}

struct AutoOrNumber;

impl Visitor<'_> for AutoOrNumber {
    type Value = Smoothing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\", or a number of readings")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Smoothing, E> {
        if text == AUTO {
            return Ok(Smoothing::Auto);
        }
        let invalid = || E::invalid_value(Unexpected::Str(text), &self);
        text.parse().map(Smoothing::Readings).map_err(|_| invalid())
    }

    fn visit_u64<E: Error>(self, readings: u64) -> Result<Smoothing, E> {
        let invalid = || E::invalid_value(Unexpected::Unsigned(readings), &self);
        u32::try_from(readings).map(Smoothing::Readings).map_err(|_| invalid())
    }

    fn visit_i64<E: Error>(self, readings: i64) -> Result<Smoothing, E> {
        let invalid = || E::invalid_value(Unexpected::Signed(readings), &self);
        u32::try_from(readings).map(Smoothing::Readings).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Smoothing, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for (json, smoothing) in
            [(r#""auto""#, Smoothing::Auto), ("16", Smoothing::Readings(16)), ("0", Smoothing::Readings(0))]
        {
            assert_eq!(read(json), Ok(smoothing));
            assert_eq!(serde_json::to_string(&smoothing).unwrap(), json);
        }
        assert_eq!(read(r#""16""#), Ok(Smoothing::Readings(16)));
    }

    #[test]
    fn an_error_says_what_is_expected() {
        for json in [r#""often""#, "-1", "99999999999", "1.5", "true", "[]"] {
            let error = read(json).unwrap_err();
            assert!(error.contains(r#"expected "auto", or a number of readings"#), "{error}");
        }
    }

    #[test]
    fn auto_is_an_hour_within_bounds() {
        let reach = |minutes: f64| Smoothing::Auto.reach(minutes * 60e6);
        assert_eq!([0.0, 1.0 / 60.0, 1.0, 3.0, 5.0, 60.0].map(reach), [24.0, 24.0, 24.0, 20.0, 12.0, 12.0]);
        assert_eq!(Smoothing::Readings(7).reach(60e6), 7.0);
    }
}
