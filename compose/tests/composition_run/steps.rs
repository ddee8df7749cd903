//! What is done to the composition, and what must then hold.

use std::{
    env,
    net::TcpListener,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    docker::{self, Container, docker, shown},
    panels,
    project::{Project, network, pause},
    step,
    witness::Witness,
};

/// Readings in the history of the demo: 20 sensors, half an hour.
const HISTORY: u64 = 36_000;

/// Returns the image to update from: the one that `THICKET_PREVIOUS_IMAGE` names, such as that of
/// the last release. Without it, the image under test under another name and id, so that at least
/// all containers are replaced.
pub(crate) fn previous_image(image: &str) -> String {
    env::var("THICKET_PREVIOUS_IMAGE").unwrap_or_else(|_| {
        let previous = format!("{image}-previous");
        let container = docker(["create", image]);
        docker(["commit", "--change", "LABEL thicket.previous=true", container.trim(), &previous]);
        docker(["rm", container.trim()]);
        previous
    })
}

pub(crate) fn a_taken_port_is_named(project: &Project) {
    let taken = TcpListener::bind(("127.0.0.1", project.mqtt_port)).unwrap();
    let output = project.try_compose(&["up", "--detach", "--no-build", "--quiet-pull", "mosquitto"]);
    let said = shown(&output);
    assert!(!output.status.success() && said.contains(&project.mqtt_port.to_string()), "{said}");
    drop(taken);
}

/// Runs the lines of the README as they are written. On a busy machine, a second is ten.
pub(crate) fn a_reading_becomes_a_row(project: &Project) {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut lines = blocks.filter(|lines| lines.starts_with("export COMPOSE_FILE"));
    let lines = format!("sleep() {{ command sleep \"${{1}}0\"; }}\n{}", lines.next().unwrap());
    let output = project.shell(&lines);
    let said = shown(&output);
    assert!(output.status.success() && said.contains("kitchen | ") && said.contains("21.5"), "{said}");
}

/// Checks the processes, and not only the settings: user, capabilities, root file system.
pub(crate) fn rights_are_few(project: &Project) {
    let containers = project.lasting();
    let files: Vec<String> =
        containers.iter().map(|container| format!("/proc/{}/status", container.pid)).collect();
    // A file begins with the name of the program.
    let statuses = docker::host(&format!("cat {}", files.join(" ")));
    let statuses: Vec<&str> = statuses.split("Name:").skip(1).collect();
    assert_eq!(statuses.len(), containers.len());
    for (container, status) in containers.iter().zip(statuses) {
        let format = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}";
        let limits = docker(["inspect", "--format", format, &container.id]);
        let limits: Vec<&str> = limits.split_whitespace().collect();
        assert_eq!(limits[0], "true", "{}", container.service);
        assert!(limits[1..].iter().all(|limit| limit.parse::<u64>().unwrap() > 0), "{}", container.service);
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_ne!(line("Uid:"), "0", "{}", container.service);
        assert_eq!(line("CapEff:"), "0000000000000000", "{}", container.service);
        assert_eq!(line("CapBnd:"), "0000000000000000", "{}", container.service);
        assert_eq!(line("NoNewPrivs:"), "1", "{}", container.service);
    }
    assert!(project.keeps_its_key(), "a key became readable for others");
    // Grafana must not reach the log, and Prometheus must not reach the database.
    for (service, networks) in [
        ("redis", vec!["log"]),
        ("postgres", vec!["database"]),
        ("mosquitto", vec!["broker"]),
        ("prometheus", vec!["metrics"]),
        ("grafana", vec!["database", "metrics"]),
    ] {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        let found = docker(["inspect", "--format", format, &project.one(service).id]);
        let expected: Vec<String> = networks.iter().map(|name| project.resource(name)).collect();
        assert_eq!(found.split_whitespace().collect::<Vec<_>>(), expected, "{service}");
    }
}

pub(crate) fn the_history_is_stored(project: &Project) {
    project.until("the history is stored", || project.rows() > HISTORY);
    project.wait_until_flowing();
}

pub(crate) fn panels_answer(project: &Project) -> usize {
    let up = |job: &str| {
        let answer = panels::prometheus(project, &format!("min(up{{job=\"{job}\"}})"));
        answer["data"]["result"][0]["value"][1] == "1"
    };
    for job in ["thicket", "prometheus", "alertmanager"] {
        project.until(&format!("Prometheus scrapes {job}"), || up(job));
    }
    // ThicketWatchdog always fires.
    let alerts = format!("http://127.0.0.1:{}/api/v2/alerts", project.alertmanager_port);
    project.until("the Alertmanager shows the alerts", || {
        let alerts = panels::get(&alerts, &[]);
        let named = |alert: &Value| alert["labels"]["alertname"] == "ThicketWatchdog";
        alerts.as_array().is_some_and(|alerts| alerts.iter().any(named))
    });
    panels::ask_all(project)
}

