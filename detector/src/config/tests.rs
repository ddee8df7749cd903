//! Settings: what is valid, and what identifies a configuration.

use super::*;
use crate::config_error::ConfigError;

fn with(change: impl FnOnce(&mut DetectorConfig)) -> DetectorConfig {
    let mut config = DetectorConfig::default();
    change(&mut config);
    config
}

#[test]
fn the_default_is_valid() {
    assert_eq!(DetectorConfig::default().validate(), Ok(()));
}

#[test]
fn errors_name_the_key() {
    let wrong = [
        ("trees", with(|c| c.trees = 1_001)),
        ("points", with(|c| c.points = 31)),
        ("shingle", with(|c| c.shingle = 65)),
        ("smoothing", with(|c| c.smoothing = 1)),
        ("warm_up", with(|c| c.warm_up = 0)),
        ("alarms_per_week", with(|c| c.alarms_per_week = 0.0)),
        ("alarms_per_week", with(|c| c.alarms_per_week = f64::NAN)),
        ("fields", with(|c| c.fields = vec!["a".into(), "b".into(), "a".into()])),
        ("fields", with(|c| c.fields = vec![String::new()])),
        ("fields", with(|c| c.fields = (0..257).map(|i| i.to_string()).collect())),
        ("counters", with(|c| (c.fields, c.counters) = (vec!["a".into()], vec!["b".into()]))),
        ("exclude", with(|c| c.exclude = vec![String::new()].into())),
        ("exclude", with(|c| c.exclude = vec!["a".to_owned(); 1_001].into())),
        ("suppress.absolute", with(|c| c.suppress.absolute = -1.0)),
    ];
    for (key, config) in wrong {
        let error = config.validate().expect_err(key).to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

#[test]
fn every_setting_that_cannot_be_used_is_an_error() {
    let config = with(|c| {
        (c.trees, c.points, c.shingle, c.smoothing, c.warm_up) = (2_000, 1, 65, 1, 3);
        (c.begin_again_after, c.alarms_per_week) = (10_001, 0.0);
        c.exclude = vec![String::new()].into();
        (c.suppress.absolute, c.suppress.relative) = (-1.0, f64::INFINITY);
        c.fields = ["a", "b", "b", "b", ""].map(str::to_owned).to_vec();
        c.counters = ["a", "x", "y"].map(str::to_owned).to_vec();
    });
    let errors = config.validate().expect_err("no setting is valid");
    let keys: Vec<&str> = errors.0.iter().map(ConfigError::key).collect();
    let expected = [
        "trees",
        "points",
        "shingle",
        "smoothing",
        "warm_up",
        "begin_again_after",
        "alarms_per_week",
        "exclude",
        "suppress.absolute",
        "suppress.relative",
        "fields",
        "counters",
        "counters",
        "fields",
    ];
    assert_eq!(keys, expected, "{errors}");
    let errors = with(|c| (c.trees, c.points) = (1_000, 1_000_000)).validate().expect_err("too large");
    assert_eq!(errors.to_string(), "points is 1000000, but with 1000 trees it must be at most 67108");
}

#[test]
fn a_configuration_comes_back_from_json_and_keeps_its_identity() {
    let config = with(|c| {
        c.time_zone = "Europe/Berlin".parse().expect("it is a time zone");
        c.suppress.quiet_hours = vec!["22:00-06:00".to_owned().try_into().expect("it is a span")];
        c.alarms_per_week = 0.1;
    });
    let back = DetectorConfig::from_json(&config.to_json()).expect("it was written so");
    assert_eq!((back.identity(), &back), (config.identity(), &config));
    assert_ne!(back.identity(), DetectorConfig::default().identity());
}

#[test]
fn a_set_value_overrides_the_profile() {
    let config = with(|c| (c.profile, c.points) = (Profile::Small, 500));
    assert_eq!(config.shape(), Shape { trees: 5, points: 500 });
}

/// A new value here makes every stored checkpoint unusable.
#[test]
fn the_fingerprint_is_stable() {
    assert_eq!(DetectorConfig::default().fingerprint(), GOLDEN_DEFAULT);
    assert_eq!(with(|c| c.fields = vec!["zcr".into(), "laeq_db".into()]).fingerprint(), GOLDEN_FIELDS);
}

const GOLDEN_DEFAULT: u64 = 2_473_699_839_734_310_446;
const GOLDEN_FIELDS: u64 = 5_541_502_352_026_273_262;

#[test]
fn the_fingerprint_covers_what_shapes_state_and_nothing_else() {
    let default = DetectorConfig::default().fingerprint();
    for other in [
        with(|c| c.trees = 17),
        with(|c| c.points = 2_049),
        with(|c| c.profile = Profile::Large),
        with(|c| c.shingle = 2),
        with(|c| c.smoothing = 0),
        with(|c| c.clock = ClockContext::Off),
        with(|c| c.time_zone = "Europe/Berlin".parse().expect("it is a time zone")),
        with(|c| c.fields = vec!["a".into()]),
        with(|c| c.exclude = Vec::new().into()),
        with(|c| c.counters = vec!["a".into()]),
    ] {
        assert_ne!(other.fingerprint(), default, "{other:?}");
    }
    assert_eq!(with(|c| c.warm_up = 300).fingerprint(), default);
    assert_eq!(with(|c| c.alarms_per_week = 10.0).fingerprint(), default);
    assert_eq!(with(|c| c.suppress.absolute = 10.0).fingerprint(), default);
    assert_eq!(with(|c| c.trees = 8).fingerprint(), default, "the profile's own value");
    let ab = with(|c| c.fields = vec!["a".into(), "b".into()]).fingerprint();
    assert_eq!(with(|c| c.fields = vec!["b".into(), "a".into()]).fingerprint(), ab);
    assert_ne!(with(|c| c.fields = vec!["ab".into()]).fingerprint(), ab);
}
