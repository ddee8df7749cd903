//! The settings that the services get, and the files that override them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::file::{composition, interpolate, read, services, texts};

/// The settings of the engine that the composition sets.
const ENGINE_SETTINGS: [&str; 6] = [
    "THICKET_CONFIG",
    "THICKET__HTTP__LISTEN",
    "THICKET__LOG__LEVEL",
    "THICKET__MQTT__URL",
    "THICKET__POSTGRES__URL",
    "THICKET__REDIS__URL",
];

/// Returns the environment variables of all settings in the engine's default configuration.
fn shipped_settings() -> BTreeSet<String> {
    let mut section = String::new();
    let mut settings = BTreeSet::new();
    for line in read("../engine/src/config/default.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_uppercase();
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            settings.insert(format!("THICKET__{section}__{}", key.to_uppercase()));
        }
    }
    settings
}

#[test]
fn the_engine_is_given_settings_it_knows_and_addresses_of_services() {
    let composition = composition();
    let services: BTreeMap<&str, &Value> = services(&composition).into_iter().collect();
    let of_migrate = ["THICKET__POSTGRES__URL", "THICKET__LOG__LEVEL"];
    for (name, expected) in [("engine", &ENGINE_SETTINGS[..]), ("migrate", &of_migrate)] {
        let environment = services[name]["environment"].as_object().unwrap();
        let keys: Vec<&str> = environment.keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(keys), expected.iter().copied().collect(), "{name}");
        let known = shipped_settings();
        for key in ENGINE_SETTINGS.into_iter().filter(|key| key.starts_with("THICKET__")) {
            assert!(known.contains(key), "the engine has no setting {key}");
        }
        for (key, value) in environment.iter().filter(|(key, _)| key.ends_with("__URL")) {
            let (_, rest) = value.as_str().unwrap().split_once("://").unwrap();
            let host = rest.rsplit('@').next().unwrap().split(':').next().unwrap();
            assert!(services.contains_key(host), "{key}: {value}");
        }
    }
}

#[test]
fn the_overrides_change_services_that_are_there() {
    let composition = composition();
    let names: BTreeSet<&str> = services(&composition).into_iter().map(|(name, _)| name).collect();
    for file in ["publish.yaml", "secure.yaml"] {
        let overrides: Value = serde_saphyr::from_str(&interpolate(&read(file)).0).unwrap();
        for (name, service) in services(&overrides) {
            assert!(names.contains(name), "{file}: {name}");
            let known = shipped_settings();
            for key in service["environment"].as_object().into_iter().flat_map(|keys| keys.keys()) {
                let setting = key.strip_suffix("_FILE").unwrap_or(key);
                assert!(!key.starts_with("THICKET__") || known.contains(setting), "{file}: {name}: {key}");
            }
        }
    }
}

#[test]
fn replays_are_given_options_they_know() {
    let composition = composition();
    let sources: String = ["mod", "synth", "replay", "source"]
        .map(|file| read(&format!("../loadtest/src/cli/{file}.rs")))
        .concat();
    let mut checked = 0;
    for (name, service) in services(&composition) {
        let command = texts(&service["command"]);
        if command.first() != Some(&"thicket-loadtest") {
            continue;
        }
        assert!(sources.contains(&format!("{}::Arguments", command[1])), "{name}: {}", command[1]);
        for option in command[2..].iter().filter_map(|argument| argument.strip_prefix("--")) {
            let field = option.split('=').next().unwrap().replace('-', "_");
            assert!(sources.contains(&format!("    {field}: ")), "{name}: --{option}");
            checked += 1;
        }
    }
    assert!(checked > 5);
}

#[test]
fn the_example_environment_is_complete_and_shows_the_defaults() {
    let files = ["compose.yaml", "publish.yaml", "secure.yaml"].map(read).concat();
    let (_, defaults) = interpolate(&files);
    let example: BTreeMap<String, BTreeSet<String>> = read(".env.example")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), BTreeSet::from([value.to_owned()])))
        .collect();
    assert_eq!(example, defaults);
}
