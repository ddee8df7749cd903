//! The commands beside `run`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use thicket_testkit::{Config, TestEnv};

use crate::support::{BINARY, json, start, stderr, stdout};

fn config() -> Config {
    TestEnv::config()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reaches_every_server_and_says_how_to_repair_what_fails() {
    let mut env = start(config()).await;
    let passed = env.thicket(&["check"]);
    assert!(passed.status.success(), "{}", stdout(&passed));
    assert_eq!(stdout(&passed).matches("ok ").count(), 5, "{}", stdout(&passed));
    let levels = |output: &Output| -> Vec<String> {
        let lines = json(output);
        lines.as_array().unwrap().iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(levels(&env.thicket(&["check", "--json"])), ["ok"; 5]);

    env.servers.mosquitto.stop().unwrap();
    env.servers.redis.stop().unwrap();
    let failed = env.thicket(&["check"]);
    assert_eq!(failed.status.code(), Some(1));
    let text = stdout(&failed);
    assert!(
        text.contains("FAIL  redis") && text.contains("FAIL  mqtt") && text.contains("ok    postgresql"),
        "{text}"
    );
    assert!(text.contains("`sudo apt-get install redis-server`"), "{text}");
    let failed = env.thicket(&["check", "--json"]);
    assert_eq!((failed.status.code(), levels(&failed).contains(&"fail".to_owned())), (Some(1), true));
    assert!(json(&failed)[1]["message"].as_str().unwrap().contains("redis"), "{}", stdout(&failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_lose_what_it_acknowledged_is_refused_by_check() {
    let env = start(config()).await;
    env.redis().await.set_config("appendfsync", "everysec").await.unwrap();
    let failed = env.thicket(&["check"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stdout(&failed).contains("appendfsync"), "{}", stdout(&failed));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_end_with_code_2_and_the_key() {
    let env = start(config()).await;
    let unknown = env.thicket_with(&["check"], &config().set("queue.partitons", 4));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("partitons"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_is_refused() {
    let env = start(config()).await;
    env.engine().await.terminate().await;
    let refused = env.thicket_with(&["run"], &config().partitions(8).set("http.listen", "127.0.0.1:0"));
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.contains("queue.partitions is 8, but this deployment was made with 4"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_is_harmless() {
    let env = start(config()).await;
    let again = env.thicket(&["migrate"]);
    assert!(again.status.success());
    assert!(stdout(&again).contains("up to date"));
    let again = json(&env.thicket(&["migrate", "--roles", "--json"]));
    assert_eq!(again["migrations"], serde_json::json!([]));
    assert_eq!(again["roles"]["reader_is_kept_from_locks"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_migration_says_that_it_waits_for_the_first() {
    let env = start(config()).await;
    let file = env.path().join("second.toml");
    std::fs::write(&file, env.base().file(&env.addresses())).unwrap();
    let mut first = env.tables().await;
    first.execute("SELECT pg_advisory_lock(hashtext('thicket.migrations'))").await.unwrap();
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(&file).arg("migrate").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("waiting until it ends"), "{line}");
    assert!(second.try_wait().unwrap().is_none());
    first.execute("SELECT pg_advisory_unlock(hashtext('thicket.migrations'))").await.unwrap();
    assert!(second.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn discover_listens_to_a_broker_and_writes_a_configuration_that_reads_it() {
    let env = start(TestEnv::config()).await;
    let path = env.path().join("discovered.toml");
    let discover = async {
        let (file, url) = (path.to_str().unwrap().to_owned(), env.addresses().mqtt);
        let (user, password) = thicket_testkit::broker_login();
        let run = move || {
            let with_password = |password: &str| {
                std::process::Command::new(crate::support::BINARY)
                    .env("THICKET__MQTT__USERNAME", &user)
                    .env("THICKET__MQTT__PASSWORD", password)
                    .args(["discover", "--for", "4s", "--mqtt", &url, "--write", &file])
                    .output()
            };
            let refused = stderr(&with_password("wrong").unwrap());
            assert!(
                refused.contains("refuses the connection") && refused.contains("mqtt.username"),
                "{refused}"
            );
            assert!(!refused.contains("start it"), "{refused}");
            with_password(&password)
        };
        tokio::task::spawn_blocking(run).await.unwrap().unwrap()
    };
    let publish = async {
        let publisher = env.publisher();
        // The broker drops what is published before the command listens.
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            publisher.publish("zigbee2mqtt/Door", r#"{"contact":true}"#).await;
            publisher.publish("plant/7/raw", r#"{"rpm":1200}"#).await;
        }
    };
    let (found, ()) = tokio::join!(discover, publish);
    assert!(found.status.success(), "{}", stderr(&found));
    assert!(stdout(&found).contains("preset zigbee2mqtt"), "{}", stdout(&found));
    let tried = std::process::Command::new(crate::support::BINARY)
        .args(["try", "zigbee2mqtt/Door", r#"{"contact":true}"#, "--json", "--config"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(json(&tried)["readings"][0]["sensor"], "Door");
    assert_eq!(json(&tried)["readings"][0]["values"]["contact"], 1.0);
}
