//! `thicket check` and `thicket status` against servers that do not answer as they should.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

use thicket_testkit::{Config, TestEnv};

use crate::support::{start, stderr, stdout};

fn config() -> Config {
    TestEnv::config()
}

/// Listens on a free port. Accepts every connection, sends `greeting`, and gives no answer after it.
fn odd_server(greeting: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut connection in listener.incoming().flatten() {
            // The client may have closed it.
            let _ = connection.write_all(greeting);
            open.push(connection);
        }
    });
    port
}

/// The first byte of the request to subscribe in MQTT.
const SUBSCRIBE: u8 = 0x82;

/// Listens on a free port before a broker, and closes each connection at the request to subscribe,
/// as some brokers do whose access rules do not allow a topic filter.
fn broker_that_forbids_topics(broker: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", broker)).unwrap();
            let (mut from_server, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_server, &mut to_client));
            std::thread::spawn(move || forward_until_subscribe(client, server));
        }
    });
    port
}

/// Forwards what a client sends until it subscribes, and closes both connections. The client waits
/// for an answer before it subscribes.
fn forward_until_subscribe(mut client: TcpStream, mut server: TcpStream) {
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        if buffer[0] == SUBSCRIBE || server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    for connection in [client, server] {
        // It may be closed already.
        let _ = connection.shutdown(Shutdown::Both);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_closes_the_connection_at_the_subscription_may_not_allow_the_topics() {
    let env = start(config()).await;
    let port = broker_that_forbids_topics(env.servers.mosquitto.port());
    for version in [3, 5] {
        let forbidden = config()
            .set("mqtt.url", format!("mqtt://127.0.0.1:{port}"))
            .set("mqtt.version", version)
            .set("mqtt.topics", vec!["sensors/#", "plant/#"])
            .set("mqtt.templates", vec!["sensors/{sensor...}", "plant/{sensor...}"]);
        let text = stdout(&env.thicket_with(&["check"], &forbidden));
        let line = text.lines().find(|line| line.starts_with("FAIL  mqtt")).unwrap();
        assert!(line.contains("ends it at the subscription to sensors/#, plant/# ("), "{line}");
        assert!(line.contains("may not allow a topic filter"), "{line}");
    }
}

fn at(port: u16) -> Config {
    config()
        .set("redis.url", format!("redis://127.0.0.1:{port}"))
        .set("postgres.url", format!("postgres://thicket@127.0.0.1:{port}/thicket"))
        .set("mqtt.url", format!("mqtt://127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_ends_whatever_answers_and_names_address_and_cause() {
    let env = start(config()).await;
    // Silent; another protocol; a Redis that answers the first command and none after it.
    for greeting in [&b""[..], b"SSH-2.0-OpenSSH_9.2\r\n", b"+OK\r\n"] {
        let port = odd_server(greeting);
        // Without a bound, neither command would ever end: these servers never answer.
        let output = env.thicket_with(&["check"], &at(port));
        assert_eq!(output.status.code(), Some(1));
        let text = stdout(&output);
        for line in ["redis", "postgresql", "mqtt"] {
            let line = text.lines().find(|shown| shown.starts_with(&format!("FAIL  {line}"))).unwrap();
            assert!(line.contains(&format!("127.0.0.1:{port}")), "the address: {line}");
        }
        let output = env.thicket_with(&["status"], &at(port));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(&format!("127.0.0.1:{port}")), "{}", stderr(&output));
    }
    let text = stdout(&env.thicket_with(&["check"], &at(1)));
    assert_eq!(text.matches("Connection refused").count(), 3, "the cause: {text}");
    assert!(!text.contains("Os {"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_without_servers_checks_the_configuration() {
    let env = start(config()).await;
    let output = env.thicket_with(&["check", "--offline"], &at(1));
    assert_eq!((output.status.code(), stdout(&output).trim_end()), (Some(0), "ok    configuration"));
    let misfit = at(1).set("mqtt.topics", vec!["a/#"]).set("mqtt.templates", vec!["b/{x}"]);
    assert_eq!(env.thicket_with(&["check", "--offline"], &misfit).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_every_user_can_read_is_warned_of() {
    let env = start(config()).await;
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    for (path, mode) in [(folder.path(), 0o711), (token.as_path(), 0o644)] {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let open = env.base().set("http.operate_token_file", token.to_str().unwrap());
    let warning = format!("http.operate_token_file: every user of this machine can read {}", token.display());
    let checked = env.thicket_with(&["check", "--offline"], &open);
    let text = stdout(&checked);
    assert_eq!(checked.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("warn  configuration: {warning}")), "{text}");
    let engine = env.engine_with(&open).await;
    assert!(engine.log().contains(&warning), "{}", engine.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn status_asks_all_partitions_at_once_and_shows_the_summary_first() {
    let env = start(config().partitions(64)).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    for sensor in 0..200 {
        publisher.publish(&format!("sensors/{sensor}"), "1").await;
    }
    env.until_accounted(200).await;
    let text = stdout(&env.thicket(&["status"]));
    assert!(
        text.starts_with("partitions   64 of 64 owned by 1 engine\nledger       200 delivered"),
        "{text}"
    );
    assert!(!text.contains("owner"), "no partition is notable: {text}");
    let all = stdout(&env.thicket(&["status", "--partitions"]));
    assert_eq!(all.lines().skip_while(|line| !line.starts_with("part ")).count(), 65, "{all}");

    // Without the engine, whose own reads would count.
    assert!(engine.terminate().await.success());
    let redis = env.redis().await;
    let before = redis.calls("xread").await.unwrap();
    let text = stdout(&env.thicket(&["status"]));
    assert!(text.starts_with("partitions   0 of 64 owned by 0 engines; the others"), "{text}");
    let reads = redis.calls("xread").await.unwrap() - before;
    assert!(reads < 5, "{reads} reads for logs that are empty");
}
