//! The configuration of each sensor: that of the first rule whose pattern matches the sensor's
//! name, else the default. A control entry in the log holds it as JSON.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thicket_detector::{DetectorConfig, NamedConfig};
use thicket_schema::SensorName;
use wildmatch::WildMatch;

/// A configuration for the sensors whose name matches a pattern. In a pattern, `*` matches any text
/// and `?` any character.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DetectorRule {
    /// The pattern, such as `site-1/*`.
    pub sensors: String,
    /// The configuration of these sensors.
    pub config: DetectorConfig,
}

/// The configuration of every sensor.
#[derive(Clone, Debug)]
pub struct DetectorConfigs {
    default: Arc<NamedConfig>,
    rules: Vec<(WildMatch, Arc<NamedConfig>)>,
    json: Arc<str>,
}

/// The JSON form in the log.
#[derive(Deserialize, Serialize)]
struct Written {
    default: DetectorConfig,
    rules: Vec<DetectorRule>,
}

impl DetectorConfigs {
    /// Creates the configurations from rules, the first of highest precedence, and the default for
    /// sensors that no rule matches.
    pub fn new(default: DetectorConfig, rules: Vec<DetectorRule>) -> Self {
        let written = Written { default, rules };
        #[allow(clippy::expect_used, reason = "every setting has a JSON form")]
        let json = serde_json::to_string(&written).expect("a configuration can be serialized").into();
        let Written { default, rules } = written;
        let rules =
            rules.into_iter().map(|rule| (WildMatch::new(&rule.sensors), Arc::new(rule.config.into())));
        Self { default: Arc::new(default.into()), rules: rules.collect(), json }
    }

    /// Returns the JSON form. Equal configurations have equal JSON.
    pub fn to_json(&self) -> Arc<str> {
        Arc::clone(&self.json)
    }

    /// Parses the JSON that [`to_json`](Self::to_json) returns.
    ///
    /// # Errors
    /// Returns an error if the text is not such JSON.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let Written { default, rules } = serde_json::from_str(json)?;
        Ok(Self::new(default, rules))
    }

    /// Returns the configuration of a sensor.
    pub fn of(&self, sensor: &SensorName) -> Arc<NamedConfig> {
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches(sensor.as_str()));
        Arc::clone(rule.map_or(&self.default, |(_, config)| config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_rule_wins() {
        let config = |points| DetectorConfig { points, ..DetectorConfig::default() };
        let rule =
            |sensors: &str, window| DetectorRule { sensors: sensors.to_owned(), config: config(window) };
        let configs = DetectorConfigs::new(config(10), vec![rule("site-1/mic-*", 20), rule("site-1/*", 30)]);
        let window = |name: &str| configs.of(&SensorName::new(name).unwrap()).config.points;
        assert_eq!([window("site-1/mic-7"), window("site-1/door"), window("site-2/mic-7")], [20, 30, 10]);
        let back = DetectorConfigs::from_json(&configs.to_json()).unwrap();
        assert_eq!(back.to_json(), configs.to_json());
        let sensor = SensorName::new("site-1/door").unwrap();
        assert_eq!(back.of(&sensor), configs.of(&sensor));
    }
}
