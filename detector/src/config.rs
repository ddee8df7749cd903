//! The settings of a sensor's detector. The doc comment of a field is its reference documentation.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::TimeZone;
use crate::exclude::Exclude;
use crate::suppress::Suppression;

mod validate;

/// Version of the detection method. It changes when the same readings no longer give the same
/// scores.
pub const ALGORITHM: u32 = 17;

/// Version of the forests' random numbers. The figures of docs/detection.md were measured with it.
const SEEDS: u32 = 2;

/// Settings of the detectors whose sensors match one pattern.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectorConfig {
    /// Names of the fields that make the point, in any order. Other fields are stored but not
    /// scored. If empty, the readings of the warm-up decide the fields, without those that `exclude`
    /// names. A field that never changed in the warm-up is part of the point too, with the remark
    /// `constant`. A field that comes later joins once it changes. All fields have equal weight
    /// whatever their units, so leave out a field that only repeats what another field says.
    pub fields: Vec<String>,
    /// Patterns of the names of fields that are no measurements, such as identifiers, uptimes and
    /// batteries. These fields are stored but not scored, unless `fields` or `counters` lists them.
    /// `*` matches any text and `?` any character. A pattern without capital letters is compared
    /// with the name in lower case and with `_` between its words, so `*_id` matches `deviceId`. A
    /// pattern may match the whole name or its last part: `rssi` matches `Wifi.RSSI`.
    pub exclude: Exclude,
    /// Fields that only ever count up, such as bytes sent or energy used. The detector scores their
    /// growth per second instead of their value. A total that falls to less than half and goes on
    /// from there was reset, which is no anomaly; a smaller fall is noise, and a single 0 a glitch.
    pub counters: Vec<String>,
    /// Size of a sensor's detector: `small`, `medium` or `large`. Sets `trees` and `points` where
    /// these are 0.
    pub profile: Profile,
    /// Trees of a sensor's forest, 1 to 1,000. With 0, the profile sets it. The time and the memory
    /// of the forest grow in proportion. More trees make the score steadier, but from 8 on, memory
    /// is better spent on `points`.
    pub trees: usize,
    /// Readings that the forest remembers, 32 to 1,000,000. With 0, the profile sets it. They are a
    /// sample of the past that holds fewer readings the older they are: the mean age, in readings,
    /// is about ten times `points`. Forecasts and scales reach back as far. Memory grows in
    /// proportion, time with the logarithm.
    pub points: usize,
    /// Consecutive readings that make one point of the forest, 1 to 64. With 1, the forest sees each
    /// reading by itself; the forecasts and the courses of the fields see the order of readings. A
    /// larger shingle shows the forest unusual sequences of usual readings too, but blurs single
    /// outliers. The time and the memory of the forest grow almost in proportion.
    pub shingle: usize,
    /// Readings that the long moving means of the measures reach back, 2 to 10,000; the short ones
    /// reach back a quarter as far, but at least one reading. With 0 there are neither moving means
    /// nor forecasts and courses: the forest alone judges, which hardly detects changes of level,
    /// unrest and unusual courses. That saves a third of the time with one field, and more with many.
    pub smoothing: u32,
    /// Whether the time of day and the day of the week are part of the point: `off`, `on` or
    /// `auto`. With `auto`, they count for a sensor whose memory spans two days (two weeks for the
    /// day of the week), once it has run that long.
    pub clock: ClockContext,
    /// Time zone of the sensor's site, a name of the IANA database such as `Europe/Berlin`. `clock`
    /// and quiet hours use it.
    pub time_zone: TimeZone,
    /// Readings before the first grade, 32 to 1,000,000. Readings of the warm-up are scored and
    /// learnt, but get no grade and raise no anomaly. A sensor keeps the value that was set when
    /// its state began.
    pub warm_up: u32,
    /// False alarms that a sensor may raise in a week in which nothing unusual happens, above 0 and
    /// up to 100,000. Fewer alarms also mean fewer detected anomalies. Together with the sensor's
    /// own rate of readings, this sets the threshold of the grade. The threshold then follows the
    /// alarms: it rises on a sensor that raises more than it may, and falls a little on one that
    /// raises fewer. A new sensor has a credit of two alarms: its threshold is lower until it has
    /// raised them. An alarm with the label `true` does not count. A young sensor has a lower
    /// threshold, which its short past can reach: the rarity of one in three times its readings. That
    /// costs at most (ln(n / 384) − 1) / 3 further false alarms in its life, with n readings in a
    /// week: 2.1 at one reading a second; with `alarms_per_week` below 1, that part of it. A change
    /// keeps the learnt state.
    pub alarms_per_week: f64,
    /// Time after which an open anomaly is accepted as the new normal, but at least the time of
    /// 2 × `smoothing` readings. Until then, a detector learns little of it.
    #[serde(with = "humantime_serde")]
    pub accept_after: Duration,
    /// Late readings in a row after which a sensor's time begins again, 0 to 10,000: its clock has
    /// gone back, and its next readings are scored although newer ones are stored. Only late readings
    /// that are in order among themselves count, and a reading in time ends the row. With 0, late
    /// readings are never scored.
    pub begin_again_after: u32,
    /// Rules for anomalies that are not announced. Their readings are stored and marked as
    /// suppressed.
    pub suppress: Suppression,
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            exclude: Exclude::default(),
            counters: Vec::new(),
            profile: Profile::Medium,
            trees: 0,
            points: 0,
            shingle: 1,
            smoothing: 16,
            clock: ClockContext::Auto,
            time_zone: TimeZone::default(),
            warm_up: 256,
            alarms_per_week: 1.0,
            accept_after: Duration::from_hours(2),
            begin_again_after: 20,
            suppress: Suppression::default(),
        }
    }
}

