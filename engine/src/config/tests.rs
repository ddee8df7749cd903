use std::io::Write as _;

use figment::Provider as _;
use figment::providers::Format as _;

use super::problems::ConfigProblems;
use super::sources::load_from;
use super::*;

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
    assert!(key_of("[queue]\npartitions = 0\n").contains(": queue.partitions:"));
    assert!(key_of("[mqtt]\nurl = \"http://broker\"\n").contains(": mqtt.url:"));
    assert!(key_of("[http]\nhosts = [\"thicket:9464\"]\n").contains(": http.hosts:"));
    assert!(key_of("[mqtt]\ntemplates = [\"a/{b...}/c\"]\n").contains(": mqtt.templates:"));
    assert!(key_of("[shards]\nlease = \"soon\"\n").contains("shards.lease"));
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
fn every_problem_is_reported_with_file_line_and_key_as_the_user_wrote_it() {
    let text = "[mqtt]
urll = \"mqtt://a\"
keep_alive = 30

[queue]
partitons = 8
linger = \"soon\"

[shards]
lease = \"1ms\"

[log]
format = \"txt\"

[quueue]
linger = \"5ms\"

[redis]
ulr = \"redis://a\"

[[detectors]]
sensors = \"a/*\"
pionts = 512
trees = \"many\"
";
    let found = problems(text, &[]);
    for expected in [
        "2: mqtt.urll: unknown key; did you mean url?",
        "3: mqtt.keep_alive: is 30, but must be a duration with a unit, such as \"5ms\" or \"4s\"",
        "6: queue.partitons: unknown key; did you mean partitions?",
        "7: queue.linger: is \"soon\", but must be a duration with a unit, such as \"5ms\" or \"4s\"",
        "13: log.format: \"txt\" is none of text, json; did you mean text?",
        "15: quueue: unknown key; did you mean queue?",
        "19: redis.ulr: unknown key; did you mean url?",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    // What no type can express is checked once all keys can be read.
    let text = "[queue]
partitions = 5000
[shards]
lease = \"1ms\"
[mqtt]
max_in_flight = 0
max_depth = 99
[detector]
trees = 2000
[postgres]
writers = 0
";
    let found = problems(text, &[]);
    for expected in [
        "2: queue.partitions:",
        "4: shards.lease:",
        "6: mqtt.max_in_flight:",
        "7: mqtt.max_depth:",
        "9: detector.trees:",
        "11: postgres.writers:",
    ] {
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}: {found:#?}");
    }
    let found = problems("[[detectors]]\nsensors = \"a\"\npionts = 512\ntrees = \"many\"\n", &[]);
    assert_eq!(found[0], "3: detectors[0].pionts: unknown key; did you mean points?");
    assert!(found[1].starts_with("4: detectors[0].trees: is \"many\", but must be"), "{found:?}");
}

#[test]
fn text_that_is_no_toml_is_named_by_line_and_column() {
    let found = problems("[queue]\nlinger = = 5\n", &[]);
    assert!(found[0].starts_with("2:10: "), "{found:?}");
    let error =
        load(Some(std::path::Path::new("/nowhere/a.toml")), &Overrides::new()).unwrap_err().to_string();
    assert!(error.contains("/nowhere/a.toml") && error.contains("No such file"), "{error}");
}

#[test]
fn a_problem_of_a_variable_names_the_variable() {
    let variables = [("THICKET__QUEUE__PARTITIONS", "0"), ("THICKET__SHARDS__LEESE", "4s")];
    let found = problems("", &variables[..1]);
    assert_eq!(found, ["THICKET__QUEUE__PARTITIONS: queue.partitions: must be at least 1"]);
    let found = problems("", &variables);
    let unknown = "THICKET__SHARDS__LEESE: shards.leese: unknown key; did you mean lease?";
    assert_eq!(found, [unknown, "THICKET__QUEUE__PARTITIONS: queue.partitions: must be at least 1"]);
    let found =
        problems("[[mqtt]]\nurl = \"mqtt://a\"\n[[mqtt]]\n", &[("THICKET__MQTT__1__KEEP_ALIVE", "x")]);
    assert!(found[0].starts_with("THICKET__MQTT__1__KEEP_ALIVE: mqtt[1].keep_alive:"), "{found:?}");
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
fn the_files_of_tokens_are_read_and_every_problem_with_them_is_shown() {
    let short = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(short.path(), "short\n").unwrap();
    let text = format!(
        "[http]\nread_token_file = \"/no/such/file\"\noperate_token_file = \"{}\"\n",
        short.path().display()
    );
    let problems = problems(&text, &[]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("2: http.read_token_file: /no/such/file cannot be read"), "{problems:?}");
    assert!(problems[1].starts_with("3: http.operate_token_file: ") && problems[1].contains("at least 16"));
}

#[test]
fn a_token_that_may_read_is_not_the_one_that_may_label() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a token of 16 or more\n").unwrap();
    let path = file.path().display();
    let text = format!("[http]\nread_token_file = \"{path}\"\noperate_token_file = \"{path}\"\n");
    let problems = problems(&text, &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("3: http.operate_token_file: must hold another token"), "{problems:?}");
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

#[test]
fn a_wrong_level_is_named_by_its_place() {
    let found = problems("[log]\nlevel = \"inof\"\n", &[]);
    assert!(found[0].starts_with("2: log.level: \"inof\" is no level"), "{found:?}");
    assert!(found[0].ends_with("; did you mean info?"), "{found:?}");
    let found = problems("", &[("THICKET__LOG__LEVEL", "info,thicket_actrs=debg")]);
    assert!(found[0].starts_with("THICKET__LOG__LEVEL: log.level: \"debg\" in"), "{found:?}");
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let found = load(Some(file.path()), &vec![("log.level", "verbose".to_owned())]).unwrap_err().to_string();
    assert!(found.starts_with("--log-level: log.level: \"verbose\" is no level"), "{found}");
}

/// Asserts that each of the problems of a text begins with one of these, in this order.
fn assert_problems(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let found = problems(text, variables);
    let is_same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(line, expected)| line.starts_with(expected));
    assert!(is_same, "{text}: {found:#?}");
}

#[test]
fn a_variable_that_sets_a_section_or_no_key_is_an_error_that_names_it() {
    for (variable, key, example) in [
        ("THICKET__MQTT", "mqtt", "CLIENT_ID"),
        ("THICKET__QUEUE", "queue", "LINGER"),
        ("THICKET__MQTT__0", "mqtt[0]", "CLIENT_ID"),
    ] {
        let expected =
            format!("{variable}: {key}: is a section; name a key of it, such as {variable}__{example}");
        for value in ["foo", "[{url=\"mqtt://a\"}]"] {
            assert_problems("[[mqtt]]\nurl = \"mqtt://a\"\n", &[(variable, value)], &[&expected]);
        }
    }
    assert_problems("", &[("THICKET__NOSUCH__X", "1")], &["THICKET__NOSUCH__X: nosuch: unknown key"]);
    let config = load_with("", &[("THICKET__DETECTORS", "[{sensors=\"x*\",points=77}]")]).unwrap().config;
    let rules = config.detector_configs().unwrap();
    assert_eq!(rules.of(&thicket_schema::SensorName::new("xyz").unwrap()).config.points, 77);
    let found = problems("", &[("THICKET__DETECTORS", "[{sensors=\"x*\",pionts=77}]")]);
    assert_eq!(found, ["THICKET__DETECTORS: detectors[0].pionts: unknown key; did you mean points?"]);
}

#[test]
fn a_key_that_cannot_be_read_does_not_hide_other_problems() {
    let text = "[queue]
partitions = 5000
linger = \"5 parsecs\"
[[mqtt.subscriptions]]
topics = [\"a\"]
max_depth = 99
time_zone = \"Nowhere\"
csv_separator = 5
[[mqtt.subscriptions]]
topics = [\"a/#/b\"]
[detector]
time_zone = \"Mars\"
trees = 2000
[[detectors]]
sensors = \"a\"
pionts = 5
shingle = 1000
[[detectors]]
shingle = 1000
[shutdwn]
[redis]
url = \"http://a\"
";
    assert_problems(
        text,
        &[],
        &[
            "2: queue.partitions: must be at most 4096",
            "3: queue.linger: is \"5 parsecs\"",
            "6: mqtt.subscriptions[0].max_depth:",
            "7: mqtt.subscriptions[0].time_zone:",
            "8: mqtt.subscriptions[0].csv_separator:",
            "10: mqtt.subscriptions[1].topics:",
            "12: detector.time_zone:",
            "13: detector.trees:",
            "16: detectors[0].pionts:",
            "17: detectors[0].shingle:",
            "18: detectors[1].sensors: name a sensor pattern",
            "19: detectors[1].shingle:",
            "20: shutdwn: unknown key; did you mean shutdown?",
            "22: redis.url: must look like",
        ],
    );
}

#[test]
fn a_wrong_broker_does_not_hide_the_problems_of_another() {
    let text = "[[mqtt]]
subscriptions = 5
[[mqtt]]
topics = [\"a\"]
ignore = [{ topic = 1 }, { x = 2 }]
version = 4
[[mqtt.subscriptions]]
preset = \"tasmotta\"
max_depth = 99
";
    assert_problems(
        text,
        &[],
        &[
            "2: mqtt[0].subscriptions: must be tables",
            "4: mqtt[1].topics: move it to the subscriptions",
            "5: mqtt[1].ignore[0].topic: is 1, but must be a text in quotes",
            "5: mqtt[1].ignore[1].x: unknown key",
            "6: mqtt[1].version: must be \"auto\", 3 or 5",
            "8: mqtt[1].subscriptions[0].preset:",
            "9: mqtt[1].subscriptions[0].max_depth:",
        ],
    );
}

#[test]
fn a_default_that_stands_for_a_wrong_key_causes_no_other_problem() {
    for (text, expected) in [
        ("[queue]\npartitons = 200\n[shards]\ncount = 100\n", "2: queue.partitons: unknown key"),
        ("[queue]\npartitions = \"many\"\n[shards]\ncount = 100\n", "2: queue.partitions: is"),
        ("[postgres]\nretention = \"30d\"\n[mqtt]\nmax_aeg = \"30d\"\n", "4: mqtt.max_aeg: unknown key"),
        ("[[mqtt]]\nmax_age = 30\n[postgres]\nretention = \"30d\"\n", "2: mqtt[0].max_age: is 30"),
        ("[redis]\nulr = \"rediss://a\"\n[redis.tls]\nca = \"a\"\n", "2: redis.ulr: unknown key"),
        ("[[notify.routes]]\nname = \"a\"\nurl_file = \"/no\"\n", "3: notify.routes[0].url_file names /no"),
    ] {
        assert_problems(text, &[], &[expected]);
    }
}

#[test]
fn a_subscription_without_topics_names_the_key_that_was_meant() {
    let text = "[mqtt]\n[[mqtt.subscriptions]]\ntopic = [\"a\"]\n";
    let meant = "3: mqtt.subscriptions[0].topic: unknown key; did you mean topics?";
    assert_problems(text, &[], &[meant]);
    assert_problems(
        "[[mqtt.subscriptions]]\nmax_depht = 3\n",
        &[],
        &[
            "1: mqtt.subscriptions[0].topics: name the topic filters, or a preset",
            "2: mqtt.subscriptions[0].max_depht: unknown key; did you mean max_depth?",
        ],
    );
}

#[test]
fn every_unreadable_file_of_a_secret_is_named_with_its_line() {
    assert_problems(
        "[mqtt]\npassword_file = \"/nonexistent\"\n[redis]\nurl_file = \"/etc\"\n[queue]\npartitions = 0\n",
        &[("THICKET__POSTGRES__URL_FILE", "/nonexistent")],
        &[
            "2: mqtt.password_file names /nonexistent, which cannot be read: No such file",
            "4: redis.url_file names /etc, which cannot be read: Is a directory",
            "6: queue.partitions: must be at least 1",
            "THICKET__POSTGRES__URL_FILE names /nonexistent, which cannot be read: No such file",
        ],
    );
}

#[test]
fn a_key_in_capital_letters_or_in_another_section_is_suggested() {
    for (text, expected) in [
        ("[mqtt]\nURL = \"mqtt://a\"\n", "2: mqtt.URL: unknown key; did you mean url?"),
        ("[Queue]\nlinger = \"5ms\"\n", "1: Queue: unknown key; did you mean queue?"),
        ("[retention]\ndays = 5\n", "1: retention: unknown key; did you mean postgres.retention?"),
        ("partitions = 5\n", "1: partitions: unknown key; did you mean queue.partitions?"),
    ] {
        assert_problems(text, &[], &[expected]);
    }
    let found = problems("[xyz]\n", &[]);
    assert_eq!(found, ["1: xyz: unknown key"]);
}

#[test]
fn what_a_value_must_be_is_said_in_plain_words() {
    for (text, expected) in [
        ("queue.partitions = 70000", "is 70000, but must be a whole number from 0 to 65535"),
        ("queue.max_records = \"x\"", "is \"x\", but must be a whole number, 0 or more"),
        ("sensors.new_at_once = -1", "is -1, but must be a whole number from 0 to 4294967295"),
        ("detector.alarms_per_week = \"x\"", "is \"x\", but must be a number"),
        ("mqtt.topics = \"a\"", "is \"a\", but must be a list"),
        ("mqtt.units = 5", "is 5, but must be true or false"),
        ("detector.clock = true", "is true, but must be one of off, auto, on"),
        ("log.format = 5", "is 5, but must be one of text, json"),
        ("log.format = \"huge\"", "\"huge\" is none of text, json"),
        ("queue = 5", "is 5, but must be a section"),
        (
            "http.listen = \"localhost\"",
            "is \"localhost\", but must be an IP address and a port, such as \"127.0.0.1:9464\"",
        ),
    ] {
        let key = text.split(" = ").next().unwrap();
        assert_eq!(problems(text, &[]), [format!("1: {key}: {expected}")]);
    }
    let found = problems("redis.url = \"redis://a:99999\"", &[]);
    assert!(found[0].contains("the port must be a number up to 65535"), "{found:?}");
}
