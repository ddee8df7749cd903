use std::io::Write as _;

use super::origins::Origins;
use super::problems::ConfigProblems;
use super::sources::{load_from, read_http};
use super::*;
use crate::toml_keys::keys_of_toml;

mod reports;
mod secret_files;

fn load_text(text: &str) -> Result<Config, ConfigProblems> {
    load_with(text, &[]).map(|loaded| loaded.config)
}

/// Loads a file with environment variables.
fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigProblems> {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load_from(Some(file.path()), variables, &Overrides::new())
}

/// Returns the problems of a file, each without the path of the file.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let lines = load_with(text, variables).unwrap_err().lines();
    let without_path = |line: &String| match line.split_once(".toml:") {
        Some((_, rest)) => rest.to_owned(),
        None => line.clone(),
    };
    lines.iter().map(without_path).collect()
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
    let shipped = keys_of_toml("default.toml", default_text()).unwrap();
    let shipped = shipped["detector"].as_dict().unwrap();
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
    assert!(key_of("[queue]\npartitions = 0\n").contains(": queue.partitions:"));
    assert!(key_of("[mqtt]\nurl = \"http://broker\"\n").contains(": mqtt.url:"));
    assert!(key_of("[http]\nhosts = [\"thicket:9464\"]\n").contains(": http.hosts:"));
    assert!(key_of("[mqtt]\ntemplates = [\"a/{b...}/c\"]\n").contains(": mqtt.templates:"));
    assert!(key_of("[shards]\nlease = \"soon\"\n").contains("shards.lease"));
    assert!(key_of("[node]\nwatchdog = \"0s\"\n").contains("node.watchdog: must be at least 1s"));
    assert!(key_of("[detector]\ntrees = 2000\n").contains("trees"));
}

#[test]
fn flags_win_over_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[log]\nlevel = \"debug\"\n").unwrap();
    let overrides = vec![("log.level", "warn".to_owned())];
    assert_eq!(load(Some(file.path()), &overrides).unwrap().config.log.level, "warn");
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
    assert!(error.contains(": postgres.retention: 30d") && error.contains("mqtt.max_age"), "{error}");
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
    assert!(nothing.contains(": mqtt[1].subscriptions[0].topics:"), "{nothing}");
    let preset = error("[mqtt]\npreset = \"tasmata\"\n");
    assert!(preset.contains("tasmata") && preset.contains("zigbee2mqtt"), "{preset}");
    let both = error("[mqtt]\ntopics = [\"a/#\"]\n[[mqtt.subscriptions]]\npreset = \"senml\"\n");
    assert!(both.contains(": mqtt.topics: move it to the subscriptions"), "{both}");
    let filter = error("[mqtt]\ntopics = [\"sensors/#/temp\"]\n");
    assert!(filter.contains(": mqtt.topics:") && filter.contains("sensors/#/temp"), "{filter}");
    let unknown = error("[mqtt]\nurll = \"mqtt://a\"\n");
    assert!(unknown.contains("urll"), "{unknown}");
}

#[test]
fn a_flag_cannot_choose_among_several_brokers() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[mqtt]]\nurl = \"mqtt://a\"\n[[mqtt]]\nurl = \"mqtt://b\"\n").unwrap();
    let overrides = vec![("mqtt.url", "mqtt://c".to_owned())];
    let error = load(Some(file.path()), &overrides).unwrap_err().to_string();
    assert!(error.contains(": mqtt.url:") && error.contains("THICKET__MQTT__0__URL"), "{error}");
    let overrides = vec![("mqtt.1.url", "mqtt://c".to_owned())];
    assert_eq!(labels(&load(Some(file.path()), &overrides).unwrap().config), ["a:1883", "c:1883"]);
}

#[test]
fn a_password_of_digits_or_from_a_file_is_a_text() {
    for password in ["12345", "true", "[1]", "\"quoted\"", "a=b", " padded "] {
        let config = load_with("", &[("THICKET__MQTT__PASSWORD", password)]).unwrap().config;
        assert_eq!(config.mqtt[0].broker.password, password);
    }
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"redis://u:hunter2@h\n").unwrap();
    let path = secret.path().to_str().unwrap();
    let from_variable = load_with("", &[("THICKET__REDIS__URL_FILE", path)]).unwrap();
    assert_eq!(from_variable.config.redis.url, "redis://u:hunter2@h");
    let of_file = format!("[redis]\nurl_file = {path:?}\n[[mqtt]]\npassword_file = {path:?}\n");
    let from_file = load_with(&of_file, &[]).unwrap();
    assert_eq!(from_file.config.redis.url, "redis://u:hunter2@h");
    assert_eq!(from_file.config.mqtt[0].broker.password, "redis://u:hunter2@h");
    assert!(from_file.origins.origin_of("redis.url").unwrap().ends_with(".toml:2"));
    let found = problems("[redis]\nurl_file = \"/nowhere\"\n", &[]);
    assert!(found[0].contains("redis.url_file names /nowhere, which cannot be read"), "{found:?}");
    let found =
        problems(&format!("{of_file}\n[postgres]\nurl = \"postgres://a/b\"\nurl_file = {path:?}\n"), &[]);
    assert!(found[0].contains("postgres.url_file: url is set too"), "{found:?}");
}

