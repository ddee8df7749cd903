use super::super::Level;
use super::*;
use crate::config::{Overrides, load};

const GIB: u64 = 1 << 30;

fn config(text: &str) -> Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load(Some(file.path()), &Overrides::default()).unwrap().config
}

/// A fleet of 4,700 sensors of 13 fields: 440 KB of memory and 164 KB of checkpoint each.
fn fleet() -> Fleet {
    Fleet { sensors: 4_700, fields: 13, per_second: 1.0 / 60.0 }
}

fn plan(config: &Config) -> Plan {
    Plan::of(&fleet(), &DetectorCost { memory: 440_000, checkpoint: 164_000 }, config)
}

fn found() -> Found {
    Found { machine: 8 * GIB, maxmemory: 8 * GIB, free_disk: None }
}

fn is_warning(line: &Line, words: &[&str]) {
    assert!(line.level == Level::Warn, "{}", line.words);
    for word in words {
        assert!(line.words.contains(word), "{word}: {}", line.words);
    }
}

fn is_ok(line: &Line) {
    assert!(line.level == Level::Ok, "{}", line.words);
}

#[test]
fn memory_that_does_not_hold_the_detectors_is_warned_of_with_the_setting() {
    let enough = config("[shards]\nmemory = \"3GiB\"\n");
    is_ok(&memory(&enough, &plan(&enough), found()));
    let less = config("[shards]\nmemory = \"1GiB\"\n");
    is_warning(&memory(&less, &plan(&less), found()), &["need 2.1 GB", "set shards.memory = \"2466MiB\""]);
    let small = Found { machine: 2 * GIB, ..found() };
    is_warning(&memory(&less, &plan(&less), small), &["among more nodes"]);
    is_warning(&memory(&enough, &plan(&enough), small), &["this process may use 2.1 GB"]);
    let few = config("[shards]\nmemory = \"3GiB\"\nmax_detectors = 4000\n");
    is_warning(&memory(&few, &plan(&few), found()), &["set shards.max_detectors = 5875"]);
}

#[test]
fn a_redis_that_does_not_hold_the_checkpoints_or_an_hour_of_log_is_warned_of() {
    let auto = config("");
    let at =
        |config: &Config, maxmemory| redis(config, &fleet(), &plan(config), Found { maxmemory, ..found() });
    is_ok(&at(&auto, 2 * GIB));
    is_warning(&at(&auto, GIB), &["need 770.8 MB, and may take 536.9 MB", "set `maxmemory "]);
    let bounded = config("[checkpoint]\nmemory = \"100MiB\"\n");
    is_warning(&at(&bounded, 8 * GIB), &["checkpoint.memory = \"919MiB\""]);
    is_warning(&at(&auto, 0), &["Redis has no maxmemory"]);
    let fast = Plan::of(
        &Fleet { per_second: 10.0, ..fleet() },
        &DetectorCost { memory: 440_000, checkpoint: 164_000 },
        &auto,
    );
    is_warning(
        &redis(&auto, &fleet(), &fast, Found { maxmemory: 8 * GIB, ..found() }),
        &["less than an hour"],
    );
}

#[test]
fn a_disk_that_does_not_last_is_warned_of() {
    let plan = plan(&config(""));
    // 4,700 readings a minute of 276 bytes: 1.9 GB a day.
    let after = |days: u64, max_age: &str, free_disk| {
        let text = format!("[postgres]\nretention = \"{days}d\"\n[mqtt]\nmax_age = \"{max_age}\"\n");
        disk(&config(&text), &plan, GIB, Found { free_disk, ..found() })
    };
    let at = |days, free_disk: Option<u64>| after(days, "1d", free_disk);
    is_ok(&at(0, None));
    is_ok(&at(0, Some(100 * GIB)));
    is_warning(&at(0, Some(10 * GIB)), &["enough for 5 days", "set postgres.retention = \"5d\", or"]);
    // The configuration refuses a retention that is shorter than max_age.
    let refused = after(0, "400d", Some(10 * GIB));
    is_warning(&refused, &["set postgres.retention = \"5d\" and mqtt.max_age to at most as much, or"]);
    is_ok(&at(30, Some(60 * GIB)));
    is_warning(&at(400, Some(60 * GIB)), &["after postgres.retention of 400 days", "enough for 34 days"]);
    is_ok(&at(400, None));
}

#[test]
fn a_deployment_without_sensors_needs_no_plan() {
    let present =
        PresentFleet { sensors: 0, fields: 1.0, per_second: 0.0, database_bytes: 0, local_directory: None };
    let lines = needs(&config(""), &present, GIB);
    assert_eq!(lines.len(), 1);
    is_ok(&lines[0]);
}

#[test]
fn a_fleet_near_its_greatest_number_of_sensors_is_warned_of() {
    let config = config("[sensors]\nmax = 1000\n");
    assert!(near_limit(&config, 900).is_none());
    is_warning(&near_limit(&config, 901).unwrap(), &["901 known sensors", "sensors.max is 1000"]);
}
