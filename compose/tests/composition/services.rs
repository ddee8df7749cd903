//! The services: images, networks, ports, rights, volumes, and the order in which they start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::file::{composition, folder, read, services, texts};

/// Services that exit when they are done. The others run until they are stopped.
const ONE_SHOT: [&str; 4] = ["permissions", "migrate", "sounds", "heavy-replay"];
#[test]
fn the_whole_path_is_there() {
    let composition = composition();
    let names: BTreeSet<&str> = services(&composition).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "permissions",
        "mosquitto",
        "redis",
        "postgres",
        "migrate",
        "engine",
        "sounds",
        "replay",
        "heavy-replay",
        "prometheus",
        "alertmanager",
        "grafana",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for (name, service) in services(&composition) {
        let profiles = texts(&service["profiles"]);
        let expected = match name {
            "sounds" => vec!["demo", "load"],
            "replay" => vec!["demo"],
            "heavy-replay" => vec!["load"],
            _ => vec![],
        };
        assert_eq!(profiles, expected, "{name}");
    }
}

#[test]
fn one_service_builds_the_image_and_the_others_wait_for_it() {
    let composition = composition();
    for (name, service) in services(&composition) {
        let own = service["image"].as_str().unwrap().starts_with("thicket:");
        let builds = name == "migrate";
        assert_eq!(service["build"].is_object(), builds, "{name}");
        let policy = own.then_some(if builds { "build" } else { "never" });
        assert_eq!(service["pull_policy"].as_str(), policy, "{name}");
        if own && !builds {
            let needs = service["depends_on"].as_object().unwrap();
            let waits = needs.keys().any(|needed| ["migrate", "engine"].contains(&&**needed));
            assert!(waits, "{name} may start before the image is built");
        }
    }
}

#[test]
fn every_service_has_limits_and_no_more_networks_than_it_needs() {
    let composition = composition();
    let mut used = BTreeSet::new();
    for (name, service) in services(&composition) {
        assert!(service["mem_limit"].is_string(), "{name}");
        assert!(service["pids_limit"].is_u64(), "{name}");
        let networks = texts(&service["networks"]);
        assert_eq!(networks.is_empty(), service["network_mode"] == "none", "{name}");
        let needs_way_out = !texts(&service["ports"]).is_empty();
        let internal = |network: &&str| composition["networks"][*network]["internal"] == true;
        assert!(!needs_way_out || !networks.iter().all(internal), "{name} publishes no port");
        used.extend(networks);
    }
    let declared: BTreeSet<&str> =
        composition["networks"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(used, declared);
}

#[test]
fn every_image_is_pinned() {
    for (name, service) in services(&composition()) {
        let image = service["image"].as_str().unwrap();
        assert_pinned(image, name);
        if let Some(version) = image.strip_prefix("thicket:") {
            assert_eq!(version, env!("CARGO_PKG_VERSION"), "{name}");
        }
    }
    let dockerfile = read("Dockerfile");
    let version = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(dockerfile.contains(&version), "the label of the version");
    let mut stages = BTreeSet::new();
    let (engine, loadtest) = dockerfile.split_once("\nFROM engine AS loadtest\n").unwrap();
    let loads =
        |text: &str| text.lines().any(|line| line.starts_with("COPY") && line.contains("thicket-loadtest"));
    assert!(loads(loadtest) && !loads(engine), "the load test is in its own target only");
    assert!(loadtest.trim_end().ends_with("\nFROM engine"), "the engine's image is the default target");
    assert_eq!(composition()["services"]["migrate"]["build"]["target"], "loadtest");
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        let (image, stage) = line.split_once(" AS ").unwrap_or((line, ""));
        if !stages.contains(image) {
            assert_pinned(image, "Dockerfile");
        }
        stages.insert(stage);
    }
}

fn assert_pinned(image: &str, whose: &str) {
    let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{whose}: {image} has no tag"));
    let dots = tag.matches('.').count();
    assert!(dots >= 1 && tag.contains(|letter: char| letter.is_ascii_digit()), "{whose}: {image}");
}

