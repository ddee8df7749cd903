//! The sections of the configuration. `default.toml` is the reference of the keys: it has the
//! meaning and the default of each. A test checks that the two match.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thicket_store::postgres::PostgresServer;
use thicket_store::redis::RedisServer;

use super::error::{ConfigError, all_of};
use super::log_level;
use super::machine::{detector_memory, machine_memory};
use super::memory::MemoryBound;
use super::tls::{ServerTlsConfig, TlsConfig};
use crate::access::{Access, digest};

/// This process.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// A name for logs.
    pub(crate) name: String,
    /// How long a thread may give no sign of life.
    #[serde(with = "crate::config::duration")]
    pub(crate) watchdog: Duration,
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
    #[serde(with = "crate::config::duration")]
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
        self.server().check().map_err(|error| ConfigError::invalid("postgres.url", &error.to_string()))
    }
}

/// The writing of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueConfig {
    /// Number of partitions of the log.
    pub(crate) partitions: u16,
    /// How long to wait for more readings before appending an entry.
    #[serde(with = "crate::config::duration")]
    pub(crate) linger: Duration,
    /// How long readings are held back to put them in order; 0 means not at all.
    #[serde(with = "crate::config::duration")]
    pub(crate) reorder: Duration,
    /// Maximum number of records of an entry.
    pub(crate) max_records: usize,
    /// Maximum number of entries in a partition's log.
    pub(crate) max_backlog: u64,
}

/// The bounds on what devices can add.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SensorsConfig {
    /// Maximum number of sensors.
    pub(crate) max: usize,
    /// New sensors per second, in the long run.
    pub(crate) new_per_second: u32,
    /// New sensors that may come at once.
    pub(crate) new_at_once: u32,
    /// Maximum number of different sets of fields of a sensor.
    pub(crate) max_field_sets: usize,
    /// Maximum number of different fields of a sensor.
    pub(crate) max_fields: usize,
    /// Maximum size of the names of all different sets of fields, in bytes.
    pub(crate) max_name_bytes: usize,
    /// Tables of past days that one sensor may make per hour, in the long run.
    pub(crate) new_days_per_hour: u32,
    /// Tables of past days that one sensor may make at once.
    pub(crate) new_days_at_once: u32,
    /// How long a sensor without rows is kept after its last reading; 0 means without a limit.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
}

/// The keeping of dead letters.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeadLettersConfig {
    /// Dead letters of one reason per second that get a row of their own.
    pub(crate) max_per_second: u32,
    /// How long dead letters are kept; 0 means without a limit.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
    /// Maximum number of dead letters that are kept.
    pub(crate) max_rows: u64,
}

/// The keeping of anomalies.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnomaliesConfig {
    /// How long anomalies without a label are kept; 0 means without a limit.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
    /// How long anomalies with a label are kept; 0 means without a limit.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep_labelled: Duration,
}

/// The keeping of the quarantine, and of the records of lost ranges of the log.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuarantineConfig {
    /// How long they are kept; 0 means without a limit.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
    /// Maximum number of quarantined readings, and of such records.
    pub(crate) max_rows: u64,
}

/// The reading and scoring of the log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardsConfig {
    /// Number of shards; 0 means one per core.
    pub(crate) count: u16,
    /// How long a lease or a heartbeat of this node lasts without renewal.
    #[serde(with = "crate::config::duration")]
    pub(crate) lease: Duration,
    /// How long a detector stays in memory without a reading.
    #[serde(with = "crate::config::duration")]
    pub(crate) evict_after: Duration,
    /// Maximum number of detectors in memory, over all shards of this node.
    pub(crate) max_detectors: usize,
    /// Maximum memory of the detectors, over all shards of this node.
    pub(crate) memory: MemoryBound,
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

    /// Returns the memory of all detectors of this node in bytes: as configured, or a part of what
    /// the process may use.
    pub(crate) fn resolved_memory(&self) -> u64 {
        self.memory.bytes().unwrap_or_else(|| detector_memory(machine_memory()))
    }
}

/// The saving of detectors.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointConfig {
    /// Readings between two checkpoints of a sensor.
    pub(crate) every: u64,
    /// Memory that all checkpoints may take in Redis.
    pub(crate) memory: MemoryBound,
    /// How long the checkpoint of a silent sensor is kept.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
}

/// Metrics, health and the API.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// Address and port to listen on.
    pub(crate) listen: SocketAddr,
    /// Names of this server in addition to addresses and `localhost`.
    pub(crate) hosts: Vec<String>,
    /// File of the token that reads the API; empty for no token.
    pub(crate) read_token_file: PathBuf,
    /// File of the token that also changes labels; empty for a read-only server.
    pub(crate) operate_token_file: PathBuf,
    /// TLS.
    pub(crate) tls: ServerTlsConfig,
}

/// Minimum length of a token. A shorter one can be guessed.
const MIN_TOKEN: usize = 16;

impl HttpConfig {
    /// Returns the rules of access. Reads the tokens.
    pub(crate) fn access(&self) -> Result<Access, ConfigError> {
        Ok(Access {
            hosts: self.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            read: read_token("http.read_token_file", &self.read_token_file)?,
            operate: read_token("http.operate_token_file", &self.operate_token_file)?,
        })
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let named_port = self.hosts.iter().find(|host| host.contains(':'));
        let hosts = named_port.map_or(Ok(()), |host| {
            Err(ConfigError::invalid("http.hosts", &format!("{host} must be a name without a port")))
        });
        let read = read_token("http.read_token_file", &self.read_token_file);
        let operate = read_token("http.operate_token_file", &self.operate_token_file);
        let is_shared = matches!((&read, &operate), (Ok(Some(read)), Ok(Some(operate))) if read == operate);
        let differ = if is_shared {
            let problem = "must hold another token than http.read_token_file, whose holders may only read";
            Err(ConfigError::invalid("http.operate_token_file", problem))
        } else {
            Ok(())
        };
        all_of([hosts, read.map(drop), operate.map(drop), differ, self.tls.validate()])
    }
}

fn read_token(key: &str, file: &Path) -> Result<Option<[u8; 32]>, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::invalid(key, &format!("{} cannot be read: {error}", file.display())))?;
    let token = text.trim();
    if token.len() < MIN_TOKEN {
        let problem = format!("{} must hold a token of at least {MIN_TOKEN} characters", file.display());
        return Err(ConfigError::invalid(key, &problem));
    }
    Ok(Some(digest(token)))
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

impl LogConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        log_level::check(&self.level).map_err(|problem| ConfigError::invalid("log.level", &problem))
    }
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
    #[serde(with = "crate::config::duration")]
    pub(crate) deadline: Duration,
}
