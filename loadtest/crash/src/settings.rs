//! How the engines of a case are configured. None of it may change a row.

use thicket_testkit::{Addresses, Config};
use toml::Value;

/// Partitions of every deployment: enough for the largest number of shards.
pub const PARTITIONS: u16 = 5;
/// Readings between two checkpoints of a sensor.
pub const CHECKPOINT_EVERY: u64 = 256;

/// The settings that cases vary. Each value is as in the configuration file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `shards.count`
    pub shards: u16,
    /// `shards.lease`
    pub lease: &'static str,
    /// `shards.max_detectors`: below the number of sensors, detectors are evicted all the time.
    pub max_detectors: u32,
    /// `shards.evict_after`
    pub evict_after: &'static str,
    /// `queue.linger`
    pub linger: &'static str,
    /// `queue.max_records`
    pub max_records: u32,
    /// `postgres.writers`
    pub writers: u32,
    /// `postgres.max_rows`
    pub max_rows: u32,
    /// `mqtt.keep_alive`: a silent broker is left after one and a half of it.
    pub keep_alive: &'static str,
    /// `detector.alarms_per_week`: the only setting here that changes rows.
    pub alarms_per_week: f64,
}

/// Returns the client id of the engines of a case with this database. Each case has its own: a
/// broker that is killed may come back with the session of an earlier case, and with its messages.
pub(crate) fn client_id(database: &str) -> String {
    format!("thicket-{database}")
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 2,
            // Long enough for a Redis that waits for the disk of a busy machine.
            lease: "2s",
            max_detectors: 20_000,
            evict_after: "15m",
            linger: "5ms",
            max_records: 100,
            writers: 2,
            max_rows: 20_000,
            keep_alive: "30s",
            alarms_per_week: 50.0,
        }
    }
}

impl Settings {
    /// The configuration file of a node with these routes of notifications. PostgreSQL knows the
    /// node's sessions by its name.
    pub fn file(&self, addresses: &Addresses, node: &str, routes: Vec<Value>) -> String {
        let addresses = Addresses {
            postgres: format!("{}?application_name={node}", addresses.postgres),
            ..addresses.clone()
        };
        let database = addresses.postgres.rsplit('/').next().and_then(|rest| rest.split('?').next());
        let client_id = client_id(database.unwrap_or_default());
        let config = self.config(node).set("mqtt.client_id", client_id).set("notify.routes", routes);
        config.file(&addresses)
    }

    fn config(&self, node: &str) -> Config {
        Config::default()
            .partitions(PARTITIONS)
            .shards(self.shards)
            .set("node.name", node)
            .set("mqtt.topics", vec!["sensors/#", "spBv1.0/#"])
            // The traffic is of a fixed day.
            .set("mqtt.max_age", "40000d")
            .set("mqtt.keep_alive", self.keep_alive)
            .set("postgres.writers", self.writers)
            .set("postgres.max_rows", self.max_rows)
            .set("queue.linger", self.linger)
            .set("queue.max_records", self.max_records)
            .set("shards.lease", self.lease)
            .set("shards.max_detectors", self.max_detectors)
            .set("shards.evict_after", self.evict_after)
            .set("checkpoint.every", CHECKPOINT_EVERY as i64)
            .set("detector.profile", "small")
            .set("detector.alarms_per_week", self.alarms_per_week)
    }
}