#[test]
fn a_variable_that_is_no_setting_is_warned_of_with_the_one_that_was_meant() {
    let warnings =
        |names: &[&str]| unknown_variables(names.iter().map(|name| (*name).to_owned()), &default_keys());
    let found = warnings(&[
        "THICKET_MQTT_URL",
        "THICKET__QUEUE__LINGER",
        "THICKET_CONFIG",
        "PATH",
        "THICKET_NONSENSE",
        // Kubernetes sets these for a service of this name.
        "THICKET_PORT",
        "THICKET_PORT_9464_TCP_ADDR",
        "THICKET_SERVICE_HOST",
        "THICKET_SERVICE_PORT_HTTP",
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].ends_with("THICKET_MQTT_URL is no setting; did you mean THICKET__MQTT__URL?"),
        "{found:?}"
    );
}

#[test]
fn durations_are_shown_as_they_are_written() {
    let show = |text: &str| {
        let config = load_text(&format!("[mqtt]\nmax_age = {text:?}\n")).unwrap();
        serde_json::to_value(&config).unwrap()["mqtt"][0]["max_age"].as_str().unwrap().to_owned()
    };
    for text in ["400d", "0s", "5ms", "1h 30m", "250us"] {
        assert_eq!(show(text), text);
    }
}

#[test]
fn the_origin_of_each_value_is_known() {
    let text = "[queue]\nlinger = \"9ms\"\n[[mqtt]]\nurl = \"mqtt://a\"\n";
    let loaded = load_with(text, &[("THICKET__MQTT__USERNAME", "u")]).unwrap();
    let origin = |key: &str| loaded.origins.origin_of(key);
    assert!(origin("queue.linger").unwrap().ends_with(".toml:2"));
    assert!(origin("mqtt[0].url").unwrap().ends_with(".toml:4"));
    assert_eq!(origin("mqtt[0].username").unwrap(), "THICKET__MQTT__USERNAME");
    assert_eq!(origin("queue.reorder"), None);
}

#[test]
fn a_wrong_route_is_named_by_line_and_key_and_its_secrets_may_be_in_files() {
    let first = "[[notify.routes]]\nname = \"a\"\nurl = \"https://host/x\"\n";
    let second = |keys: &str| problems(&format!("{first}\n[[notify.routes]]\n{keys}"), &[]);
    let unknown = second("name = \"b\"\nurl = \"https://host/x\"\nmin_grad = 1.0\n");
    assert_eq!(unknown, ["8: notify.routes[1].min_grad: unknown key; did you mean min_grade?"]);
    let twice = second("name = \"a\"\nurl = \"https://host/x\"\n");
    assert!(twice[0].starts_with("6: notify.routes[1].name: another route has this name"), "{twice:?}");
    let address = second("name = \"b\"\nurl = \"host\"\n");
    assert!(address[0].starts_with("7: notify.routes[1].url: must look like"), "{address:?}");
    let default = problems("[notify.route]\nreceiver = \"pigeon\"\n", &[]);
    assert!(default[0].starts_with("2: notify.route.receiver: \"pigeon\" is none of webhook"), "{default:?}");

    let brief = problems(&format!("[notify]\nkeep = \"2d\"\n{first}"), &[]);
    assert_eq!(brief, ["2: notify.keep: must be at least give_up_after of every route"]);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"secret\n").unwrap();
    let config = load_text(&format!("{first}token_file = {:?}\n", file.path())).unwrap();
    assert_eq!(config.notify.routes().unwrap()[0].config.token, "secret");
}

#[test]
fn the_routes_of_the_documentation_can_be_used() {
    let text = include_str!("../../../docs/notifications.md");
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s3cret\n").unwrap();
    let mut count = 0;
    for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let is_secret = |line: &str| line.contains("_file = ");
        let path = |line: &str| format!("{} = {:?}", line.split(" = ").next().unwrap(), secret.path());
        let lines = block.lines().map(|line| if is_secret(line) { path(line) } else { line.to_owned() });
        let lines: Vec<String> = lines.collect();
        let mut route = lines.join("\n");
        if !route.starts_with("[[notify.routes]]") {
            route = format!("[[notify.routes]]\nname = \"own\"\nurl = \"https://host/x\"\n{route}");
        }
        let config = load_text(&route).unwrap_or_else(|problems| panic!("{problems}\n{route}"));
        assert_eq!(config.notify.routes().unwrap().len(), 1, "{route}");
        count += 1;
    }
    assert!(count >= 4, "{count} examples");
}

