//! `thicket check` and `thicket status` against servers that do not answer as they should.

use std::io::Write as _;
use std::net::TcpListener;

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
