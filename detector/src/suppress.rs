//! Suppression rules: anomalies that are too small, too short, within quiet hours or during
//! maintenance are not announced.
//!
//! Suppression changes only what is announced. It never changes what is learnt or scored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::clock::{TimeZone, second_of_day};
use crate::config_error::ConfigError;

/// Rules for anomalies that are stored but not announced. An anomaly is suppressed if any rule that
/// is set applies to it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// Absolute tolerance, in the field's own unit, from 0. An anomaly is suppressed if each field
    /// that the reading has lies within the absolute or the relative tolerance of its expected
    /// value. With both at 0, this rule is off. It does not apply to a field that repeats its value far
    /// longer than before.
    pub absolute: f64,
    /// Relative tolerance, as a part of the expected value, from 0, such as 0.05 for five percent.
    /// See `absolute`.
    pub relative: f64,
    /// Minimum duration. Suppresses an anomaly until it has lasted this long.
    #[serde(with = "humantime_serde")]
    pub min_duration: Duration,
    /// Hours of the local day in which anomalies are suppressed, such as `["22:00-06:00"]`.
    pub quiet_hours: Vec<QuietHours>,
    /// Times of planned work in which anomalies are suppressed, such as
    /// `[{ from = "2026-12-01T08:00:00Z", to = "2026-12-01T12:00:00Z" }]`.
    pub maintenance: Vec<Maintenance>,
}

/// A span of the local day. It may reach over midnight. The end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours {
    /// Start, in seconds of the day.
    from: u32,
    /// End, in seconds of the day.
    to: u32,
}

/// A span of time. The end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Start, in RFC 3339.
    pub from: DateTime<Utc>,
    /// End, in RFC 3339.
    pub to: DateTime<Utc>,
}

/// The facts of an anomaly that the rules use.
pub(crate) struct Candidate<'a> {
    /// Timestamp of the last reading, in microseconds since 1970.
    pub(crate) at: i64,
    /// Timestamp of the anomaly's first reading, in microseconds since 1970.
    pub(crate) started: i64,
    /// Expected and actual value of each field.
    pub(crate) causes: &'a [Cause],
}

impl Suppression {
    /// Returns the errors of the settings.
    pub(crate) fn check(&self) -> impl Iterator<Item = ConfigError> {
        [("suppress.absolute", self.absolute), ("suppress.relative", self.relative)]
            .into_iter()
            .filter(|&(_, value)| !(value >= 0.0 && value.is_finite()))
            .map(|(key, value)| ConfigError::BadNumber { key, value, range: "0 or more" })
    }

    /// Returns whether a rule suppresses an anomaly.
    pub(crate) fn suppresses(&self, candidate: &Candidate<'_>, zone: TimeZone) -> bool {
        let Candidate { at, started, causes } = *candidate;
        let lasted = u128::from(at.saturating_sub(started).max(0).cast_unsigned());
        let tolerable = |cause: &Cause| {
            if cause.actual.is_nan() {
                // The reading lacks the field.
                return true;
            }
            if cause.repeated > 0 || cause.away > 0 {
                // It is the repetition or the missing return that is unusual, not the value.
                return false;
            }
            let off = (cause.actual - cause.expected).abs();
            off <= self.absolute || off <= self.relative * cause.expected.abs()
        };
        let second = second_of_day(zone.local_seconds(at));
        lasted < self.min_duration.as_micros()
            || ((self.absolute > 0.0 || self.relative > 0.0) && causes.iter().all(tolerable))
            || self.quiet_hours.iter().any(|hours| hours.contains(second))
            || self.maintenance.iter().any(|work| work.contains(at))
    }
}

impl QuietHours {
    /// Returns whether a moment, in microseconds since 1970, lies within these hours of a time
    /// zone.
    pub fn cover(self, ts_micros: i64, zone: TimeZone) -> bool {
        self.contains(second_of_day(zone.local_seconds(ts_micros)))
    }

    fn contains(self, second: u32) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&second)
        } else {
            second >= self.from || second < self.to
        }
    }
}

