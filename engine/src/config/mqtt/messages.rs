//! How messages become readings.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thicket_actors::source::{IgnoreRule, SubscriptionOptions, plain_filter};
use thicket_codecs::timestamp::parse_lenient;
use thicket_codecs::{
    CsvRules, Format, LocalZone, OnBadTime, PayloadLimits, PayloadRules, SensorTemplate, TopicTemplate,
    TopicTemplates,
};
use thicket_schema::Timestamp;

use crate::config::error::{ConfigError, all_of};

/// How the messages of a subscription become readings. `default.toml` has the meaning of each key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageConfig {
    /// Name of the preset whose keys are the defaults; empty for none.
    pub(crate) preset: String,
    /// Topic filters.
    pub(crate) topics: Vec<String>,
    /// Templates that extract the name of the sensor from a topic.
    pub(crate) templates: Vec<String>,
    /// Template of the sensor's name; empty for what the topic template captures.
    pub(crate) sensor: String,
    /// Messages that are no readings.
    pub(crate) ignore: Vec<IgnoreConfig>,
    /// Format of the payloads.
    pub(crate) format: Format,
    /// Names of the columns of CSV lines.
    pub(crate) csv_columns: Vec<String>,
    /// The character between two cells of a CSV line.
    pub(crate) csv_separator: char,
    /// Members of a payload that hold its time.
    pub(crate) timestamp_keys: Vec<String>,
    /// Path of the object that holds the fields; empty for the whole payload.
    pub(crate) root: String,
    /// Patterns of the fields to read; empty for all.
    pub(crate) include: Vec<String>,
    /// Patterns of the fields to leave out.
    pub(crate) exclude: Vec<String>,
    /// Words with their values.
    pub(crate) words: BTreeMap<String, f64>,
    /// Whether numbers in texts may have a decimal comma.
    pub(crate) decimal_comma: bool,
    /// Whether a number in a text may be followed by its unit.
    pub(crate) units: bool,
    /// Whether the topmost members of a payload are devices.
    pub(crate) device_keys: bool,
    /// The zone of times without an offset; empty if there is none.
    pub(crate) time_zone: String,
    /// The date before which no device has set its clock.
    pub(crate) time_floor: String,
    /// What becomes of a reading whose time cannot be read.
    pub(crate) on_bad_time: BadTimeRule,
    /// Maximum number of levels of a nested payload.
    pub(crate) max_depth: usize,
    /// Maximum number of bytes of a payload.
    pub(crate) max_payload_bytes: usize,
    /// Maximum number of fields of a reading.
    pub(crate) max_fields: usize,
    /// Maximum number of readings of a message.
    pub(crate) max_readings: usize,
    /// How far a timestamp may lie after the arrival.
    #[serde(with = "crate::config::duration")]
    pub(crate) max_future: Duration,
    /// How far a timestamp may lie before the arrival.
    #[serde(with = "crate::config::duration")]
    pub(crate) max_age: Duration,
    /// How far a timestamp may lie after the arrival without being set back.
    #[serde(with = "crate::config::duration")]
    pub(crate) max_lead: Duration,
}

/// A rule for messages to ignore: those that match everything that the rule names.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IgnoreConfig {
    /// MQTT filter of the topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    /// Pattern of the whole payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// Paths at none of which the payload has a value: one, or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lacks: Option<Paths>,
}

/// One path or several.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged, expecting = "must be the path of a member in quotes, or a list of paths")]
enum Paths {
    One(String),
    Several(Vec<String>),
}

impl Paths {
    fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(path) => vec![path.clone()],
            Self::Several(paths) => paths.clone(),
        }
    }
}

impl IgnoreConfig {
    fn lacks(&self) -> Vec<String> {
        self.lacks.as_ref().map(Paths::to_vec).unwrap_or_default()
    }

    /// Whether the rule names anything, and no path is empty.
    fn is_complete(&self) -> bool {
        let lacks = self.lacks();
        let names_one = self.topic.is_some() || self.payload.is_some() || !lacks.is_empty();
        names_one && (self.lacks.is_none() || !lacks.is_empty()) && !lacks.contains(&String::new())
    }
}

/// What becomes of a reading whose time cannot be read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BadTimeRule {
    /// It becomes a dead letter.
    Refuse,
    /// It gets its arrival time.
    Arrival,
}

impl MessageConfig {
    /// Parses the topic templates.
    pub(crate) fn topic_templates(&self) -> Result<TopicTemplates, ConfigError> {
        let parse = |template: &String| {
            TopicTemplate::parse(template)
                .map_err(|error| ConfigError::invalid("mqtt.templates", &error.to_string()))
        };
        Ok(TopicTemplates(self.templates.iter().map(parse).collect::<Result<_, _>>()?))
    }

    /// Returns the limits of a payload.
    pub(crate) fn payload_limits(&self) -> PayloadLimits {
        PayloadLimits {
            max_bytes: self.max_payload_bytes,
            max_fields: self.max_fields,
            max_readings: self.max_readings,
            max_depth: self.max_depth,
        }
    }

    /// Returns the rules for the members of a payload.
    pub(crate) fn payload_rules(&self) -> Result<PayloadRules, ConfigError> {
        Ok(PayloadRules {
            root: self.root.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            words: self.words.clone(),
            decimal_comma: self.decimal_comma,
            units: self.units,
            device_keys: self.device_keys,
            csv: CsvRules { columns: self.csv_columns.clone(), separator: self.csv_separator()? },
            time_zone: self.local_zone()?,
            time_floor: self.time_floor()?,
            on_bad_time: match self.on_bad_time {
                BadTimeRule::Refuse => OnBadTime::Refuse,
                BadTimeRule::Arrival => OnBadTime::Arrival,
            },
            ..PayloadRules::default()
        })
    }

