//! The sections of the configuration. `default.toml` is the reference of the keys: it has the
//! meaning and the default of each. A test checks that the two match.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thicket_codecs::timestamp::parse_lenient;
use thicket_codecs::{
    Format, LocalZone, OnBadTime, PayloadLimits, PayloadRules, TopicTemplate, TopicTemplates,
};
use thicket_schema::Timestamp;
use thicket_store::postgres::PostgresServer;
use thicket_store::redis::RedisServer;

use super::error::ConfigError;
use super::tls::TlsConfig;

/// This process.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// A name for logs.
    pub(crate) name: String,
    /// How long a thread may give no sign of life.
    #[serde(with = "humantime_serde")]
    pub(crate) watchdog: Duration,
}

/// The subscription, and the decoding of its messages.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MqttConfig {
    /// `mqtt://host:port`.
    pub(crate) url: String,
    /// Name of the persistent session.
    pub(crate) client_id: String,
    /// User name; empty if the broker asks for none.
    pub(crate) username: String,
    /// Password; empty if the broker asks for none.
    pub(crate) password: String,
    /// Topic filters.
    pub(crate) topics: Vec<String>,
    /// Templates that extract the name of the sensor from a topic.
    pub(crate) templates: Vec<String>,
    /// Format of the payloads.
    pub(crate) format: Format,
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
    #[serde(with = "humantime_serde")]
    pub(crate) max_future: Duration,
    /// How far a timestamp may lie before the arrival.
    #[serde(with = "humantime_serde")]
    pub(crate) max_age: Duration,
    /// Interval of keep-alive pings.
    #[serde(with = "humantime_serde")]
    pub(crate) keep_alive: Duration,
    /// Maximum number of messages that are received and not yet appended.
    pub(crate) max_in_flight: u32,
}

impl std::fmt::Debug for MqttConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttConfig")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl MqttConfig {
    /// Returns host and port of the broker.
    pub(crate) fn address(&self) -> Result<(String, u16), ConfigError> {
        let invalid = || ConfigError::invalid("mqtt.url", "must look like mqtt://host:1883");
        let rest = self
            .url
            .strip_prefix("mqtt://")
            .or_else(|| self.url.strip_prefix("tcp://"))
            .ok_or_else(invalid)?;
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| invalid())?),
            None => (rest, 1883),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        Ok((host.to_owned(), port))
    }

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
            time_zone: self.local_zone()?,
            time_floor: self.time_floor()?,
            on_bad_time: match self.on_bad_time {
                BadTimeRule::Refuse => OnBadTime::Refuse,
                BadTimeRule::Arrival => OnBadTime::Arrival,
            },
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
    /// it: whoever sends old readings on purpose keeps their times.
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

    fn validate_payload(&self) -> Result<(), ConfigError> {
        self.payload_rules()?;
        if let Some((word, _)) = self.words.iter().find(|(_, value)| value.is_infinite()) {
            return Err(ConfigError::invalid(
                "mqtt.words",
                &format!("the value of {word} must be finite, or nan"),
            ));
        }
        for (key, patterns) in [("mqtt.include", &self.include), ("mqtt.exclude", &self.exclude)] {
            if patterns.iter().any(String::is_empty) {
                return Err(ConfigError::invalid(key, "must not have an empty pattern"));
            }
        }
        if !(1..=64).contains(&self.max_depth) {
            return Err(ConfigError::invalid("mqtt.max_depth", "must be between 1 and 64"));
        }
        Ok(())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.address()?;
        self.topic_templates()?;
        self.validate_payload()?;
        if self.client_id.is_empty() {
            return Err(ConfigError::invalid(
                "mqtt.client_id",
                "must not be empty: it names the persistent session",
            ));
        }
        if self.topics.is_empty() {
            return Err(ConfigError::invalid("mqtt.topics", "must name at least one topic filter"));
        }
        if self.max_in_flight == 0 {
            return Err(ConfigError::invalid("mqtt.max_in_flight", "must be at least 1"));
        }
        if self.keep_alive < Duration::from_secs(1) {
            return Err(ConfigError::invalid("mqtt.keep_alive", "must be at least 1s"));
        }
        Ok(())
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

/// The log and the checkpoints.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RedisConfig {
    /// `redis://[user:password@]host:port[/database]`.
    pub(crate) url: String,
    /// First part of every key.
    pub(crate) prefix: String,
    /// TLS.
    pub(crate) tls: TlsConfig,
}

impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// Returns the address of the server.
    pub(crate) fn server(&self) -> RedisServer {
        RedisServer::new(&self.url, self.tls.settings())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.server().check().map_err(|error| ConfigError::invalid("redis.url", &error.to_string()))
    }
}

/// The rows and their retention.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresConfig {
    /// `postgres://user[:password]@host:port/database`.
    pub(crate) url: String,
    /// Number of connections that write.
    pub(crate) writers: usize,
    /// Maximum number of rows of a transaction.
    pub(crate) max_rows: usize,
    /// How long readings are kept; 0 means without a limit.
    #[serde(with = "humantime_serde")]
    pub(crate) retention: Duration,
    /// TLS.
    pub(crate) tls: TlsConfig,
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresConfig").field("server", &self.server()).finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// Returns the address of the database.
    pub(crate) fn server(&self) -> PostgresServer {
        PostgresServer::new(&self.url, self.tls.settings())
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let checked = self.server().verification();
        checked.map(drop).map_err(|error| ConfigError::invalid("postgres.url", &error.to_string()))
    }
}

/// The writing of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueConfig {
    /// Number of partitions of the log.
    pub(crate) partitions: u16,
    /// How long to wait for more readings before appending an entry.
    #[serde(with = "humantime_serde")]
    pub(crate) linger: Duration,
    /// Maximum number of records of an entry.
    pub(crate) max_records: usize,
    /// Maximum number of entries in a partition's log.
    pub(crate) max_backlog: u64,
}

/// The reading and scoring of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardsConfig {
    /// Number of shards; 0 means one per core.
    pub(crate) count: u16,
    /// How long a lease lasts without renewal.
    #[serde(with = "humantime_serde")]
    pub(crate) lease: Duration,
    /// How long a detector stays in memory without a reading.
    #[serde(with = "humantime_serde")]
    pub(crate) evict_after: Duration,
    /// Maximum number of detectors in memory, over all shards of this node.
    pub(crate) max_detectors: usize,
    /// Maximum number of readings that are read from the log and not yet committed.
    pub(crate) max_in_flight: u32,
}

impl ShardsConfig {
    /// Returns the number of shards: as configured, or one per core.
    pub(crate) fn resolved_count(&self, partitions: u16) -> u16 {
        if self.count > 0 {
            return self.count;
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u16::try_from(cores).unwrap_or(u16::MAX).min(partitions)
    }
}

/// The saving of detectors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointConfig {
    /// Readings between two checkpoints of a sensor.
    pub(crate) every: u64,
}

/// Metrics, health and the API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// Address and port to listen on.
    pub(crate) listen: SocketAddr,
}

/// Logs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// The format of log lines.
    pub(crate) format: LogFormat,
    /// A level, or filters per module.
    pub(crate) level: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// The stop.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShutdownConfig {
    /// How long a stop may take.
    #[serde(with = "humantime_serde")]
    pub(crate) deadline: Duration,
}
