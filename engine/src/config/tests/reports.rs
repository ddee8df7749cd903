//! Every problem of a configuration is reported, with its place, and what was meant.

use super::*;

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

#[test]
fn problems_that_are_too_many_to_show_are_counted() {
    let text = |keys: usize| (0..keys).map(|key| format!("k{key} = 1")).collect::<Vec<_>>().join("\n");
    for (keys, last) in
        [(50, "50: k49: unknown key"), (51, "and 1 further problem"), (130, "and 80 further problems")]
    {
        let found = problems(&text(keys), &[]);
        assert_eq!(found.last().unwrap(), last);
        assert_eq!(found.len(), keys.min(51), "{found:#?}");
    }
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
fn every_wrong_key_of_a_detector_is_reported() {
    let text = "[detector]
trees = 2000
warm_up = 3
fields = [\"a\"]
[detector.suppress]
absolute = -1
relative = -1
[[detectors]]
sensors = \"a\"
shingle = 1000
alarms_per_week = 0
[[detectors]]
sensors = \"b\"
trees = 2000
counters = [\"b\"]
[detectors.suppress]
relative = -1
";
    assert_problems(
        text,
        &[],
        &[
            "2: detector.trees: ",
            "3: detector.warm_up: ",
            "6: detector.suppress.absolute: ",
            "7: detector.suppress.relative: ",
            "10: detectors[0].shingle: ",
            "11: detectors[0].alarms_per_week: ",
            "14: detectors[1].trees: ",
            "15: detectors[1].counters: ",
            "17: detectors[1].suppress.relative: ",
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
fn an_unknown_key_beside_a_preset_is_named_as_the_user_wrote_it() {
    for (text, expected) in [
        (
            "[[mqtt.subscriptions]]\ntopics = [\"a\"]\n[[mqtt.subscriptions]]\npreset = \"shelly-gen2\"\nurll = 1\n",
            "5: mqtt.subscriptions[1].urll: unknown key; did you mean mqtt.url?",
        ),
        (
            "[[mqtt.subscriptions]]\npreset = \"tasmota\"\nmax_depht = 1\n",
            "3: mqtt.subscriptions[0].max_depht: unknown key; did you mean max_depth?",
        ),
        ("[mqtt]\npreset = \"shelly-gen2\"\nurll = 1\n", "3: mqtt.urll: unknown key; did you mean url?"),
        (
            "[[mqtt]]\npreset = \"shelly-gen2\"\nmax_depth = 99\n",
            "3: mqtt[0].max_depth: must be between 1 and 64",
        ),
        (
            "[mqtt]\npreset = \"tasmota\"\n[[mqtt.subscription]]\ntopics = [\"a\"]\n",
            "3: mqtt.subscription: unknown key; did you mean subscriptions?",
        ),
        (
            "[[mqtt.subscription]]\ntopics = [\"a\"]\n",
            "1: mqtt.subscription: unknown key; did you mean subscriptions?",
        ),
    ] {
        assert_eq!(problems(text, &[]), [expected], "{text}");
    }
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
    let kinds = "is 5, but must be one of opened, ended, reminder, label";
    for (text, key) in [
        ("notify.route.kinds = [\"ended\", 5]", "notify.route.kinds[1]"),
        ("notify.routes = [{ kinds = [5] }]", "notify.routes[0].kinds[0]"),
    ] {
        let found = problems(text, &[]);
        assert!(found.contains(&format!("1: {key}: {kinds}")), "{found:?}");
    }
    let found = problems("redis.url = \"redis://a:99999\"", &[]);
    assert!(found[0].contains("the port must be a number up to 65535"), "{found:?}");
}

#[test]
fn an_unknown_key_hides_no_problem_that_only_contains_its_name() {
    let text = "[mqtt]\nhost = \"x\"\nurl = \"foo\"\n[shards]\npartitions = 4\ncount = 100\n";
    assert_problems(
        text,
        &[],
        &[
            "2: mqtt.host: unknown key",
            "3: mqtt.url: ",
            "5: shards.partitions: unknown key",
            "6: shards.count: ",
        ],
    );
    assert_problems(
        "[mqtt]\nlevel = 1\ntopics = [\"a/#/b\"]\n",
        &[],
        &["2: mqtt.level: unknown key", "3: mqtt.topics: "],
    );
    let text = "[queue]\npartitions = 0\n[shards]\ncount = 3\n";
    assert_problems(text, &[], &["2: queue.partitions: must be at least 1", "4: shards.count: "]);
    let text = "[mqtt]\nmax_depth = 99\n[postgres]\nretention = \"30d\"\n";
    assert_problems(text, &[], &["2: mqtt.max_depth: ", "4: postgres.retention: "]);
}

#[test]
fn a_variable_of_one_key_wins_over_that_of_its_section_in_any_order() {
    let mut variables = [("THICKET__MQTT__USERNAME", "u"), ("THICKET__MQTT", "{url=\"mqtt://a\"}")];
    for _ in 0..2 {
        let config = load_with("", &variables).unwrap().config;
        assert_eq!(
            (config.mqtt[0].broker.username.as_str(), config.mqtt[0].broker.url.as_str()),
            ("u", "mqtt://a")
        );
        variables.reverse();
    }
}

#[test]
fn a_problem_names_no_variable_of_another_key() {
    let variables = [
        ("THICKET__DETECTOR__ALARMS_PER_WEEK", "1"),
        ("THICKET__DETECTOR__TREES", "1000"),
        ("THICKET__DETECTOR__POINTS", "1000000"),
    ];
    assert_problems(
        "",
        &variables,
        &[
            "THICKET__DETECTOR__POINTS: detector.points: points is 1000000, but with 1000 trees it must be at most 67108",
        ],
    );
    assert_problems(
        "",
        &[("THICKET__MQTT__WORDS", "5")],
        &["THICKET__MQTT__WORDS: mqtt.words: is 5, but must be a section"],
    );
}

#[test]
fn a_rule_of_ignore_names_members_that_are_lacking() {
    for (lacks, problem) in [
        ("{ lacks = [] }", "2: mqtt.ignore: a rule must name a topic, a payload, or members"),
        (r#"{ topic = "a", lacks = "" }"#, "2: mqtt.ignore: a rule must name a topic, a payload, or members"),
        ("{ lacks = 1 }", "2: mqtt.ignore[0].lacks: must be the path of a member in quotes, or a list"),
    ] {
        assert_problems(&format!("[mqtt]\nignore = [{lacks}]\n"), &[], &[problem]);
    }
    load_with("[mqtt]\nignore = [{ lacks = \"a\" }, { topic = \"b\", lacks = [\"c.d\"] }]\n", &[]).unwrap();
}
