//! Tests with the real servers: each starts, answers, keeps its data through a crash, and leaves
//! nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clients;

use std::{collections::BTreeSet, fs, net::TcpStream, os::unix::fs::MetadataExt, path::Path, time::Instant};

use clients::{Mqtt, prometheus_query, redis};
use procfs::process::{Process, Stat};
use tempfile::TempDir;
use thicket_compose::{
    Lasting, Mosquitto, Patience, Ports, Postgres, Prometheus, Redis, Server, Servers, server::Service,
};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn sql(server: &Postgres) -> postgres::Client {
    postgres::Client::connect(&server.url(), postgres::NoTls).unwrap()
}

fn stat(pid: u32) -> procfs::ProcResult<Stat> {
    Process::new(pid.cast_signed())?.stat()
}

/// Returns whether a process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    stat(pid).is_ok_and(|stat| stat.state != 'Z')
}

fn assert_gone<S: Service>(server: &mut Server<S>) {
    assert!(!server.is_running());
    assert!(!is_alive(server.pid()));
    TcpStream::connect(("127.0.0.1", server.port())).unwrap_err();
}

#[test]
fn redis_keeps_what_it_acknowledged_through_a_crash() {
    let directory = directory();
    let mut server = Redis::start(directory.path()).unwrap();
    let password = thicket_compose::password().unwrap();
    assert_eq!(server.url(), format!("redis://:{password}@127.0.0.1:{}", server.port()));
    assert_eq!(redis(&server, "SET row 1"), "+OK");
    assert_eq!(redis(&server, "CONFIG GET maxmemory-policy"), "*2 $16 maxmemory-policy $10 noeviction");
    assert_eq!(redis(&server, "CONFIG GET appendfsync"), "*2 $11 appendfsync $6 always");

    let (first_process, port) = (server.pid(), server.port());
    server.kill().unwrap();
    assert_gone(&mut server);
    server.restart_on_same_port().unwrap();
    assert_ne!(server.pid(), first_process);
    assert_eq!(server.port(), port);
    assert_eq!(redis(&server, "GET row"), "$1 1");

    server.stop().unwrap();
    assert_gone(&mut server);
    // Stopping a stopped server does nothing.
    server.stop().unwrap();
}

#[test]
fn mosquitto_keeps_retained_and_queued_messages_through_a_crash() {
    let directory = directory();
    let mut server = Mosquitto::start(directory.path()).unwrap();
    let mut absent = Mqtt::connect(server.port(), "absent", false);
    absent.subscribe("sensors/#");
    drop(absent);
    let mut device = Mqtt::connect(server.port(), "device", true);
    device.publish("state", b"retained", true);
    for n in 0..3_000 {
        device.publish("sensors/a", format!("{n}").as_bytes(), false);
    }
    // The broker saves every second. A crash may lose the messages of the last second.
    clients::wait_for_save(directory.path());
    server.kill().unwrap();
    assert_gone(&mut server);

    server.restart_on_same_port().unwrap();
    let mut reader = Mqtt::connect(server.port(), "reader", true);
    reader.subscribe("state");
    assert_eq!(reader.receive(), ("state".to_owned(), b"retained".to_vec()));
    let mut absent = Mqtt::connect(server.port(), "absent", false);
    for n in 0..3_000 {
        assert_eq!(absent.receive(), ("sensors/a".to_owned(), format!("{n}").into_bytes()));
    }
}

#[test]
fn mosquitto_carries_a_message_of_ten_megabytes() {
    let directory = directory();
    let server = Mosquitto::start(directory.path()).unwrap();
    let mut reader = Mqtt::connect(server.port(), "reader", true);
    reader.subscribe("sensors/#");
    let mut device = Mqtt::connect(server.port(), "device", true);
    let payload = vec![b'7'; 10_000_000];
    device.publish("sensors/a", &payload, false);
    assert_eq!(reader.receive().1, payload);
}