/// Size of a sensor's detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// 5 trees × 256 points: at most 75 KB for a sensor with one field.
    Small,
    /// 8 trees × 1,024 points: at most 250 KB for a sensor with one field.
    #[default]
    Medium,
    /// 24 trees × 2,048 points: at most 1.2 MB for a sensor with one field.
    Large,
}

/// Whether the time of day and the day of the week are part of the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockContext {
    /// Never.
    Off,
    /// The time of day if the sensor's memory spans two days, the day of the week if it spans two
    /// weeks.
    #[default]
    Auto,
    /// Always, from the first reading on.
    On,
}

/// Sizes of a detector's forest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of trees.
    pub trees: usize,
    /// Number of points that a tree holds.
    pub points: usize,
}

impl DetectorConfig {
    /// Returns the sizes of the forest: the configured ones, or those of the profile where a
    /// setting is 0.
    pub fn shape(&self) -> Shape {
        let Shape { trees, points } = match self.profile {
            Profile::Small => Shape { trees: 5, points: 256 },
            Profile::Medium => Shape { trees: 8, points: 1_024 },
            Profile::Large => Shape { trees: 24, points: 2_048 },
        };
        let chosen = |configured, default| if configured == 0 { default } else { configured };
        Shape { trees: chosen(self.trees, trees), points: chosen(self.points, points) }
    }

    /// Returns a hash of the settings that shape a detector's state. A state with another
    /// fingerprint cannot be continued. The hash does not cover `warm_up`, `alarms_per_week`,
    /// `accept_after`, `begin_again_after` and `suppress`, so these can be changed at any time.
    pub fn fingerprint(&self) -> u64 {
        let mut text = self.shape_text(ALGORITHM);
        // The patterns decide only if no fields are listed.
        if self.fields.is_empty() {
            let mut patterns = self.exclude.patterns().to_vec();
            patterns.sort();
            for pattern in patterns {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "exclude {} {pattern}", pattern.len());
            }
        }
        xxh3_64(text.as_bytes())
    }

    /// Returns a hash of the settings that shape the forest. It seeds its random numbers, so it
    /// does not cover settings that only decide the fields.
    pub(crate) fn forest_hash(&self) -> u64 {
        xxh3_64(self.shape_text(SEEDS).as_bytes())
    }

    fn shape_text(&self, version: u32) -> String {
        let Shape { trees, points } = self.shape();
        let Self { shingle, smoothing, clock, time_zone, .. } = self;
        let mut text = format!(
            "thicket-detector {version}\ntrees {trees}\npoints {points}\nshingle {shingle}\nsmoothing {smoothing}\nclock {clock:?}\n"
        );
        if *clock != ClockContext::Off {
            let _ = writeln!(text, "time zone {}", time_zone.name());
        }
        for name in self.sorted_fields() {
            let _ = writeln!(text, "field {} {name}", name.len());
        }
        let mut counters = self.counters.clone();
        counters.sort();
        for name in counters {
            let _ = writeln!(text, "counter {} {name}", name.len());
        }
        text
    }

    /// Returns all settings as JSON. Equal configurations give equal text.
    pub fn to_json(&self) -> String {
        #[allow(clippy::expect_used, reason = "every setting can be written as JSON")]
        serde_json::to_string(self).expect("every setting can be written as JSON")
    }

    /// Reads the settings that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// The error of `serde_json` if the text is not a configuration.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Returns a hash of all settings and of the method's version. Stored rows name their
    /// configuration by it.
    pub fn identity(&self) -> u64 {
        xxh3_64(format!("{ALGORITHM} {}", self.to_json()).as_bytes())
    }

    /// Returns the configured fields in the order in which the detector keeps them.
    pub(crate) fn sorted_fields(&self) -> Vec<String> {
        let mut names = self.fields.clone();
        names.sort();
        names
    }
}

/// Maximum number of fields of a point. More fields would more likely come from a mistake in the
/// topic template than from a sensor.
pub(crate) const MAX_FIELDS: usize = 256;

#[cfg(test)]
mod tests;
