use std::io::Write as _;

use figment::Provider as _;
use figment::providers::Format as _;

use super::error::ConfigError;
use super::*;

fn load_text(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(Some(file.path()), &Overrides::new())
}

#[test]
fn the_shipped_defaults_are_valid() {
    let config = load_text("").unwrap();
    assert_eq!(config.queue.partitions, 64);
    assert_eq!(config.mqtt[0].broker.address().unwrap().to_string(), "mqtt://127.0.0.1:1883");
}

/// What ships says outright what holds anyway, key by key, so that it can be read as the reference.
#[test]
fn the_shipped_file_names_every_setting_of_a_detector_with_its_default() {
    let shipped: figment::value::Dict =
        figment::providers::Toml::string(include_str!("default.toml")).nested().data().map_or_else(
            |error| panic!("{error}"),
            |mut profiles| profiles.remove(&figment::Profile::new("detector")).unwrap(),
        );
    let code = figment::value::Value::serialize(thicket_detector::DetectorConfig::default()).unwrap();
    let code = code.into_dict().unwrap();
    assert_eq!(shipped.keys().collect::<Vec<_>>(), code.keys().collect::<Vec<_>>());
    assert_eq!(load_text("").unwrap().detector, thicket_detector::DetectorConfig::default());
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_and_its_file() {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(b"[queue]\npartitons = 8\n").unwrap();
    let error = load(Some(file.path()), &Overrides::new()).unwrap_err().to_string();
    assert!(error.contains("partitons"), "{error}");
    assert!(error.contains(file.path().file_name().unwrap().to_str().unwrap()), "{error}");
}

#[test]
fn a_bad_value_is_an_error_that_names_the_key() {
    let key_of = |text: &str| load_text(text).unwrap_err().to_string();
    assert!(key_of("[queue]\npartitions = 0\n").starts_with("queue.partitions:"));
    assert!(key_of("[mqtt]\nurl = \"http://broker\"\n").starts_with("mqtt.url:"));
    assert!(key_of("[mqtt]\ntemplates = [\"a/{b...}/c\"]\n").starts_with("mqtt.templates:"));
    assert!(key_of("[shards]\nlease = \"soon\"\n").contains("shards.lease"));
    assert!(key_of("[detector]\ntrees = 2000\n").contains("trees"));
}

#[test]
fn flags_win_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[log]\nlevel = \"debug\"\n").unwrap();
    let overrides = vec![("log.level", "warn".to_owned())];
    assert_eq!(load(Some(file.path()), &overrides).unwrap().log.level, "warn");
}

#[test]
fn a_rule_is_merged_over_the_default() {
    let config = load_text(
        "[detector]\ntrees = 7\npoints = 300\n[[detectors]]\nsensors = \"site-1/*\"\npoints = 512\nfields = [\"a\"]\n",
    )
    .unwrap();
    let configs = config.detector_configs().unwrap();
    let of = |name: &str| configs.of(&thicket_schema::SensorName::new(name).unwrap());
    assert_eq!((of("site-1/x").config.trees, of("site-1/x").config.points), (7, 512));
    assert_eq!((of("site-2/x").config.trees, of("site-2/x").config.points), (7, 300));
}

