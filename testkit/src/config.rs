//! A configuration file of the engine as a value.

use thicket_compose::Servers;
use toml::{Table, Value};

/// The default of `queue.partitions`.
const DEFAULT_PARTITIONS: u16 = 64;

/// The servers that an engine is to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// URL of the MQTT broker.
    pub mqtt: String,
    /// URL of Redis.
    pub redis: String,
    /// URL of the PostgreSQL database.
    pub postgres: String,
    /// User and password at the broker.
    pub login: Option<(String, String)>,
}

impl Addresses {
    /// The addresses of private servers, with the default database.
    pub fn of(servers: &Servers) -> Self {
        Self {
            mqtt: servers.mosquitto.url(),
            redis: servers.redis.url(),
            postgres: servers.postgres.url(),
            login: Some(broker_login()),
        }
    }
}

/// Returns user and password at every private broker.
pub fn broker_login() -> (String, String) {
    let password = thicket_compose::password().unwrap_or_else(|error| panic!("{error}"));
    (thicket_compose::USER.to_owned(), password)
}

/// A configuration without addresses. What is not set has the engine's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    sections: Table,
}

impl Config {
    /// Sets a key, such as `queue.linger`. The part before the last dot names the section.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let mut path: Vec<&str> = key.split('.').collect();
        let Some(name) = path.pop() else { return self };
        let mut section = &mut self.sections;
        for part in path {
            let entry = section.entry(part).or_insert_with(|| Table::new().into());
            let Value::Table(table) = entry else { panic!("{key}: {part} is not a section") };
            section = table;
        }
        section.insert(name.to_owned(), value.into());
        self
    }

    /// Sets `queue.partitions`.
    #[must_use]
    pub fn partitions(self, number: u16) -> Self {
        self.set("queue.partitions", i64::from(number))
    }

    /// Sets `checkpoint.every`: the readings between two checkpoints of a sensor.
    #[must_use]
    pub fn checkpoint_every(self, readings: u32) -> Self {
        self.set("checkpoint.every", i64::from(readings))
    }

    /// Sets `shards.count`.
    #[must_use]
    pub fn shards(self, number: u16) -> Self {
        self.set("shards.count", i64::from(number))
    }

    /// Gives every sensor a detector that warms up within 64 readings and whose forests of 4 trees
    /// hold 128 readings: a few hundred readings fill them.
    #[must_use]
    pub fn small_detector(self) -> Self {
        self.set("detector.trees", 4).set("detector.points", 128).set("detector.warm_up", 64)
    }

    /// Appends a `[[detectors]]` section with the settings of the sensors that match a pattern.
    #[must_use]
    pub fn for_sensors<V: Into<Value>>(
        mut self,
        pattern: &str,
        settings: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Self {
        let mut section = Table::new();
        section.insert("sensors".to_owned(), pattern.into());
        section.extend(settings.into_iter().map(|(name, value)| (name.to_owned(), value.into())));
        let all = self.sections.entry("detectors").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(all) = all {
            all.push(section.into());
        }
        self
    }

    /// The number of partitions.
    pub fn partition_count(&self) -> u16 {
        let number = self.sections.get("queue").and_then(|queue| queue.get("partitions"));
        let number = number.and_then(Value::as_integer).and_then(|number| u16::try_from(number).ok());
        number.unwrap_or(DEFAULT_PARTITIONS)
    }

    /// The text of the file for these servers. A URL that is [set](Self::set) takes precedence.
    pub fn file(&self, addresses: &Addresses) -> String {
        let Addresses { mqtt, redis, postgres, login } = addresses;
        let mut config = Self::default()
            .set("mqtt.url", mqtt.as_str())
            .set("redis.url", redis.as_str())
            .set("postgres.url", postgres.as_str());
        if let Some((user, password)) = login {
            config = config.set("mqtt.username", user.as_str()).set("mqtt.password", password.as_str());
        }
        merge(&mut config.sections, &self.sections);
        config.sections.to_string()
    }
}

/// Writes the entries of `above` over those of `below`, section by section.
fn merge(below: &mut Table, above: &Table) {
    for (name, value) in above {
        match (below.get_mut(name), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => drop(below.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let (mqtt, redis, postgres) = ("mqtt://a".into(), "redis://b".into(), "postgres://c".into());
        Addresses { mqtt, redis, postgres, login: None }
    }

    #[test]
    fn a_file_has_the_addresses_and_what_was_set() {
        let config =
            Config::default().partitions(4).set("redis.url", "redis://proxy").set("mqtt.topics", vec!["a/#"]);
        let file: Table = config.for_sensors("x/*", [("points", 64)]).file(&addresses()).parse().unwrap();
        assert_eq!(file["mqtt"]["url"].as_str(), Some("mqtt://a"));
        assert_eq!(file["mqtt"]["topics"][0].as_str(), Some("a/#"));
        assert_eq!(file["redis"]["url"].as_str(), Some("redis://proxy"));
        assert_eq!(file["queue"]["partitions"].as_integer(), Some(4));
        assert_eq!(file["detectors"][0]["sensors"].as_str(), Some("x/*"));
        assert_eq!(file["detectors"][0]["points"].as_integer(), Some(64));
    }

    #[test]
    fn the_number_of_partitions_is_what_was_set_or_the_default() {
        assert_eq!(Config::default().partition_count(), 64);
        assert_eq!(Config::default().partitions(5).partition_count(), 5);
    }
}
