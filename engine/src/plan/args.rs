//! The command line of `thicket plan`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::fmt;
use std::str::FromStr;

use clap::Args;

use crate::output::Format;

/// The arguments of `thicket plan`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PlanArgs {
    /// Number of sensors.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub(super) sensors: u64,
    /// Number of fields that are scored of each sensor.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) fields: u16,
    /// Readings of each sensor, such as 1/min, 10/s, 4/h or 24/day.
    #[arg(long, default_value = "1/min", value_name = "N/UNIT")]
    pub(super) rate: Rate,
    #[command(flatten)]
    pub(super) format: Format,
}

/// Units of a rate, with their seconds.
const UNITS: [(&str, f64); 10] = [
    ("s", 1.0),
    ("sec", 1.0),
    ("second", 1.0),
    ("min", 60.0),
    ("m", 60.0),
    ("minute", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
];

/// A number of readings in a unit of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    readings: f64,
    unit: (&'static str, f64),
}

impl Rate {
    /// Returns the readings of a second.
    pub(super) fn per_second(self) -> f64 {
        self.readings / self.unit.1
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write readings and a unit, such as 1/min, 10/s, 4/h or 24/day".to_owned();
        let (readings, unit) = text.split_once('/').ok_or_else(wrong)?;
        let readings: f64 = readings.trim().parse().map_err(|_| wrong())?;
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or_else(wrong)?;
        if readings > 0.0 && readings <= 1e6 { Ok(Self { readings, unit }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.readings, self.unit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_units() {
        for (text, per_second) in [("1/min", 1.0 / 60.0), ("10/s", 10.0), ("0.5/h", 0.5 / 3_600.0)] {
            let rate: Rate = text.parse().unwrap();
            assert!((rate.per_second() - per_second).abs() < 1e-12, "{text}");
            assert_eq!(rate.to_string(), text);
        }
        for text in ["", "1", "1/", "/s", "0/s", "-1/s", "nan/s", "1/fortnight"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
