//! Checks `compose.yaml` and the files that it refers to, without a Docker engine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;
use thicket_compose::Postgres;

/// Services that exit when they are done. The others run until they are stopped.
const ONE_SHOT: [&str; 4] = ["permissions", "migrate", "sounds", "heavy-replay"];
/// The settings of the engine that the composition sets.
const ENGINE_SETTINGS: [&str; 6] = [
    "THICKET_CONFIG",
    "THICKET__HTTP__LISTEN",
    "THICKET__LOG__LEVEL",
    "THICKET__MQTT__URL",
    "THICKET__POSTGRES__URL",
    "THICKET__REDIS__URL",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

/// Returns the composition after merges and with the defaults of its variables, as Compose sees it
/// without an environment.
fn composition() -> Value {
    let text = read("compose.yaml");
    let (text, _) = interpolate(&text);
    serde_saphyr::from_str(&text).unwrap()
}

fn services(composition: &Value) -> Vec<(&str, &Value)> {
    let services = composition["services"].as_object().unwrap();
    services.iter().map(|(name, service)| (name.as_str(), service)).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|item| item.as_str().unwrap()).collect()
}

/// Replaces `${NAME:-default}`. Returns the text and the defaults of each name. Panics at a
/// variable without a default, unless it is required (`${NAME:?message}`) here or before.
fn interpolate(text: &str) -> (String, BTreeMap<String, BTreeSet<String>>) {
    let mut result = String::new();
    let mut defaults: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut required = BTreeSet::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, after) = after.split_once('}').unwrap();
        result.push_str(before);
        if let Some((name, default)) = variable.split_once(":-") {
            defaults.entry(name.to_owned()).or_default().insert(default.to_owned());
            result.push_str(default);
        } else {
            let (name, message) = variable.split_once(":?").unwrap_or((variable, ""));
            let first = required.insert(name.to_owned());
            assert!(first != message.is_empty(), "{name} has no default");
            result.push_str("given");
        }
        rest = after;
    }
    result.push_str(rest);
    (result, defaults)
}

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
fn the_overrides_change_services_that_are_there() {
    let composition = composition();
    let names: BTreeSet<&str> = services(&composition).into_iter().map(|(name, _)| name).collect();
    for file in ["publish.yaml", "secure.yaml"] {
        let overrides: Value = serde_saphyr::from_str(&interpolate(&read(file)).0).unwrap();
        for (name, service) in services(&overrides) {
            assert!(names.contains(name), "{file}: {name}");
            let known = shipped_settings();
            for key in service["environment"].as_object().into_iter().flat_map(|keys| keys.keys()) {
                assert!(!key.starts_with("THICKET__") || known.contains(key), "{file}: {name}: {key}");
            }
        }
    }
}

/// Runs what the composition runs before Grafana. Returns whether Grafana would start, and whether
/// it would show its dashboards without a password.
fn grafana_starts(listen: &str, anonymous: &str, password: &str) -> (bool, bool) {
    let composition = composition();
    let entrypoint = &composition["services"]["grafana"]["entrypoint"];
    let script: Vec<String> = texts(entrypoint).iter().map(|part| part.replace("$$", "$")).collect();
    let started = Command::new(&script[0])
        .args(&script[1..])
        .arg("env")
        .env("LISTEN_ADDRESS", listen)
        .env("GF_AUTH_ANONYMOUS_ENABLED", anonymous)
        .env("GF_SECURITY_ADMIN_PASSWORD", password)
        .output()
        .unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.success(), said.is_empty(), "{said}");
    let variables = String::from_utf8(started.stdout).unwrap();
    (started.status.success(), variables.lines().any(|line| line == "GF_AUTH_ANONYMOUS_ENABLED=true"))
}

