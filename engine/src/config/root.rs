//! The whole configuration.

use std::time::Duration;

use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};
use thicket_actors::detector::{DetectorConfigs, DetectorRule};
use thicket_detector::{ConfigError as Unusable, DetectorConfig};

use super::duration::show;
use super::error::{ConfigError, all_of, and_independent};
use super::extract::extract_partly;
use super::mqtt::{MessageConfig, MqttConfig};
use super::notify::NotifyConfig;
use super::sections::{
    AnomaliesConfig, CheckpointConfig, DeadLettersConfig, HttpConfig, LogConfig, NodeConfig, PostgresConfig,
    QuarantineConfig, QueueConfig, RedisConfig, SensorsConfig, ShardsConfig, ShutdownConfig,
};

/// The shortest `node.watchdog`. A thread gives four signs of life a second, and misses some while it is
/// busy.
const LEAST_WATCHDOG: Duration = Duration::from_secs(1);
/// The longest `queue.reorder`.
const LONGEST_REORDER: Duration = Duration::from_mins(10);

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// This process.
    pub(crate) node: NodeConfig,
    /// The brokers, at least one, with their subscriptions. Read in a step of its own.
    #[serde(deserialize_with = "read_later")]
    pub(crate) mqtt: Vec<MqttConfig>,
    /// The log and the checkpoints.
    pub(crate) redis: RedisConfig,
    /// The rows and their retention.
    pub(crate) postgres: PostgresConfig,
    /// The writing of the log.
    pub(crate) queue: QueueConfig,
    /// The bounds on what devices can add.
    pub(crate) sensors: SensorsConfig,
    /// The keeping of dead letters.
    pub(crate) dead_letters: DeadLettersConfig,
    /// The keeping of anomalies.
    pub(crate) anomalies: AnomaliesConfig,
    /// The keeping of the quarantine.
    pub(crate) quarantine: QuarantineConfig,
    /// The reading and scoring of the log.
    pub(crate) shards: ShardsConfig,
    /// The saving of detectors.
    pub(crate) checkpoint: CheckpointConfig,
    /// Metrics, health and the API.
    pub(crate) http: HttpConfig,
    /// Logs.
    pub(crate) log: LogConfig,
    /// The stop.
    pub(crate) shutdown: ShutdownConfig,
    /// Who is told of anomalies.
    pub(crate) notify: NotifyConfig,
    /// The detector of every sensor.
    #[serde(default)]
    pub(crate) detector: DetectorConfig,
    /// Overrides by sensor pattern: `sensors`, and any key of `detector`.
    #[serde(default)]
    pub(crate) detectors: Vec<Dict>,
}

/// Returns no broker, whatever the value is.
fn read_later<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<MqttConfig>, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| Vec::new())
}

impl Config {
    /// Returns the subscriptions of all brokers.
    pub(crate) fn subscriptions(&self) -> Result<Vec<MessageConfig>, ConfigError> {
        let of_brokers: Result<Vec<_>, _> = self.mqtt.iter().map(MqttConfig::subscriptions).collect();
        Ok(of_brokers?.into_iter().flatten().collect())
    }

    /// Returns the configuration of every sensor. Each rule is merged over the default.
    pub(crate) fn detector_configs(&self) -> Result<DetectorConfigs, ConfigError> {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for (index, rule) in self.detectors.iter().enumerate() {
            match Self::detector_rule(&self.detector, index, rule) {
                Ok(rule) => rules.push(rule),
                Err(error) => problems.extend(error.into_all()),
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::Several(problems));
        }
        Ok(DetectorConfigs::new(self.detector.clone(), rules))
    }

    fn detector_rule(
        default: &DetectorConfig,
        index: usize,
        rule: &Dict,
    ) -> Result<DetectorRule, ConfigError> {
        let place = format!("detectors[{index}]");
        let mut overrides = rule.clone();
        let sensors = overrides.remove("sensors").and_then(Value::into_string);
        let defaults = Value::serialize(default)
            .map_err(|error| ConfigError::invalid(&place, &error.to_string()))?
            .into_dict()
            .unwrap_or_default();
        let (config, problems) = extract_partly::<DetectorConfig>(&defaults, overrides, &place, &["sensors"]);
        let of_rule = Value::from(rule.clone());
        let of_default = default.validate().err().map(|errors| errors.0).unwrap_or_default();
        // A rule inherits the problems of the keys that it does not set.
        let is_own = |error: &Unusable| {
            of_rule.find_ref(error.key()).is_some()
                || of_default.iter().all(|other| other.key() != error.key())
        };
        let mut found = config.as_ref().map_or(Ok(()), |config| validate_detector(config, &place, is_own));
        if sensors.is_none() {
            let problem = "name a sensor pattern, such as \"site-1/*\"";
            found = all_of([found, Err(ConfigError::invalid(&format!("{place}.sensors"), problem))]);
        }
        and_independent(problems, found)?;
        let both = sensors.zip(config).map(|(sensors, config)| DetectorRule { sensors, config });
        both.ok_or(ConfigError::Several(Vec::new()))
    }

