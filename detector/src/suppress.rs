//! Anomalies that nobody wants to hear of: too small, too short, at night, during maintenance.
//!
//! Suppression changes what is announced, never what is learnt or scored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::clock::{TimeZone, second_of_day};
use crate::config_error::ConfigError;

/// Which anomalies are only stored, not announced. Every rule that is set can suppress.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppression {
    /// Absolute tolerance, in the field's own unit, from 0: an anomaly of which no field lies farther than this from
    /// what was expected.
    pub absolute: f64,
    /// Relative tolerance, from 0: an anomaly of which no field lies farther than this part of the expected value from it, such as
    /// 0.05 for five percent.
    pub relative: f64,
    /// An anomaly that has not lasted so long yet.
    #[serde(with = "humantime_serde")]
    pub min_duration: Duration,
    /// Hours of the local day, such as `["22:00-06:00"]`.
    pub quiet_hours: Vec<QuietHours>,
    /// Planned work, such as `[{ from = "2026-12-01T08:00:00Z", to = "2026-12-01T12:00:00Z" }]`.
    pub maintenance: Vec<Maintenance>,
}

/// A span of the local day, which may reach over midnight; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours {
    /// Seconds of the day.
    from: u32,
    /// Seconds of the day.
    to: u32,
}

/// A span of time; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Its beginning, in RFC 3339.
    pub from: DateTime<Utc>,
    /// Its end, in RFC 3339.
    pub to: DateTime<Utc>,
}

/// An anomaly, as far as a rule may ask.
pub(crate) struct Candidate<'a> {
    /// Timestamp of the reading at hand, in microseconds since 1970.
    pub(crate) at: i64,
    /// Timestamp of the anomaly's first reading.
    pub(crate) started: i64,
    /// What was expected, and what came.
    pub(crate) causes: &'a [Cause],
}

impl Suppression {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        for (key, value) in [("suppress.absolute", self.absolute), ("suppress.relative", self.relative)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(ConfigError::BadNumber { key, value, range: "0 or more" });
            }
        }
        Ok(())
    }

    /// Whether a rule holds an anomaly back.
    pub(crate) fn holds_back(&self, candidate: &Candidate<'_>, zone: TimeZone) -> bool {
        let Candidate { at, started, causes } = *candidate;
        let lasted = u128::from((at - started).max(0).cast_unsigned());
        let tolerable = |cause: &Cause| {
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

/// Text that is no span of a day.
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
        }
    }

    fn holds_back(rules: &Suppression, at: i64, causes: &[Cause]) -> bool {
        rules.holds_back(&Candidate { at, started: 0, causes }, TimeZone::default())
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
    fn every_rule_can_hold_an_anomaly_back() {
        let none = Suppression::default();
        assert!(!holds_back(&none, 0, &[off_by(40.0, 71.0)]));
        let absolute = Suppression { absolute: 2.0, ..Suppression::default() };
        assert!(holds_back(&absolute, 0, &[off_by(40.0, 41.0)]));
        assert!(!holds_back(&absolute, 0, &[off_by(40.0, 41.0), off_by(40.0, 71.0)]));
        let relative = Suppression { relative: 0.05, ..Suppression::default() };
        assert!(holds_back(&relative, 0, &[off_by(40.0, 41.9)]));
        assert!(!holds_back(&relative, 0, &[off_by(40.0, 42.1)]));
        let lasting = Suppression { min_duration: Duration::from_secs(2), ..Suppression::default() };
        assert!(holds_back(&lasting, 1_999_999, &[off_by(40.0, 71.0)]));
        assert!(!holds_back(&lasting, 2_000_000, &[off_by(40.0, 71.0)]));
        let work = Maintenance {
            from: DateTime::from_timestamp_micros(10).unwrap(),
            to: DateTime::from_timestamp_micros(20).unwrap(),
        };
        let maintenance = Suppression { maintenance: vec![work], ..Suppression::default() };
        assert!(holds_back(&maintenance, 10, &[off_by(40.0, 71.0)]));
        assert!(!holds_back(&maintenance, 20, &[off_by(40.0, 71.0)]));
    }
}