#[test]
fn mosquitto_acknowledges_no_message_that_it_drops_for_its_size() {
    let directory = directory();
    let server = Mosquitto::start(directory.path()).unwrap();
    let mut reader = Mqtt::connect(server.port(), "reader", true);
    reader.subscribe("sensors/#");
    let device = Mqtt::connect(server.port(), "device", true);
    assert!(device.loses_connection_by_publishing("sensors/a", &vec![b'7'; 16 << 20]));
    let mut device = Mqtt::connect(server.port(), "device", true);
    device.publish("sensors/a", b"1", false);
    assert_eq!(reader.receive().1, b"1");
}

#[test]
fn postgres_keeps_what_it_committed_through_a_crash() {
    let directory = directory();
    let mut server = Postgres::start(directory.path()).unwrap();
    let mut client = sql(&server);
    client.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)").unwrap();
    for (setting, value) in
        [("synchronous_commit", "on"), ("fsync", "on"), ("TimeZone", "UTC"), ("server_encoding", "UTF8")]
    {
        let row = client.query_one("SELECT current_setting($1)", &[&setting]).unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{setting}");
    }
    server.kill().unwrap();
    assert_gone(&mut server);
    server.restart_on_same_port().unwrap();
    assert_eq!(sql(&server).query_one("SELECT n FROM t", &[]).unwrap().get::<_, i32>(0), 7);

    // An open session does not block a graceful stop.
    let _session = sql(&server);
    server.stop().unwrap();
    assert_gone(&mut server);
    server.restart_on_same_port().unwrap();
    assert_eq!(sql(&server).query_one("SELECT n FROM t", &[]).unwrap().get::<_, i32>(0), 7);
}

#[test]
fn postgres_has_locks_for_many_queries_over_a_year_of_days() {
    const QUERIES: usize = 48;
    let directory = directory();
    let server = Postgres::start(directory.path()).unwrap();
    let mut client = sql(&server);
    client.batch_execute("CREATE TABLE days (day int PRIMARY KEY) PARTITION BY LIST (day)").unwrap();
    for first in (0..400).step_by(50) {
        let tables = (first..first + 50)
            .map(|day| format!("CREATE TABLE day_{day} PARTITION OF days FOR VALUES IN ({day});"));
        client.batch_execute(&tables.collect::<String>()).unwrap();
    }
    let mut clients: Vec<_> = (0..QUERIES).map(|_| sql(&server)).collect();
    // Each holds the locks of all tables and indexes until its transaction ends.
    let mut queries: Vec<_> = clients.iter_mut().map(|client| client.transaction().unwrap()).collect();
    for query in &mut queries {
        query.query("SELECT day FROM days", &[]).unwrap();
    }
    let locks = client.query_one("SELECT count(*) FROM pg_locks WHERE locktype = 'relation'", &[]).unwrap();
    assert!(locks.get::<_, i64>(0) > 800 * QUERIES as i64);
}

#[test]
fn postgres_opens_its_way_into_a_private_temporary_directory() {
    let directory = directory();
    let nested = directory.path().join("a/b");
    fs::create_dir(directory.path().join("a")).unwrap();
    let server = Postgres::start(&nested).unwrap();
    sql(&server).simple_query("SELECT 1").unwrap();
}

#[test]
fn prometheus_scrapes_a_target_and_evaluates_rules() {
    let directory = directory();
    let rules = directory.path().join("rules.yml");
    fs::write(&rules, "groups: [{name: g, rules: [{record: seven, expr: vector(7)}]}]").unwrap();
    // The second instance scrapes the first one.
    let mut first = Prometheus::start(&directory.path().join("first"), &[], &[]).unwrap();
    let service = thicket_compose::PrometheusService {
        targets: vec![format!("127.0.0.1:{}", first.port())],
        rule_files: vec![rules],
        interval: std::time::Duration::from_millis(200),
    };
    let second = Prometheus::start_service(service, &directory.path().join("second")).unwrap();
    clients::until("the target is up", || prometheus_query(&second, "up").contains(",\"1\"]"));
    clients::until("the rule is evaluated", || prometheus_query(&second, "seven").contains(",\"7\"]"));
    first.stop().unwrap();
    assert_gone(&mut first);
}