    /// Parses the topic templates and the template of the sensor, which uses their names.
    fn sensor_template(&self) -> Result<(TopicTemplates, Option<SensorTemplate>), ConfigError> {
        let templates = self.topic_templates()?;
        if self.sensor.is_empty() {
            return Ok((templates, None));
        }
        let sensor = SensorTemplate::parse(&self.sensor, &templates.names());
        let sensor = sensor.map_err(|error| ConfigError::invalid("mqtt.sensor", &error.to_string()))?;
        Ok((templates, Some(sensor)))
    }

    /// Returns the settings for decoding the messages.
    pub(crate) fn options(&self) -> Result<SubscriptionOptions, ConfigError> {
        let (templates, sensor) = self.sensor_template()?;
        let rule =
            |rule: &IgnoreConfig| IgnoreRule::new(rule.topic.clone(), rule.payload.as_deref(), rule.lacks());
        Ok(SubscriptionOptions {
            topics: self.topics.clone(),
            templates,
            sensor,
            ignore: self.ignore.iter().map(rule).collect(),
            format: self.format,
            limits: self.payload_limits(),
            timestamp_keys: self.timestamp_keys.clone(),
            rules: self.payload_rules()?,
            max_future: self.max_future,
            max_age: self.max_age,
            max_lead: self.max_lead,
        })
    }

    fn csv_separator(&self) -> Result<u8, ConfigError> {
        let separator = u8::try_from(self.csv_separator).ok();
        let usable = |byte: &u8| byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r');
        separator.filter(usable).ok_or_else(|| {
            ConfigError::invalid("mqtt.csv_separator", "must be an ASCII character other than a quote")
        })
    }

    fn local_zone(&self) -> Result<Option<LocalZone>, ConfigError> {
        if self.time_zone.is_empty() {
            return Ok(None);
        }
        let zone = self.time_zone.parse();
        zone.map(Some).map_err(|error: thicket_codecs::timestamp::UnknownZone| {
            ConfigError::invalid("mqtt.time_zone", &error.to_string())
        })
    }

    /// Returns the time before which a time is none. A time that `max_age` allows is never before
    /// it, so that old readings that are sent on purpose keep their times.
    fn time_floor(&self) -> Result<Timestamp, ConfigError> {
        let text = &self.time_floor;
        let floor = parse_lenient(&format!("{text}T00:00:00Z"), None).or_else(|_| parse_lenient(text, None));
        let floor = floor.map_err(|_| {
            ConfigError::invalid("mqtt.time_floor", "must be a date such as 2020-01-01, not before 1970")
        })?;
        let max_age = i64::try_from(self.max_age.as_micros()).unwrap_or(i64::MAX);
        let oldest = chrono::Utc::now().timestamp_micros().saturating_sub(max_age);
        Ok(floor.min(Timestamp(oldest)))
    }

    /// Checks what no type can express. `place` is where the keys are, such as
    /// `mqtt.subscriptions[1]`.
    pub(super) fn validate(&self, place: &str) -> Result<(), ConfigError> {
        let check = |is_valid: bool, key: &str, problem: &str| {
            if is_valid { Ok(()) } else { Err(ConfigError::invalid(&format!("{place}.{key}"), problem)) }
        };
        let at = |result: Result<(), ConfigError>| result.map_err(|error| error.at(place));
        let infinite = self.words.iter().find(|(_, value)| value.is_infinite());
        let infinite = infinite.map(|(word, _)| format!("the value of {word} must be finite, or nan"));
        let ignored = self.ignore.iter().filter_map(|rule| rule.topic.as_ref());
        let filter = self.topics.iter().chain(ignored).find(|filter| !is_filter(filter));
        let filter = filter.map(|filter| {
            format!(
                "{filter:?} is no MQTT topic filter: # must be the last level, and # and + must be whole levels"
            )
        });
        let empty = |patterns: &[String]| patterns.iter().any(String::is_empty);
        let has_columns = self.csv_columns.iter().any(|column| !column.trim().is_empty());
        all_of([
            at(self.sensor_template().map(drop)),
            at(self.csv_separator().map(drop)),
            at(self.local_zone().map(drop)),
            at(self.time_floor().map(drop)),
            check(infinite.is_none(), "words", &infinite.unwrap_or_default()),
            check(!empty(&self.include), "include", "must not have an empty pattern"),
            check(!empty(&self.exclude), "exclude", "must not have an empty pattern"),
            check(
                self.format != Format::Csv || has_columns,
                "csv_columns",
                "must name at least one column, because format is csv",
            ),
            check((1..=64).contains(&self.max_depth), "max_depth", "must be between 1 and 64"),
            check(!self.topics.is_empty(), "topics", "must name at least one topic filter"),
            check(filter.is_none(), "topics", &filter.unwrap_or_default()),
            check(
                self.ignore.iter().all(IgnoreConfig::is_complete),
                "ignore",
                "a rule must name a topic, a payload, or members that are lacking, and no path of `lacks` may be empty",
            ),
        ])
    }
}

/// Returns whether a text is a topic filter that MQTT allows.
fn is_filter(filter: &str) -> bool {
    let plain = plain_filter(filter);
    !plain.is_empty()
        && !plain.contains('\0')
        && !plain.starts_with("$share/")
        && rumqttc::valid_filter(plain)
        && (plain.len() == filter.len() || !filter["$share/".len()..].starts_with(['/', '+', '#']))
}
