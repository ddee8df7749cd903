//! The users of Grafana, PostgreSQL, Redis and Mosquitto, and what each may do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;
use thicket_compose::Postgres;

use crate::file::{composition, folder, interpolate, read, services, texts};

/// Runs what a service runs before its server, with these variables. Returns the variables that the
/// server would get, or what is said instead of starting it.
fn started(service: &Value, variables: &[(&str, &str)]) -> Result<String, String> {
    let server = "docker-entrypoint.sh";
    let script: Vec<String> = texts(&service["entrypoint"])
        .iter()
        .map(|part| part.replace("$$", "$").replace(server, ""))
        .collect();
    let started = Command::new(&script[0])
        .args(&script[1..])
        .arg("env")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    assert_eq!(started.status.success(), said.is_empty(), "{said}");
    if started.status.success() { Ok(String::from_utf8(started.stdout).unwrap()) } else { Err(said) }
}

const HERE: [&str; 5] = ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"];
const BEYOND: [&str; 4] = ["0.0.0.0", "192.168.1.7", "[::]", ""];

/// Returns an override file.
fn overrides(file: &str) -> Value {
    serde_saphyr::from_str(&interpolate(&read(file)).0).unwrap()
}

/// Returns whether Grafana would start, and whether it would show its dashboards without a password.
fn grafana_starts(listen: &str, anonymous: &str, password: &str) -> (bool, bool) {
    let variables = [
        ("LISTEN_ADDRESS", listen),
        ("GF_AUTH_ANONYMOUS_ENABLED", anonymous),
        ("GF_SECURITY_ADMIN_PASSWORD", password),
    ];
    let started = started(&composition()["services"]["grafana"], &variables);
    let shows = |variables: &String| variables.lines().any(|line| line == "GF_AUTH_ANONYMOUS_ENABLED=true");
    (started.is_ok(), started.as_ref().is_ok_and(shows))
}

#[test]
fn grafana_needs_a_password_beyond_this_machine() {
    for listen in HERE {
        assert_eq!(grafana_starts(listen, "true", "thicket"), (true, true), "{listen}");
    }
    for listen in BEYOND {
        assert_eq!(grafana_starts(listen, "true", "thicket"), (false, false), "{listen}");
        assert_eq!(grafana_starts(listen, "true", "own"), (true, false), "{listen}");
    }
    let environment = &overrides("secure.yaml")["services"]["grafana"]["environment"];
    assert_eq!(environment["GF_AUTH_ANONYMOUS_ENABLED"], "false");
    assert_eq!(grafana_starts("127.0.0.1", "false", "thicket"), (false, false));
    assert_eq!(grafana_starts("127.0.0.1", "false", "own"), (true, false));
    // The data source reads the password of the database from the environment of the process.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "secret").unwrap();
    let variables =
        [("LISTEN_ADDRESS", "127.0.0.1"), ("GRAFANA_DATABASE_PASSWORD_FILE", file.path().to_str().unwrap())];
    let variables = started(&composition()["services"]["grafana"], &variables).unwrap();
    assert!(variables.lines().any(|line| line == "GRAFANA_DATABASE_PASSWORD=secret"), "{variables}");
}

#[test]
fn nobody_publishes_or_reads_beyond_this_machine_with_passwords_that_everybody_knows() {
    let composition = composition();
    let mosquitto = &composition["services"]["mosquitto"];
    let postgres = &overrides("publish.yaml")["services"]["postgres"];
    // The engine has no users: opening a port for devices must not publish what it stores.
    let raw: Value = serde_saphyr::from_str(&read("publish.yaml")).unwrap();
    let address = raw["services"]["engine"]["ports"][0].as_str().unwrap();
    assert!(address.starts_with("${METRICS_ADDRESS:-127.0.0.1}:"), "{address}");
    let own =
        [("POSTGRES_PASSWORD", "a"), ("ENGINE_DATABASE_PASSWORD", "b"), ("GRAFANA_DATABASE_PASSWORD", "c")];
    let usual = ["thicket", "engine", "grafana"];
    for (name, default) in own.iter().map(|(name, _)| name).zip(usual) {
        let set = &composition["services"]["postgres"]["environment"][name];
        assert_eq!(set, default, "the guard compares with the default of {name}");
    }
    for (listens, is_here) in [(&HERE[..], true), (&BEYOND[..], false)] {
        for &listen in listens {
            let address = ("LISTEN_ADDRESS", listen);
            assert_eq!(started(mosquitto, &[address, ("MQTT_ANYONE", "no")]).is_ok(), is_here, "{listen}");
            started(mosquitto, &[address, ("MQTT_ANYONE", "yes")]).unwrap();
            started(postgres, &[&[address][..], &own].concat()).unwrap();
            // secure.yaml sets no password in the environment.
            started(postgres, &[address]).unwrap();
            for (index, password) in usual.iter().enumerate() {
                let mut variables = own;
                variables[index].1 = password;
                let started = started(postgres, &[&[address][..], &variables].concat());
                assert_eq!(started.is_ok(), is_here, "{listen}: {password}");
            }
        }
    }
}

#[test]
fn passwords_are_random_are_kept_and_are_never_variables() {
    let root = tempfile::tempdir().unwrap();
    let script = root.path().join("passwords");
    fs::copy(folder().join("passwords"), &script).unwrap();
    let secrets = root.path().join("secrets");
    let file = |name: &str| fs::read_to_string(secrets.join(name)).unwrap();
    // A process of another test may have the copy open for writing, so it is not executed itself.
    let make = || assert!(Command::new("bash").arg(&script).status().unwrap().success());
    make();
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
    let (owner, broker) = (file("postgres/owner"), file("mosquitto/engine"));
    assert_eq!((owner.len(), owner != file("postgres/engine")), (32, true));
    fs::write(secrets.join("redis/engine"), "changed").unwrap();
    make();
    assert_eq!((file("postgres/owner"), file("mosquitto/engine")), (owner.clone(), broker.clone()));
    assert_eq!(file("migrate/postgres-url"), format!("postgres://thicket:{owner}@postgres:5432/thicket"));
    assert_eq!(file("engine/redis-url"), "redis://engine:changed@redis:6379");
    assert_eq!(file("engine/mqtt-password"), broker);

    let secure = overrides("secure.yaml");
    let mut files = 0;
    for (name, service) in services(&secure) {
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            if key.ends_with("_FILE") {
                let of_service = service["volumes"][0]["source"].as_str().unwrap();
                let path = value.as_str().unwrap().replace("/run/secrets", of_service);
                assert!(root.path().join(&path).exists(), "{name}: {key}: {path}");
                files += 1;
            } else {
                let is_secret = key.contains("PASSWORD") || key.ends_with("__URL");
                assert!(value.is_null() || !is_secret, "{name}: {key}");
            }
        }
    }
    assert_eq!(files, 9);
    // What has a password in the composition has none with secure.yaml.
    for (name, service) in services(&composition()) {
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let is_secret = key.contains("PASSWORD") || value.to_string().contains('@');
            let other = secure["services"][name]["environment"].get(key);
            assert!(!is_secret || other.is_some_and(Value::is_null), "{name}: {key}");
        }
    }
}

#[test]
fn the_users_of_the_database_get_their_rights_from_roles() {
    let directory = tempfile::tempdir().unwrap();
    let server = Postgres::start(directory.path()).unwrap();
    let owner_password = directory.path().join("owner-password");
    fs::write(&owner_password, thicket_compose::password().unwrap()).unwrap();
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
            // The owner keeps its password, here from a file.
            .env("POSTGRES_PASSWORD_FILE", &owner_password)
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
