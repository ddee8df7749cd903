//! The command line itself: the effective configuration, completions, man pages and the version.

use std::process::{Command, Output};

use crate::support::{BINARY, stderr, stdout};

const FILE: &str = "[mqtt]
url = \"mqtts://plant:8883\"
username = \"u\"
password = \"hunter2\"
preset = \"tasmota\"
time_zone = \"Europe/Berlin\"

[redis]
url = \"redis://u:hunter2@127.0.0.1\"

[[detectors]]
sensors = \"a/*\"
points = 512
";

fn run(file: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thicket.toml");
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(BINARY);
    command.current_dir(folder.path()).args(arguments).envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn an_empty_variable_names_no_configuration_file() {
    let shown = run("[queue]\npartitions = 8\n", &["config"], &[("THICKET_CONFIG", "")]);
    assert!(stdout(&shown).contains("partitions = 8"), "{}", stderr(&shown));
    let named = run("[queue]\npartitions = 8\n", &["config", "--config", ""], &[]);
    assert_eq!(named.status.code(), Some(2), "{}", stdout(&named));
}

#[test]
fn the_effective_configuration_names_the_origin_of_each_value_and_hides_secrets() {
    let variables = [("THICKET__QUEUE__LINGER", "9ms")];
    let shown = run(FILE, &["config", "--log-level", "debug"], &variables);
    let text = stdout(&shown);
    assert!(shown.status.success(), "{}", stderr(&shown));
    let line_of = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start}: {text}"))
    };
    assert!(line_of("username = ").ends_with("# thicket.toml:3"));
    assert!(line_of("time_zone = \"Europe/Berlin\"").ends_with("# thicket.toml:6"), "{text}");
    assert!(line_of("linger = \"9ms\"").ends_with("# THICKET__QUEUE__LINGER"));
    assert!(line_of("level = \"debug\"").ends_with("# --log-level"));
    assert!(line_of("partitions = 64").ends_with("# default"));
    assert!(line_of("points = 512").ends_with("# thicket.toml:13"));
    assert!(!text.contains("hunter2") && text.contains("redis://u:***@127.0.0.1"), "{text}");

    assert!(line_of("url = \"\" ").ends_with("# default") && !text.contains("(not a URL)"), "{text}");

    // It is a configuration: without the passwords, it means the same.
    let again = run(&text.replace(":***@", "@"), &["config"], &[]);
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap().trim().to_owned()).collect()
    };
    assert_eq!(values(&stdout(&again).replace("u@127", "u:***@127")), values(&text), "{}", stderr(&again));

    let changed = stdout(&run(FILE, &["config", "--changed"], &variables));
    assert!(changed.contains("linger") && !changed.contains("partitions"), "{changed}");
    // What is set to the default is shown too: an export keeps it.
    let set_to_default =
        stdout(&run(FILE, &["config", "--changed"], &[("THICKET__QUEUE__PARTITIONS", "64")]));
    assert!(set_to_default.contains("partitions = 64"), "{set_to_default}");
    let json = run(FILE, &["config", "--json"], &variables);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        json["queue.linger"],
        serde_json::json!({ "value": "9ms", "origin": "THICKET__QUEUE__LINGER" })
    );
    assert_eq!(json["mqtt.password"]["value"], "***");
    let defaults = run("not toml", &["config", "--defaults"], &[]);
    assert!(defaults.status.success());
    assert!(run(&stdout(&defaults), &["check", "--offline"], &[]).status.success());
}

#[test]
fn the_composition_drops_readings_after_a_month_and_refuses_older_ones() {
    let shown = run(include_str!("../../../compose/thicket/thicket.toml"), &["config", "--json"], &[]);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    for key in ["postgres.retention", "mqtt.max_age"] {
        assert_eq!(json[key]["value"], "30d", "{key}: {}", stderr(&shown));
    }
}

#[test]
fn every_problem_of_a_configuration_is_shown_at_once() {
    let refused =
        run("[queue]\npartitons = 8\nlinger = \"soon\"\n", &["run"], &[("THICKET__SHARDS__COUNT", "x")]);
    assert_eq!(refused.status.code(), Some(2));
    let text = stderr(&refused);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].contains("thicket.toml:2: queue.partitons: unknown key; did you mean partitions?"),
        "{text}"
    );
    assert!(lines[2].contains("THICKET__SHARDS__COUNT: shards.count:"), "{text}");
    let warned = run("", &["check", "--offline"], &[("THICKET_MQTT_URL", "mqtt://a")]);
    assert!(stderr(&warned).contains("did you mean THICKET__MQTT__URL?"), "{}", stderr(&warned));
}

#[test]
fn every_command_warns_of_a_variable_that_is_no_setting() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let variables = [("THICKET_MQTT_URL", "mqtt://a")];
    let warned = [run("[quueue]\n", &["run"], &variables), run("", &["down", "--data", data], &variables)];
    for output in warned {
        let text = stderr(&output);
        assert_eq!(text.matches("did you mean THICKET__MQTT__URL?").count(), 1, "{text}");
    }
    let refused = run("[log]\nlevel = \"inof\"\n", &["check", "--offline"], &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("thicket.toml:2: log.level: \"inof\" is no level"));
}

#[test]
fn completions_man_pages_and_the_version_need_no_configuration() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run("not toml", &["completions", shell], &[]);
        assert!(script.status.success() && stdout(&script).contains("reconcile"), "{shell}");
    }
    let page = stdout(&run("not toml", &["man"], &[]));
    assert!(page.contains(".TH thicket 1"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let written = run("not toml", &["man", "--write", folder.path().to_str().unwrap()], &[]);
    assert!(written.status.success() && folder.path().join("thicket-deadletter-list.1").is_file());
    let version = stdout(&run("not toml", &["--version"], &[]));
    assert!(version.starts_with(concat!("thicket ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
}
