//! The configurations that a benchmark compares.

use anyhow::bail;
use thicket_detector::{DetectorConfig, Profile};

/// The profiles and their names, the cheapest first.
pub const PROFILES: [(&str, Profile); 3] =
    [("small", Profile::Small), ("medium", Profile::Medium), ("large", Profile::Large)];

/// Returns the name and the configuration of each profile: the shipped settings, apart from those
/// that `settings` gives as JSON. `only` names the only profile to return.
///
/// # Errors
/// `only` is not a profile, or `settings` are not valid.
pub fn configs(only: Option<&str>, settings: &str) -> anyhow::Result<Vec<(&'static str, DetectorConfig)>> {
    let mut configs = Vec::new();
    for (name, profile) in PROFILES.into_iter().filter(|&(name, _)| only.is_none_or(|only| only == name)) {
        let config = DetectorConfig { profile, ..DetectorConfig::from_json(settings)? };
        config.validate()?;
        configs.push((name, config));
    }
    if configs.is_empty() {
        bail!("there is no profile `{}`: use small, medium or large", only.unwrap_or_default());
    }
    Ok(configs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_apply_to_every_profile_and_an_unknown_profile_is_an_error() {
        let all = configs(None, r#"{"smoothing": 40}"#).unwrap();
        assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["small", "medium", "large"]);
        assert!(all.iter().all(|(_, config)| config.smoothing == 40));
        assert_eq!(configs(Some("large"), "{}").unwrap()[0].1.profile, Profile::Large);
        assert!(configs(Some("tiny"), "{}").is_err());
        assert!(configs(None, r#"{"smooth": 40}"#).is_err());
    }
}
