//! Passwords do not reach a log, an error, the process list or a table.

use thicket_testkit::certificates::{Authority, Validity};
use thicket_testkit::receivers::HttpReceiver;
use thicket_testkit::{Config, TestEnv, TlsFiles};

use crate::notify_support::{self, route, with};
use crate::support::{BINARY, start, stderr, stdout};

const PASSWORD: &str = "hunter2secret";

fn config() -> Config {
    TestEnv::config()
}

/// A configuration with a password for each server. None of the servers answers.
fn away() -> Config {
    config()
        .set("redis.url", format!("redis://u:{PASSWORD}@127.0.0.1:1"))
        .set("postgres.url", format!("postgres://thicket:{PASSWORD}@127.0.0.1:1/thicket"))
        .set("mqtt.url", "mqtt://127.0.0.1:1")
        .set("log.level", "trace")
        .set("mqtt.username", "u")
        .set("mqtt.password", PASSWORD)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_and_no_table_has_a_password() {
    let env = start(config()).await;
    let (redis, postgres) = (env.servers.redis.port(), env.servers.postgres.port());
    let postgres = format!("postgres://thicket:{PASSWORD}@127.0.0.1:{postgres}/thicket");
    let wrong_password = away()
        .set("redis.url", format!("redis://u:{PASSWORD}@127.0.0.1:{redis}"))
        .set("postgres.url", postgres.as_str());
    let in_url = config().set("mqtt.url", format!("mqtt://u:{PASSWORD}@127.0.0.1:1"));
    for config in [away(), wrong_password.clone(), in_url] {
        for command in [&["check"][..], &["migrate"], &["status"], &["reconcile"], &["deadletter", "list"]] {
            let output = env.thicket_with(command, &config);
            let text = stdout(&output) + &stderr(&output);
            assert!(!text.contains(PASSWORD), "{command:?}: {text}");
        }
    }

    // Each configuration gets further than the one before.
    let redis_answers =
        away().set("redis.url", env.servers.redis.url()).set("postgres.url", env.servers.postgres.url());
    let postgres_answers = wrong_password.clone().set("postgres.url", env.servers.postgres.url());
    let waits = [
        (away(), "postgresql does not answer"),
        (wrong_password, "postgresql does not answer"),
        (postgres_answers, "redis does not answer"),
        (redis_answers, "no connection to the broker"),
    ];
    for (config, text) in waits {
        let engine = env.launch(&config, &[]);
        engine.until_log_contains(text).await;
        assert!(!engine.log().contains(PASSWORD), "{}", engine.log());
        engine.kill();
    }
    let stored = "SELECT count(*) FROM partitions WHERE partitions::text LIKE '%hunter2%'";
    assert_eq!(env.number(stored).await, 0);
    let stored = "SELECT count(*) FROM configs WHERE configs::text LIKE '%hunter2%'";
    assert_eq!(env.number(stored).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_of_the_log_shows_the_bytes_of_a_request() {
    let directory = TestEnv::directory();
    let ca = Authority::new(directory.path(), "ca").unwrap();
    let server = ca.server(directory.path(), "localhost", Validity::Now).unwrap();
    let files = TlsFiles { ca: ca.cert.clone(), cert: server.cert, key: server.key };
    let env = TestEnv::start_with_tls(BINARY, config(), directory, files).await;
    let websocket = env.servers.mosquitto.websocket_port().unwrap();
    let receiver = HttpReceiver::start();
    // A log that shows bytes in rows has at least one password as a whole.
    let secret = PASSWORD.repeat(4);
    let hook =
        with(route("hook", &format!("{}/{secret}", receiver.url())), &[("token", secret.as_str().into())]);
    let config = notify_support::config(vec![hook])
        .set("mqtt.url", format!("ws://127.0.0.1:{websocket}/{secret}"))
        .set("mqtt.username", "u")
        .set("mqtt.password", secret);
    for level in ["trace", "debug", "debug,ureq=trace,ureq_proto=trace,tungstenite=trace"] {
        let config = config.clone().set("log.level", level);
        for command in [&["notify", "test", "hook"][..], &["check"]] {
            let log = stderr(&env.thicket_with(command, &config));
            assert!(log.contains("DEBUG") && !log.contains("hunter2"), "{level}, {command:?}: {log}");
        }
    }
    assert_eq!(receiver.posted().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_mail_server_that_leaves_the_machine_without_tls_is_warned_of() {
    let env = start(config()).await;
    let keys: [(&str, toml::Value); 5] = [
        ("receiver", "email".into()),
        ("from", "thicket@example.org".into()),
        ("to", vec!["ada@example.org"].into()),
        ("username", "u".into()),
        ("password", PASSWORD.into()),
    ];
    let config = notify_support::config(vec![with(route("mail", "smtp://mail.invalid"), &keys)]);
    let warning = "the password crosses the network to mail.invalid without TLS";
    let checked = env.thicket_with(&["check", "--offline"], &config);
    assert_eq!(checked.status.code(), Some(0));
    let text = stdout(&checked);
    assert!(text.contains(&format!("warn  notify mail: {warning}")), "{text}");
    let text = stderr(&env.thicket_with(&["notify", "test", "mail"], &config));
    assert!(text.contains(&format!("thicket: warning: {warning}")) && !text.contains(PASSWORD), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_on_the_command_line_is_refused_without_repeating_it() {
    let env = start(config()).await;
    let urls = [
        ("--redis", format!("redis://:{PASSWORD}@127.0.0.1:1")),
        ("--postgres", format!("postgres://127.0.0.1:1/thicket?user=u&password={PASSWORD}")),
        ("--mqtt", format!("mqtt://u:{PASSWORD}@127.0.0.1:1")),
    ];
    for (flag, url) in urls {
        let output = env.thicket(&["check", flag, &url]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains("every user of this machine can see") && !text.contains(PASSWORD), "{text}");
    }
}