#[test]
fn grafana_needs_a_password_beyond_this_machine() {
    for listen in ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"] {
        assert_eq!(grafana_starts(listen, "true", "thicket"), (true, true), "{listen}");
    }
    for listen in ["0.0.0.0", "192.168.1.7", "[::]", ""] {
        assert_eq!(grafana_starts(listen, "true", "thicket"), (false, false), "{listen}");
        assert_eq!(grafana_starts(listen, "true", "own"), (true, false), "{listen}");
    }
    let secure: Value = serde_saphyr::from_str(&interpolate(&read("secure.yaml")).0).unwrap();
    let environment = &secure["services"]["grafana"]["environment"];
    assert_eq!(environment["GF_AUTH_ANONYMOUS_ENABLED"], "false");
    assert!(read("secure.yaml").contains("GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_ADMIN_PASSWORD:?"));
    assert_eq!(grafana_starts("127.0.0.1", "false", "thicket"), (false, false));
    assert_eq!(grafana_starts("127.0.0.1", "false", "own"), (true, false));
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

#[test]
fn the_image_is_built_from_every_crate() {
    let ignore = read("Dockerfile.dockerignore");
    let workspace = read("../Cargo.toml");
    let (_, members) = workspace.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members = members.split(',').map(|member| member.trim().trim_matches('"'));
    for member in members.filter(|member| !member.is_empty()) {
        // The build context contains a nested crate with its outer folder.
        let folder = member.split('/').next().unwrap();
        assert!(
            ignore.lines().any(|line| line == format!("!{folder}")),
            "{member} is not in the build context"
        );
    }
}

/// Cargo compiles what is newer than its last result. The script must make newer what has other
/// contents, whatever times the files of a checkout have.
#[test]
fn the_image_is_compiled_from_the_sources_that_are_there() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for folder in ["bin", "src/target/debug"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    // Instead of compiling, writes down what Cargo would find new, and fails if it is told to.
    let cargo = "#!/bin/sh\nfind . -path ./target -prune -o -type f -newermt 2001-01-01 -printf '%P\\n' | sort >../new\n\
                 touch target/debug/thicket target/debug/thicket-loadtest\nexit \"${FAILS:-0}\"\n";
    fs::write(root.join("bin/cargo"), cargo).unwrap();
    fs::set_permissions(root.join("bin/cargo"), PermissionsExt::from_mode(0o755)).unwrap();
    let source = |name: &str, text: &str| fs::write(root.join("src").join(name), text).unwrap();
    let new = |fails: &str| {
        let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(folder().join("build"));
        command.arg("dev").arg(root.join("out")).current_dir(root.join("src"));
        let status = command.env("PATH", path).env("FAILS", fails).status().unwrap();
        assert_eq!(status.success(), fails == "0");
        fs::read_to_string(root.join("new")).unwrap().replace('\n', " ")
    };
    source("a.rs", "1");
    source("b.rs", "1");
    assert_eq!(new("0"), "a.rs b.rs ", "the first build");
    assert_eq!(new("0"), "", "nothing has changed");
    source("b.rs", "2");
    assert_eq!(new("0"), "b.rs ");
    source("b.rs", "1");
    assert_eq!(new("1"), "b.rs ", "earlier contents, and a build that fails");
    source("b.rs", "2");
    assert_eq!(new("0"), "a.rs b.rs ", "the failed build may have compiled a part");
    assert!(root.join("out/thicket").exists());
}

#[test]
fn the_health_check_tells_ready_from_not_ready_and_gone() {
    let healthy = |port: u16| {
        let mut command = Command::new(folder().join("healthy"));
        command.arg(port.to_string()).stderr(Stdio::null()).status().unwrap().success()
    };
    for (status, expected) in [("200 OK", true), ("503 Service Unavailable", false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 24];
            connection.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"GET /readyz HTTP/1.0\r\n\r\n");
            write!(connection, "HTTP/1.0 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
        });
        assert_eq!(healthy(port), expected, "{status}");
        server.join().unwrap();
        assert!(!healthy(port), "nobody listens");
    }
}