/// One parser reads the file. When there were two, a file that only one of them accepted was ignored
/// whole.
#[test]
fn a_file_of_toml_1_1_is_read() {
    let read = |text: &str| load_text(&format!("[queue]\npartitions = 8\n{text}")).unwrap();
    for text in [
        "[mqtt]\nwords = {\n  on = 1, # a comment\n  off = 0\n}\n",
        "[mqtt]\nwords = { on = 1, }\n",
        "[node]\nname = \"\\x41\"\n",
        "[node]\nname = \"\\e\"\n",
    ] {
        assert_eq!(read(text).queue.partitions, 8, "{text}");
    }
    assert_eq!(read("[node]\nname = \"\\x41\"\n").node.name, "A");
    assert_eq!(read("[mqtt]\nwords = { on = 1, }\n").mqtt[0].messages.words["on"].to_string(), "1");
    let words = &read("[mqtt]\nwords = { a = nan, b = -7, c = 0x1F, d = 1_000.5 }\n").mqtt[0].messages.words;
    assert!(words["a"].is_nan());
    assert_eq!(["b", "c", "d"].map(|name| words[name].to_string()), ["-7", "31", "1000.5"]);
}

#[test]
fn a_value_that_no_setting_can_have_is_named_by_line_and_key() {
    for (line, text) in [
        ("2: detector.warm_up: is 99999999999999999999, but", "[detector]\nwarm_up = 99999999999999999999\n"),
        ("2: detector.alarms_per_week: is 1e400, but", "[detector]\nalarms_per_week = 1e400\n"),
        ("2: node.name: is the date or time 07:32, but", "[node]\nname = 07:32\n"),
        ("2: mqtt.time_floor: is the date or time 2020-01-01, but", "[mqtt]\ntime_floor = 2020-01-01\n"),
        ("2: detector.fields[1]: is -1e999, but", "[detector]\nfields = [\"a\", -1e999]\n"),
    ] {
        let found = problems(text, &[]);
        assert!(found.len() == 1 && found[0].starts_with(line), "{text}: {found:?}");
    }
    let both = problems("[queue]\npartitions = 99999999999999999999\nlinger = \"soon\"\n", &[]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn a_relative_path_of_a_file_begins_in_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thicket.toml");
    std::fs::write(folder.path().join("a.token"), "0123456789abcdef\n").unwrap();
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        load_from(Some(&file), std::iter::empty(), &Overrides::new())
    };
    let text = "[http]\noperate_token_file = \"a.token\"\n[mqtt]\npassword_file = \"a.token\"\n\
                [[notify.routes]]\nname = \"a\"\nurl = \"https://h/x\"\ntoken_file = \"a.token\"\n\
                [notify.routes.headers]\nx_file = \"a\"\n";
    let config = load(text).unwrap().config;
    assert_eq!(config.http.operate_token_file, folder.path().join("a.token"));
    assert_eq!(config.http.read_token_file.as_os_str(), "");
    assert_eq!(config.mqtt[0].broker.password, "0123456789abcdef");
    let routes = config.notify.routes().unwrap();
    assert_eq!(routes[0].config.token, "0123456789abcdef");
    assert_eq!(routes[0].config.headers["x_file"], "a");
    let redis = "[redis]\nurl = \"rediss://h\"\n[redis.tls]\n";
    for (keys, named) in [
        ("ca = \"ca.pem\"", folder.path().join("ca.pem")),
        ("cert = \"c.pem\"\nkey = \"k.pem\"", folder.path().join("c.pem")),
        ("ca = \"/nowhere/ca.pem\"", "/nowhere/ca.pem".into()),
    ] {
        let error = load(&format!("{redis}{keys}\n")).unwrap_err().to_string();
        assert!(error.contains(named.to_str().unwrap()), "{error}");
    }
}

#[test]
fn the_section_http_is_read_alone_with_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("thicket.toml");
    std::fs::write(folder.path().join("address"), "127.0.0.1:1234\n").unwrap();
    let text = "[detector]\nalarms_per_week = -3\n[mqtt]\npassword_file = \"gone\"\n[http]\nlisten_file = \"address\"\n";
    std::fs::write(&file, text).unwrap();
    let http = read_http(Some(&file), std::iter::empty(), &mut Origins::default()).unwrap();
    assert_eq!(http.listen.port(), 1234);
}