pub(crate) fn down_and_up(project: &Project) {
    project.compose(&["down", "--remove-orphans"]);
    project.up();
    project.wait_until_well();
    project.wait_until_flowing();
    // A second history would repeat sensors of the demo at times that have rows.
    let demo = "SELECT count(*) FROM ledger WHERE duplicates > 1000 OR dead_letters > 0";
    assert_eq!(project.sql(demo), "0", "{}", project.sql("SELECT * FROM dead_letter_summary"));
}

/// Kills one container after the other. Each must come back by itself.
pub(crate) fn crash_each(project: &Project, witness: &Witness) {
    let mut services: Vec<String> =
        project.lasting().into_iter().map(|container| container.service).collect();
    services.sort();
    for service in services {
        step(&format!("kill -9 of {service}"), || {
            let crash = || {
                let container = project.one(&service);
                docker::crash(std::slice::from_ref(&container));
                project.until("the container runs again", || {
                    let now = project.one(&service);
                    now.is_well() && now.pid != container.pid
                });
            };
            if service == "mosquitto" { witness.silent_during(crash) } else { crash() }
        });
    }
    step("readings flow again", || {
        project.wait_until_well();
        project.wait_until_flowing();
    });
}

pub(crate) fn crash_all(project: &Project, witness: &Witness) {
    witness.silent_during(|| {
        let containers = project.lasting();
        docker::crash(&containers);
        let old: Vec<u64> = containers.iter().map(|container| container.pid).collect();
        project.until("all containers run again", || {
            project.lasting().iter().all(|container| container.is_well() && !old.contains(&container.pid))
        });
    });
    project.wait_until_flowing();
}

/// Stops all containers and starts them in a random order, as an engine does after a restart of the
/// host: it does not know which service needs which.
pub(crate) fn restart_of_the_host(project: &Project) {
    let mut containers = project.lasting();
    docker(["stop".to_owned()].into_iter().chain(ids(&containers)));
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = seed | 1;
    for last in (1..containers.len()).rev() {
        // xorshift32
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        containers.swap(last, random as usize % (last + 1));
    }
    let order: Vec<&str> = containers.iter().map(|container| &*container.service).collect();
    eprintln!("compose-test:           started in the order {}", order.join(", "));
    docker(["start".to_owned()].into_iter().chain(ids(&containers)));
    project.wait_until_well();
    project.wait_until_flowing();
}

fn ids(containers: &[Container]) -> Vec<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

