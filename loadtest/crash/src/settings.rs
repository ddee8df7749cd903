//! How the engines of a case are configured. None of it may change a row.

use std::fmt::Write as _;

/// Partitions of every deployment: enough for the largest number of shards.
pub const PARTITIONS: u16 = 5;
/// Readings between two checkpoints of a sensor.
pub const CHECKPOINT_EVERY: u64 = 256;

/// What cases vary. Each value is as in the configuration file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `shards.count`
    pub shards: u16,
    /// `shards.lease`
    pub lease: &'static str,
    /// `shards.max_resident`: below the number of sensors, detectors come and go.
    pub max_resident: usize,
    /// `shards.evict_after`
    pub evict_after: &'static str,
    /// `queue.linger`
    pub linger: &'static str,
    /// `queue.max_records`
    pub max_records: usize,
    /// `postgres.writers`
    pub writers: usize,
    /// `postgres.max_rows`
    pub max_rows: usize,
    /// `detector.alarms_per_week`: the only thing here that changes rows.
    pub alarms_per_week: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 2,
            lease: "600ms",
            max_resident: 20_000,
            evict_after: "15m",
            linger: "5ms",
            max_records: 100,
            writers: 2,
            max_rows: 20_000,
            alarms_per_week: 50.0,
        }
    }
}

/// Where the servers of a case are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Of the broker.
    pub mqtt: String,
    /// Of Redis.
    pub redis: String,
    /// Of the case's own database.
    pub postgres: String,
}

impl Settings {
    /// The configuration file of a node. PostgreSQL knows the node's sessions by its name.
    pub fn file(&self, addresses: &Addresses, node: &str) -> String {
        let Addresses { mqtt, redis, postgres } = addresses;
        let mut text = String::new();
        let mut section = |name: &str, keys: &[(&str, String)]| {
            let _ = writeln!(text, "[{name}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        };
        let quoted = |text: &str| format!("\"{text}\"");
        section("node", &[("name", quoted(node))]);
        // The traffic is of a fixed day.
        section("mqtt", &[("url", quoted(mqtt)), ("max_age", quoted("40000d"))]);
        section("redis", &[("url", quoted(redis))]);
        let url = format!("{postgres}?application_name={node}");
        section(
            "postgres",
            &[
                ("url", quoted(&url)),
                ("writers", self.writers.to_string()),
                ("max_rows", self.max_rows.to_string()),
            ],
        );
        section(
            "queue",
            &[
                ("partitions", PARTITIONS.to_string()),
                ("linger", quoted(self.linger)),
                ("max_records", self.max_records.to_string()),
            ],
        );
        section(
            "shards",
            &[
                ("count", self.shards.to_string()),
                ("lease", quoted(self.lease)),
                ("max_resident", self.max_resident.to_string()),
                ("evict_after", quoted(self.evict_after)),
            ],
        );
        section("checkpoint", &[("every", CHECKPOINT_EVERY.to_string())]);
        section(
            "detector",
            &[("profile", quoted("small")), ("alarms_per_week", format!("{:?}", self.alarms_per_week))],
        );
        text
    }
}