    /// Returns all settings but those of detectors, for comparison.
    pub(crate) fn without_detectors(&self) -> Result<serde_json::Value, serde_json::Error> {
        let mut all = serde_json::to_value(self)?;
        if let Some(sections) = all.as_object_mut() {
            sections.remove("detector");
            sections.remove("detectors");
        }
        Ok(all)
    }

    /// Returns the longest `mqtt.max_age` of all subscriptions.
    pub(crate) fn longest_max_age(&self) -> Duration {
        // A broker with a problem of its own may have no subscriptions.
        let subscriptions = self.mqtt.iter().filter_map(|broker| broker.subscriptions().ok()).flatten();
        subscriptions.map(|subscription| subscription.max_age).max().unwrap_or_default()
    }

    /// Refuses a retention that is shorter than `mqtt.max_age`: an accepted reading could be of a
    /// day that is dropped already, and would create that day again.
    fn validate_retention(&self) -> Result<(), ConfigError> {
        let (retention, max_age) = (self.postgres.retention, self.longest_max_age());
        if retention.is_zero() || max_age <= retention {
            return Ok(());
        }
        let problem = format!(
            "{} is shorter than mqtt.max_age, {}: the engine would accept readings of days that are dropped already; set mqtt.max_age to at most postgres.retention",
            show(retention),
            show(max_age)
        );
        Err(ConfigError::invalid("postgres.retention", &problem))
    }

    /// Checks what no type can express.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("postgres.writers", self.postgres.writers as u64),
            ("postgres.max_rows", self.postgres.max_rows as u64),
            ("queue.partitions", u64::from(self.queue.partitions)),
            ("queue.max_records", self.queue.max_records as u64),
            ("queue.max_backlog", self.queue.max_backlog),
            ("sensors.max", self.sensors.max as u64),
            ("sensors.new_per_second", u64::from(self.sensors.new_per_second)),
            ("sensors.new_at_once", u64::from(self.sensors.new_at_once)),
            ("sensors.max_field_sets", self.sensors.max_field_sets as u64),
            ("sensors.max_fields", self.sensors.max_fields as u64),
            ("sensors.max_name_bytes", self.sensors.max_name_bytes as u64),
            ("sensors.new_days_per_hour", u64::from(self.sensors.new_days_per_hour)),
            ("sensors.new_days_at_once", u64::from(self.sensors.new_days_at_once)),
            ("dead_letters.max_per_second", u64::from(self.dead_letters.max_per_second)),
            ("dead_letters.max_rows", self.dead_letters.max_rows),
            ("quarantine.max_rows", self.quarantine.max_rows),
            ("shards.max_detectors", self.shards.max_detectors as u64),
            ("shards.max_in_flight", u64::from(self.shards.max_in_flight)),
            ("checkpoint.every", self.checkpoint.every),
            ("notify.max_waiting", self.notify.max_waiting),
            ("checkpoint.memory", self.checkpoint.memory.bytes().unwrap_or(1)),
            ("shards.memory", self.shards.memory.bytes().unwrap_or(1)),
        ];
        let positive = positive.map(|(key, value)| check(value > 0, key, "must be at least 1"));
        let brokers = all_of(self.mqtt.iter().map(MqttConfig::validate));
        let detector = validate_detector(&self.detector, "detector", |_| true);
        let rules = self.detectors.iter().enumerate();
        let rules =
            all_of(rules.map(|(index, rule)| Self::detector_rule(&self.detector, index, rule).map(drop)));
        all_of(positive.into_iter().chain([
            brokers,
            self.redis.validate(),
            self.postgres.validate(),
            self.http.validate(),
            self.log.validate(),
            check(self.queue.partitions <= 4_096, "queue.partitions", "must be at most 4096"),
            check(
                self.shards.count <= self.queue.partitions,
                "shards.count",
                "must be at most queue.partitions: a shard without a partition has no work",
            ),
            check(self.node.watchdog >= LEAST_WATCHDOG, "node.watchdog", "must be at least 1s"),
            check(self.shards.lease >= Duration::from_millis(300), "shards.lease", "must be at least 300ms"),
            check(
                self.queue.reorder <= LONGEST_REORDER,
                "queue.reorder",
                "must be at most 10m: every reading waits that long, and the broker keeps its message meanwhile",
            ),
            self.validate_retention(),
            self.notify.routes().map(drop),
            detector,
            rules,
        ]))
    }
}

/// Checks the settings of a detector, apart from errors that are not its own. `place` is where the keys
/// are, such as `detectors[0]`.
fn validate_detector(
    config: &DetectorConfig,
    place: &str,
    is_own: impl Fn(&Unusable) -> bool,
) -> Result<(), ConfigError> {
    let errors = config.validate().err().map(|errors| errors.0).unwrap_or_default();
    let located =
        |error: &Unusable| ConfigError::invalid(&format!("{place}.{}", error.key()), &error.to_string());
    all_of(errors.iter().filter(|error| is_own(error)).map(|error| Err(located(error))))
}

fn check(is_valid: bool, key: &str, problem: &str) -> Result<(), ConfigError> {
    if is_valid { Ok(()) } else { Err(ConfigError::invalid(key, problem)) }
}
