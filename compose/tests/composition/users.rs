//! The users of Grafana, PostgreSQL, Redis and Mosquitto, and what each may do.

use std::fs;
use std::process::Command;

use serde_json::Value;
use thicket_compose::Postgres;

use crate::file::{composition, folder, interpolate, read, texts};

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