/// Returns how long a network is cut.
pub(crate) fn cut() -> Duration {
    let seconds = env::var("THICKET_TEST_CUT_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// Takes the engine off a network for a while. Packets vanish, and connections stay open.
pub(crate) fn black_hole(project: &Project, name: &str) {
    let restarts = project.one("engine").restarts;
    network(project, "disconnect", name, "engine");
    pause(cut());
    network(project, "connect", name, "engine");
    project.wait_until_well();
    project.wait_until_flowing();
    let restarted = project.one("engine").restarts - restarts;
    assert_eq!(restarted, 0, "the engine waits for a store, and does not give up");
}

pub(crate) fn second_engine(project: &Project) {
    project.compose(&["up", "--detach", "--no-build", "--quiet-pull", "--scale", "engine=2"]);
    project.wait_until_well();
    let numbers = |name: &str| {
        let engines = project.of("engine").into_iter().filter(Container::is_well);
        engines.map(|engine| (metric(&engine, name), engine)).collect::<Vec<_>>()
    };
    project.until("two engines own half of the partitions each", || {
        let owned = numbers("thicket_partitions_owned");
        let all = numbers("thicket_partitions").first().map_or(0, |(all, _)| *all);
        owned.len() == 2 && all > 0 && owned.iter().all(|(owned, _)| *owned == all / 2)
    });
    let subscribed = numbers("thicket_subscriptions_held").into_iter().find(|(held, _)| *held == 1);
    let (_, reader) = subscribed.expect("an engine that reads the broker");
    docker(["stop", &reader.id]);
    project.until("the other engine has taken over", || {
        let held = numbers("thicket_subscriptions_held");
        let owned = numbers("thicket_partitions_owned");
        let all = numbers("thicket_partitions");
        held.len() == 1 && held[0].0 == 1 && held[0].1.id != reader.id && owned[0].0 == all[0].0
    });
    project.wait_until_flowing();
    project.compose(&["up", "--detach", "--no-build", "--quiet-pull", "--scale", "engine=1"]);
    project.wait_until_well();
    project.wait_until_flowing();
}

/// Returns a metric of an engine without labels; 0 if the engine does not answer.
fn metric(engine: &Container, name: &str) -> u64 {
    let answer = http_get(engine, "/metrics");
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Returns the body of an answer of the engine's HTTP server.
fn http_get(engine: &Container, path: &str) -> String {
    let script =
        format!("exec 3<>/dev/tcp/127.0.0.1/9464; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3");
    let answer =
        std::process::Command::new("docker").args(["exec", &engine.id, "bash", "-c", &script]).output();
    let answer = shown(&answer.unwrap());
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

pub(crate) fn nothing_is_missing(project: &Project) {
    project.compose(&["stop", "replay"]);
    let reconcile = ["exec", "-T", "engine", "thicket", "reconcile"];
    let mut said = String::new();
    project.until("the ledger balances", || {
        let output = project.try_compose(&reconcile);
        said = shown(&output);
        output.status.success()
    });
    let letters = project.sql("SELECT reason, dead_letters FROM dead_letter_summary");
    assert!(letters.is_empty(), "{letters}\n{said}");
}

/// Starts the same volumes with secure.yaml, as compose/README.md says: who may publish, and where
/// to.
pub(crate) fn with_users(project: &mut Project) {
    let root = project.root().to_owned();
    assert!(Command::new(root.join("compose/passwords")).status().unwrap().success());
    std::fs::write(root.join("compose/secrets/mosquitto/devices"), "kitchen:three3\nhall:four4\n").unwrap();
    project.add_file("secure.yaml");
    project.compose(&["up", "--detach", "--no-build", "--quiet-pull", "postgres"]);
    project.until("PostgreSQL is healthy", || project.one("postgres").is_well());
    project.compose(&["exec", "-T", "postgres", "bash", "/docker-entrypoint-initdb.d/10-users.sh"]);
    project.up();
    project.wait_until_well();
    project.wait_until_flowing();
    let check = project.try_compose(&["exec", "-T", "engine", "thicket", "check"]);
    assert!(check.status.success(), "{}", shown(&check));
    let kitchen = ["-u", "kitchen", "-P", "three3"];
    assert!(project.publish("sensors/kitchen/oven", r#"{"temperature":180}"#, &kitchen));
    assert!(!project.publish("sensors/kitchen/oven", r#"{"temperature":181}"#, &[]), "without a password");
    assert!(!project.publish("sensors/kitchen/oven", "{}", &["-u", "kitchen", "-P", "wrong"]));
    // The broker drops what a device may not publish.
    project.publish("sensors/hall/door", r#"{"open":1}"#, &kitchen);
    let sensors = "SELECT sensor FROM sensor_status WHERE sensor ~ '^(kitchen|hall)/' ORDER BY 1";
    project.until("the reading of the device is a row", || project.sql(sensors) == "kitchen/oven");
    let secret = std::fs::read_to_string(root.join("compose/secrets/mosquitto/engine")).unwrap();
    for container in project.containers() {
        let inspected = docker(["inspect", &container.id]);
        assert!(!inspected.contains(&secret), "{}", container.service);
    }
    let redis = ["exec", "-T", "redis", "redis-cli", "KEYS", "*"];
    let said = shown(&project.try_compose(&redis));
    assert!(said.contains("NOAUTH"), "{said}");
}

/// Gives the engine's HTTP server a certificate in thicket.toml, as docs/tls.md shows: the health check
/// must find it.
pub(crate) fn with_tls_in_the_configuration(project: &Project) {
    let settings = project.root().join("compose/thicket");
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=engine -keyout engine.key -out engine.pem \
                && chmod 644 engine.key engine.pem \
                && printf '\\n[http.tls]\\ncert = \"/etc/thicket/engine.pem\"\\nkey = \"/etc/thicket/engine.key\"\\n' >>thicket.toml";
    let made = Command::new("sh").args(["-euc", make]).current_dir(settings).output().unwrap();
    assert!(made.status.success(), "{}", shown(&made));
    project.compose(&["restart", "engine"]);
    project.wait_until_well();
    let ready = project.try_compose(&["exec", "-T", "engine", "thicket", "ready"]);
    assert!(ready.status.success(), "{}", shown(&ready));
    assert!(http_get(&project.one("engine"), "/readyz").is_empty(), "the engine answers without TLS");
}