#[test]
fn the_users_of_the_database_get_their_rights_from_roles() {
    let directory = tempfile::tempdir().unwrap();
    let server = Postgres::start(directory.path()).unwrap();
    // The second run is that of an administrator, for a database that exists already.
    for engine_password in ["first", "a \"secret\""] {
        let status = Command::new(folder().join("postgres/users.sh"))
            .envs([("PGHOST", "127.0.0.1"), ("POSTGRES_USER", "thicket"), ("POSTGRES_DB", "thicket")])
            .env("PGPORT", server.port().to_string())
            .env("PGPASSWORD", thicket_compose::password().unwrap())
            .envs([
                ("GRAFANA_DATABASE_PASSWORD", "it's secret"),
                ("ENGINE_DATABASE_PASSWORD", engine_password),
            ])
            .status()
            .unwrap();
        assert!(status.success());
    }
    let connect = |user: &str, password: &str| {
        let mut config: postgres::Config = server.url().parse().unwrap();
        config.user(user).password(password).connect(postgres::NoTls).unwrap()
    };
    let mut owner = connect("thicket", &thicket_compose::password().unwrap());
    owner
        .batch_execute("CREATE TABLE readings (n int); CREATE TABLE t (n int); INSERT INTO t VALUES (7); CREATE VIEW v AS TABLE t")
        .unwrap();
    owner.batch_execute(&fs::read_to_string(folder().join("../schema/roles.sql")).unwrap()).unwrap();
    for user in ["grafana", "engine"] {
        let query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
        let password: Option<String> = owner.query_one(query, &[&user]).unwrap().get(0);
        assert!(password.unwrap().starts_with("SCRAM-SHA-256$"));
    }

    let mut reader = connect("grafana", "it's secret");
    assert_eq!(reader.query_one("SELECT n FROM v", &[]).unwrap().get::<_, i32>(0), 7);
    for forbidden in [
        "INSERT INTO t VALUES (8)",
        "SELECT n FROM t",
        "DROP TABLE t",
        "CREATE TABLE u (n int)",
        "CREATE TEMP TABLE u (n int)",
        "SELECT pg_advisory_lock(1)",
        "SELECT lo_creat(-1)",
        "SET temp_file_limit = -1",
    ] {
        reader.batch_execute(forbidden).unwrap_err();
        // The same holds if the user overrides its own default.
        reader.batch_execute(&format!("SET default_transaction_read_only = off; {forbidden}")).unwrap_err();
    }
    let mut engine = connect("engine", "a \"secret\"");
    engine.batch_execute("INSERT INTO t VALUES (8)").unwrap();
    engine.batch_execute("DROP TABLE t").unwrap_err();
    assert_eq!(owner.query_one("SELECT count(*) FROM t", &[]).unwrap().get::<_, i64>(0), 2);
}

/// The rights for servers of one's own are those that the composition runs with.
#[test]
fn the_documented_rights_are_those_of_the_composition() {
    let documented = read("../docs/operating.md");
    let redis = read("redis/with-users");
    let user = redis.lines().find(|line| line.starts_with("user engine")).unwrap();
    assert!(documented.contains(&user.replace("#$hash", "#…")), "{user}");
    let broker = read("mosquitto/with-users");
    let (_, rights) = broker.split_once("<<'ACL'\n").unwrap();
    let (rights, _) = rights.split_once("\nACL").unwrap();
    let of_replay = "user replay\ntopic write sensors/#\n\n";
    assert!(documented.contains(&rights.replace(of_replay, "")), "{rights}");
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for script in ["install-servers", "healthy", "build", "postgres/users.sh", "tests/docker/compose-test"] {
        let mode = fs::metadata(folder().join(Path::new(script))).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
    let help = Command::new(folder().join("install-servers")).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("redis-server"));
    let mistake = Command::new(folder().join("install-servers")).arg("mysql").output().unwrap();
    assert_eq!(mistake.status.code(), Some(1));
}
