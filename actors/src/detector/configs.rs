//! Which sensor is configured how: the first rule whose pattern matches its name, else the default.

use std::sync::Arc;

use thicket_detector::DetectorConfig;
use thicket_schema::SensorName;
use wildmatch::WildMatch;

/// A configuration for the sensors whose name matches a pattern (`*` any text, `?` any character).
#[derive(Clone, Debug)]
pub struct DetectorRule {
    /// The pattern, such as `site-1/*`.
    pub sensors: String,
    /// Their configuration.
    pub config: DetectorConfig,
}

/// The configuration of every sensor.
#[derive(Clone, Debug)]
pub struct DetectorConfigs {
    default: Arc<DetectorConfig>,
    rules: Vec<(WildMatch, Arc<DetectorConfig>)>,
}

impl DetectorConfigs {
    /// Rules in order of precedence, and the configuration of sensors that none matches.
    pub fn new(default: DetectorConfig, rules: Vec<DetectorRule>) -> Self {
        let rules = rules.into_iter().map(|rule| (WildMatch::new(&rule.sensors), Arc::new(rule.config)));
        Self { default: Arc::new(default), rules: rules.collect() }
    }

    /// How this sensor is configured.
    pub fn of(&self, sensor: &SensorName) -> Arc<DetectorConfig> {
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
        let window = |name: &str| configs.of(&SensorName::new(name).unwrap()).points;
        assert_eq!([window("site-1/mic-7"), window("site-1/door"), window("site-2/mic-7")], [20, 30, 10]);
    }
}