#[test]
fn a_rule_with_an_unknown_key_or_without_a_pattern_is_refused_by_name() {
    let error = load_text("[[detectors]]\nsensors = \"*\"\nwindows = 5\n").unwrap_err().to_string();
    assert!(error.contains("detectors[0]") && error.contains("windows"), "{error}");
    let error = load_text("[[detectors]]\npoints = 512\n").unwrap_err().to_string();
    assert!(error.contains("detectors[0].sensors"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(std::path::Path::new("nowhere.toml")), &Overrides::new()).unwrap_err().to_string();
    assert!(error.contains("nowhere.toml"));
}

#[test]
fn a_password_is_never_printed() {
    let config = load_text("[mqtt]\npassword = \"hunter2\"\n").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn an_error_does_not_quote_a_password() {
    for text in [
        "[mqtt]\npassword = 31337\n",
        "[mqtt]\npassword = \"31337\n",
        "[redis]\nurl = \"redis://u:31337@h/x\"\n",
        "[redis]\nurl = [\"redis://u:31337@h\"]\n",
        "[postgres]\nurl = \"postgres://u:31337@h:port/d\"\n",
        "[postgres]\nurl = \"postgres://u:31337@h/d?sslmode=prefer\"\n",
        "[mqtt]\nurl = \"mqtt://u:31337@h:port\"\n",
    ] {
        let error = load_text(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("31337"), "{error} {error:?}");
    }
    let config =
        load_text("[redis]\nurl = \"redis://u:hunter2@h\"\n[postgres]\nurl = \"postgres://u:hunter2@h/d\"\n");
    assert!(!format!("{:?}", config.unwrap()).contains("hunter2"));
}

#[test]
fn a_setting_of_tls_is_never_ignored() {
    let problem = |text: &str| load_text(text).unwrap_err().to_string();
    assert!(problem("[redis.tls]\nca = \"ca.pem\"\n").contains("redis.url: is without TLS"));
    assert!(problem("[redis.tls]\ninsecure = true\n").contains("redis.url: is without TLS"));
    let disabled = "[postgres]\nurl = \"postgres://h/d?sslmode=disable\"\n[postgres.tls]\nca = \"ca.pem\"\n";
    assert!(problem(disabled).contains("postgres.url: has sslmode=disable"));
}

#[test]
fn readings_older_than_the_retention_may_not_come_in() {
    let error = load_text("[postgres]\nretention = \"30d\"\n").unwrap_err().to_string();
    assert!(error.starts_with("postgres.retention: 30days") && error.contains("mqtt.max_age"), "{error}");
    let config = load_text("[postgres]\nretention = \"30d\"\n[mqtt]\nmax_age = \"30d\"\n").unwrap();
    assert_eq!(config.postgres.retention, std::time::Duration::from_hours(30 * 24));
    assert!(load_text("").unwrap().postgres.retention.is_zero());
}

fn labels(config: &Config) -> Vec<String> {
    config.mqtt.iter().map(|mqtt| mqtt.broker.label()).collect()
}

#[test]
fn several_brokers_share_the_defaults_and_have_keys_of_their_own() {
    let config = load_text(
        "[[mqtt]]\nurl = \"mqtt://a\"\n[[mqtt]]\nname = \"plant\"\nurl = \"mqtt://b:1884\"\ntopics = [\"plant/#\"]\ntemplates = [\"plant/{x}\"]\n",
    )
    .unwrap();
    assert_eq!(labels(&config), ["a:1883", "plant"]);
    let topics = config.subscriptions().unwrap().into_iter().flat_map(|subscription| subscription.topics);
    assert_eq!(topics.collect::<Vec<_>>(), ["sensors/#", "plant/#"]);
}

#[test]
fn subscriptions_inherit_the_keys_of_their_broker() {
    let config = load_text(
        "[mqtt]\nmax_fields = 7\n[[mqtt.subscriptions]]\npreset = \"tasmota\"\ntime_zone = \"Europe/Berlin\"\n[[mqtt.subscriptions]]\ntopics = [\"a/#\"]\nmax_fields = 9\n",
    )
    .unwrap();
    let found = config.subscriptions().unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.topics[0].as_str(), one.max_fields, one.timestamp_keys[0].as_str()))
        .collect();
    assert_eq!(found, [("tele/+/SENSOR", 7, "Time"), ("a/#", 9, "ts")]);
}

#[test]
fn a_wrong_subscription_is_named_by_its_place() {
    let error = |text: &str| load_text(text).unwrap_err().to_string();
    let unknown = error("[[mqtt.subscriptions]]\ntopics = [\"a/#\"]\ntopix = 1\n");
    assert!(unknown.contains("mqtt.subscriptions[0]") && unknown.contains("topix"), "{unknown}");
    let nothing = error("[[mqtt]]\n[[mqtt]]\n[[mqtt.subscriptions]]\nformat = \"json\"\n");
    assert!(nothing.starts_with("mqtt[1].subscriptions[0].topics:"), "{nothing}");
    let preset = error("[mqtt]\npreset = \"tasmata\"\n");
    assert!(preset.contains("tasmata") && preset.contains("zigbee2mqtt"), "{preset}");
    let both = error("[mqtt]\ntopics = [\"a/#\"]\n[[mqtt.subscriptions]]\npreset = \"senml\"\n");
    assert!(both.starts_with("mqtt.topics: move it to the subscriptions"), "{both}");
    let filter = error("[mqtt]\ntopics = [\"sensors/#/temp\"]\n");
    assert!(filter.starts_with("mqtt.topics:") && filter.contains("sensors/#/temp"), "{filter}");
    let unknown = error("[mqtt]\nurll = \"mqtt://a\"\n");
    assert!(unknown.contains("urll"), "{unknown}");
}

#[test]
fn a_flag_cannot_choose_among_several_brokers() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[mqtt]]\nurl = \"mqtt://a\"\n[[mqtt]]\nurl = \"mqtt://b\"\n").unwrap();
    let overrides = vec![("mqtt.url", "mqtt://c".to_owned())];
    let error = load(Some(file.path()), &overrides).unwrap_err().to_string();
    assert!(error.starts_with("mqtt.url:") && error.contains("THICKET__MQTT__0__URL"), "{error}");
    let overrides = vec![("mqtt.1.url", "mqtt://c".to_owned())];
    assert_eq!(labels(&load(Some(file.path()), &overrides).unwrap()), ["a:1883", "c:1883"]);
}