#[test]
fn two_of_each_run_side_by_side_and_nothing_is_left() {
    let directory = directory();
    let started = Instant::now();
    let start = |name: &str| Servers::start(&directory.path().join(name)).unwrap();
    let mut both = std::thread::scope(|scope| {
        let second = scope.spawn(|| start("the second's"));
        [start("first"), second.join().unwrap()]
    });
    println!("two of each answered after {:?}", started.elapsed());
    let mut ports = BTreeSet::new();
    let mut processes = Vec::new();
    for servers in &mut both {
        assert_eq!(redis(&servers.redis, "PING"), "+PONG");
        sql(&servers.postgres).simple_query("SELECT 1").unwrap();
        drop(Mqtt::connect(servers.mosquitto.port(), "one", true));
        ports.extend([servers.redis.port(), servers.postgres.port(), servers.mosquitto.port()]);
        processes.extend([servers.redis.pid(), servers.postgres.pid(), servers.mosquitto.pid()]);
        processes.extend(children(servers.postgres.pid()));
    }
    assert_eq!(ports.len(), 6);
    let [mut first, second] = both;
    first.stop().unwrap();
    drop(second);
    clients::until("every process is gone", || !processes.iter().any(|pid| is_alive(*pid)));
}

/// Returns everything below a directory that another user could read.
fn open_to_others(directory: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let metadata = entry.metadata().unwrap();
        let mode = metadata.mode() & 0o777;
        // A directory without search permission hides everything below it. One that others may
        // search, but not list, hides nothing whose name they know.
        if metadata.is_dir() && mode & 0o011 != 0 {
            open.extend(open_to_others(&entry.path()));
        }
        if mode & 0o066 != 0 {
            open.push(format!("{} {mode:o}", entry.path().display()));
        }
    }
    open
}

#[test]
fn other_users_can_neither_connect_nor_read() {
    let directory = directory();
    let servers = Servers::start(&directory.path().join("demo")).unwrap();
    let Servers { mosquitto, redis: log, postgres: rows } = &servers;
    assert_eq!(redis(log, "SET row 1"), "+OK");
    let mut client = sql(rows);
    client.batch_execute("CREATE TABLE t (n int)").unwrap();
    Mqtt::connect(mosquitto.port(), "device", true).publish("state", b"retained", true);
    clients::wait_for_save(mosquitto.directory());

    let mut anonymous = TcpStream::connect(("127.0.0.1", log.port())).unwrap();
    std::io::Write::write_all(&mut anonymous, b"GET row\r\nQUIT\r\n").unwrap();
    let answer = std::io::read_to_string(&mut anonymous).unwrap();
    assert!(answer.starts_with("-NOAUTH"), "{answer}");
    for password in [None, Some("guessed")] {
        let (_, code) = Mqtt::connect_with(mosquitto.port(), "other", true, password);
        assert!(code == 4 || code == 5, "{code}");
    }
    let password = thicket_compose::password().unwrap();
    for url in [rows.url().replace(&password, "guessed"), rows.url().replace(&format!(":{password}"), "")] {
        assert!(postgres::Client::connect(&url, postgres::NoTls).is_err(), "{url}");
    }

    assert_eq!(open_to_others(directory.path()), [""; 0]);
    let is_root = |pid: u32| Process::new(pid.cast_signed()).unwrap().uid().unwrap() == 0;
    let pids = [log.pid(), mosquitto.pid(), rows.pid()];
    assert!(!pids.into_iter().any(is_root), "a server runs as root");
}

