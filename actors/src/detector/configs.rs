//! Which sensor is configured how: the first rule whose pattern matches its name, else the default. As JSON, this is what a control
//! entry in the log says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thicket_detector::DetectorConfig;
use thicket_detector::NamedConfig;
use thicket_schema::SensorName;
use wildmatch::WildMatch;

/// A configuration for the sensors whose name matches a pattern (`*` any text, `?` any character).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DetectorRule {
    /// The pattern, such as `site-1/*`.
    pub sensors: String,
    /// Their configuration.
    pub config: DetectorConfig,
}

/// The configuration of every sensor.
#[derive(Clone, Debug)]
pub struct DetectorConfigs {
    default: Arc<NamedConfig>,
    rules: Vec<(WildMatch, Arc<NamedConfig>)>,
    json: Arc<str>,
}

/// The same as it stands in the log.
#[derive(Deserialize, Serialize)]
struct Written {
    default: DetectorConfig,
    rules: Vec<DetectorRule>,
}

impl DetectorConfigs {
    /// Rules in order of precedence, and the configuration of sensors that none matches.
    pub fn new(default: DetectorConfig, rules: Vec<DetectorRule>) -> Self {
        let written = Written { default, rules };
        #[allow(clippy::expect_used, reason = "every setting has a form in JSON")]
        let json = serde_json::to_string(&written).expect("a configuration can be written").into();
        let Written { default, rules } = written;
        let rules =
            rules.into_iter().map(|rule| (WildMatch::new(&rule.sensors), Arc::new(rule.config.into())));
        Self { default: Arc::new(default.into()), rules: rules.collect(), json }
    }

    /// As JSON, the same for equal configurations.
    pub fn to_json(&self) -> Arc<str> {
        Arc::clone(&self.json)
    }

    /// The configuration that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let Written { default, rules } = serde_json::from_str(json)?;
        Ok(Self::new(default, rules))
    }

    /// How this sensor is configured.
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