#[test]
fn every_port_is_for_this_machine_only() {
    let composition = composition();
    let mut published = BTreeSet::new();
    for (name, service) in services(&composition) {
        assert_ne!(service["network_mode"], "host", "{name}");
        for port in texts(&service["ports"]) {
            let parts: Vec<&str> = port.split(':').collect();
            let [address, outside, inside] = parts[..] else { panic!("{name}: {port}") };
            assert_eq!(address, "127.0.0.1", "{name}");
            inside.parse::<u16>().unwrap();
            assert!(published.insert(outside.to_owned()), "{name}: {outside} is published twice");
        }
    }
    let expected = ["1883", "3000", "9090", "9093"].map(str::to_owned);
    assert_eq!(published, BTreeSet::from(expected));
}

#[test]
fn no_service_has_more_rights_than_it_needs() {
    for (name, service) in services(&composition()) {
        let user = service["user"].as_str().unwrap_or_else(|| panic!("{name} has no user"));
        let (user, _) = user.split_once(':').unwrap();
        if name == "permissions" {
            assert_eq!(texts(&service["cap_add"]), ["DAC_READ_SEARCH", "FOWNER"]);
            assert_eq!(service["network_mode"], "none");
        } else {
            assert!(user.parse::<u32>().unwrap() > 0, "{name} runs as root");
            assert!(service["cap_add"].is_null(), "{name}");
        }
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service["privileged"].is_null(), "{name}");
    }
}

#[test]
fn every_mounted_file_exists_and_every_volume_is_declared_and_used() {
    let composition = composition();
    let declared: BTreeSet<&str> =
        composition["volumes"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    // What is mounted into services, and what `permissions` makes readable for them.
    let (mut mounted, mut readable) = (Vec::new(), Vec::new());
    for (name, service) in services(&composition) {
        for volume in texts(&service["volumes"]) {
            let parts: Vec<&str> = volume.split(':').collect();
            let source = parts[0];
            if source.starts_with('.') {
                assert!(folder().join(source).exists(), "{name}: {source} does not exist");
                if name == "permissions" {
                    readable.push(source.to_owned());
                } else {
                    assert_eq!(parts.get(2), Some(&"ro,z"), "{name} may write to {source}");
                    mounted.push((name.to_owned(), source.to_owned()));
                }
            } else {
                used.insert(source);
            }
        }
    }
    assert_eq!(used, declared);
    for (name, source) in mounted {
        assert!(readable.iter().any(|folder| Path::new(&source).starts_with(folder)), "{name}: {source}");
        let needs = &composition["services"][&name]["depends_on"]["permissions"];
        assert!(needs.is_object(), "{name} does not wait until it can read {source}");
    }
}

#[test]
fn every_dependency_says_when_it_is_ready() {
    let composition = composition();
    let services: BTreeMap<&str, &Value> = services(&composition).into_iter().collect();
    for (name, service) in &services {
        if ONE_SHOT.contains(name) {
            assert_ne!(service["restart"], "unless-stopped", "{name} would run again and again");
        } else {
            // No service depends on the replay.
            assert!(
                *name == "replay" || service["healthcheck"]["test"].is_array(),
                "{name} has no health check"
            );
            assert_eq!(service["restart"], "unless-stopped", "{name}");
        }
        let Some(needs) = service["depends_on"].as_object() else { continue };
        for (needed, how) in needs {
            let one_shot = ONE_SHOT.contains(&needed.as_str());
            let expected = if one_shot { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(how["condition"], expected, "{name} needs {needed}");
            assert!(services.contains_key(needed.as_str()), "{name} needs {needed}");
        }
    }
    let engine: BTreeSet<&str> =
        services["engine"]["depends_on"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(engine, BTreeSet::from(["migrate", "mosquitto", "permissions", "postgres", "redis"]));
}