#[test]
fn lasting_servers_run_without_privileges_also_with_data_of_root() {
    let directory = directory();
    let place = directory.path().join("up");
    let is_root = |pid: u32| Process::new(pid.cast_signed()).unwrap().uid().unwrap() == 0;
    let lasting = Lasting {
        ports: Ports::default(),
        password: "secret".to_owned(),
        device_password: "other".to_owned(),
        listen: None,
        patience: Patience::default(),
    };
    for round in 1..=2 {
        let mut servers = Servers::start_lasting(&place, &lasting).unwrap();
        let pids = [servers.redis.pid(), servers.mosquitto.pid(), servers.postgres.pid()];
        assert!(!pids.into_iter().any(is_root), "a server runs as root");
        let mut open = TcpStream::connect(("127.0.0.1", servers.redis.port())).unwrap();
        std::io::Write::write_all(&mut open, b"AUTH secret\r\nINCR starts\r\nQUIT\r\n").unwrap();
        assert_eq!(std::io::read_to_string(&mut open).unwrap(), format!("+OK\r\n:{round}\r\n+OK\r\n"));
        servers.stop().unwrap();
        if rustix::process::geteuid().is_root() {
            for name in ["redis", "mosquitto"] {
                for entry in fs::read_dir(place.join(name)).unwrap() {
                    std::os::unix::fs::lchown(entry.unwrap().path(), Some(0), Some(0)).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_server_does_not_outlive_an_owner_that_is_killed() {
    // This test starts itself as the owner, which prints the process ids of its servers and waits
    // to be killed.
    const VARIABLE: &str = "THICKET_COMPOSE_TEST_OWNER";
    if let Some(directory) = std::env::var_os(VARIABLE) {
        let servers = std::thread::spawn(move || Servers::start(Path::new(&directory)).unwrap());
        let servers = servers.join().unwrap();
        let pids = [servers.redis.pid(), servers.mosquitto.pid(), servers.postgres.pid()];
        println!("pids {} {} {}", pids[0], pids[1], pids[2]);
        loop {
            std::thread::park();
        }
    }
    let directory = directory();
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_does_not_outlive_an_owner_that_is_killed", "--nocapture"])
        .env(VARIABLE, directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let output = std::io::BufReader::new(owner.stdout.take().unwrap());
    let line = std::io::BufRead::lines(output)
        .map(Result::unwrap)
        .find_map(|line| line.split_once("pids ").map(|(_, pids)| pids.to_owned()))
        .unwrap();
    let mut pids: Vec<u32> = line.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    pids.extend(children(pids[2]));
    // The session that asked whether PostgreSQL is ready may have ended meanwhile.
    pids.retain(|pid| is_alive(*pid));
    assert!(pids.len() > 3);
    owner.kill().unwrap();
    owner.wait().unwrap();
    // The next owner waits for servers that are still stopping.
    let servers = Servers::start(directory.path()).unwrap();
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    sql(&servers.postgres).simple_query("SELECT 1").unwrap();
}

#[test]
fn a_directory_belongs_to_one_server() {
    let directory = directory();
    let server = Redis::start(directory.path()).unwrap();
    let error = Redis::start(directory.path()).unwrap_err();
    assert!(error.to_string().starts_with("another redis runs in "), "{error}");
    drop(server);
    Redis::start(directory.path()).unwrap();
}

#[test]
fn a_server_is_in_a_process_group_of_its_own() {
    let directory = directory();
    let server = Redis::start(directory.path()).unwrap();
    let group = stat(server.pid()).unwrap().pgrp;
    assert_eq!(group, server.pid().cast_signed());
}

#[test]
fn a_server_that_cannot_start_shows_the_end_of_its_log() {
    let directory = directory();
    // A file takes the place of the append-only directory.
    fs::write(directory.path().join("appendonlydir"), "").unwrap();
    let error = Redis::start(directory.path()).unwrap_err().to_string();
    assert!(error.contains("redis ended while starting"), "{error}");
    assert!(error.contains("append"), "{error}");
}

fn children(pid: u32) -> Vec<u32> {
    let process = Process::new(pid.cast_signed()).unwrap();
    process.task_main_thread().unwrap().children().unwrap()
}