impl Maintenance {
    fn contains(self, ts_micros: i64) -> bool {
        (self.from.timestamp_micros()..self.to.timestamp_micros()).contains(&ts_micros)
    }
}

/// A text that is not a span of the day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of the day such as 22:00-06:00")]
pub struct NotHours(String);

impl TryFrom<String> for QuietHours {
    type Error = NotHours;

    fn try_from(text: String) -> Result<Self, NotHours> {
        let second = |time: &str| {
            let (hour, minute) = time.trim().split_once(':')?;
            let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
            (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 3_600 + minute * 60)
        };
        let span = text.split_once('-').and_then(|(from, to)| Some((second(from)?, second(to)?)));
        match span {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(NotHours(text)),
        }
    }
}

impl From<QuietHours> for String {
    fn from(QuietHours { from, to }: QuietHours) -> Self {
        let time = |second: u32| format!("{:02}:{:02}", second / 3_600, second / 60 % 60);
        format!("{}-{}", time(from), time(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Direction;

    fn off_by(expected: f64, actual: f64) -> Cause {
        Cause {
            field: "a".into(),
            share: 1.0,
            actual,
            expected,
            low: expected,
            high: expected,
            direction: Direction::High,
            is_counter: false,
            repeated: 0,
            away: 0,
        }
    }

    fn suppresses(rules: &Suppression, at: i64, causes: &[Cause]) -> bool {
        rules.suppresses(&Candidate { at, started: 0, causes }, TimeZone::default())
    }

    #[test]
    fn hours_may_reach_over_midnight() {
        let night = QuietHours::try_from("22:00-06:00".to_owned()).unwrap();
        assert!(night.contains(23 * 3_600) && night.contains(0) && !night.contains(6 * 3_600));
        assert_eq!(String::from(night), "22:00-06:00");
        for wrong in ["22-6", "25:00-26:00", "08:00-08:00", ""] {
            assert!(QuietHours::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_rule_can_suppress_an_anomaly() {
        let none = Suppression::default();
        assert!(!suppresses(&none, 0, &[off_by(40.0, 71.0)]));
        let absolute = Suppression { absolute: 2.0, ..Suppression::default() };
        assert!(suppresses(&absolute, 0, &[off_by(40.0, 41.0)]));
        assert!(!suppresses(&absolute, 0, &[off_by(40.0, 41.0), off_by(40.0, 71.0)]));
        let missing = off_by(40.0, f64::NAN);
        assert!(suppresses(&absolute, 0, &[off_by(40.0, 41.0), missing.clone()]), "a field is missing");
        assert!(!suppresses(&absolute, 0, &[off_by(40.0, 71.0), missing]));
        for unusual in
            [Cause { repeated: 61, ..off_by(40.0, 41.0) }, Cause { away: 61, ..off_by(40.0, 41.0) }]
        {
            assert!(!suppresses(&absolute, 0, &[unusual]), "the value is none that is off");
        }
        let relative = Suppression { relative: 0.05, ..Suppression::default() };
        assert!(suppresses(&relative, 0, &[off_by(40.0, 41.9)]));
        assert!(!suppresses(&relative, 0, &[off_by(40.0, 42.1)]));
        let lasting = Suppression { min_duration: Duration::from_secs(2), ..Suppression::default() };
        assert!(suppresses(&lasting, 1_999_999, &[off_by(40.0, 71.0)]));
        assert!(!suppresses(&lasting, 2_000_000, &[off_by(40.0, 71.0)]));
        let work = Maintenance {
            from: DateTime::from_timestamp_micros(10).unwrap(),
            to: DateTime::from_timestamp_micros(20).unwrap(),
        };
        let maintenance = Suppression { maintenance: vec![work], ..Suppression::default() };
        assert!(suppresses(&maintenance, 10, &[off_by(40.0, 71.0)]));
        assert!(!suppresses(&maintenance, 20, &[off_by(40.0, 71.0)]));
    }
}
