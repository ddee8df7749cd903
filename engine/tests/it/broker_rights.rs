//! The rights at the broker that the composition gives the engine are enough to replay dead letters.

use std::process::Command;

use thicket_testkit::{Config, TestEnv};

use crate::mqtt::StrictBroker;
use crate::support::{start, stderr, stdout};

/// Starts Mosquitto with users in the composition. Its rights are those of `docs/operating.md`, as a
/// test of the composition checks.
const USERS: &str = include_str!("../../../compose/mosquitto/with-users");

/// Starts a broker with the rights of the composition. Returns it and the configuration of the user
/// `engine` at it.
async fn with_users(env: &TestEnv) -> (StrictBroker, Config) {
    let (_, rights) = USERS.split_once("<<'ACL'\n").unwrap();
    let (rights, _) = rights.split_once("\nACL").unwrap();
    let (passwords, acl) = (env.path().join("users"), env.path().join("acl"));
    std::fs::write(&acl, format!("{rights}\n")).unwrap();
    let mut hash = Command::new("mosquitto_passwd");
    assert!(hash.args(["-c", "-b"]).arg(&passwords).args(["engine", "secret"]).status().unwrap().success());
    let settings = format!("password_file {}\nacl_file {}", passwords.display(), acl.display());
    let broker = StrictBroker::start(env, &settings).await;
    let config = broker.config(env).set("mqtt.username", "engine").set("mqtt.password", "secret");
    (broker, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_replayed_with_the_rights_of_the_composition() {
    let env = start(TestEnv::config()).await;
    let (_broker, config) = with_users(&env).await;
    env.execute(
        "INSERT INTO dead_letters (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content)
         VALUES (1, 2, 3, 4, now(), 'no_topic_template', '', 'sensors/a', '21', 2, 0),
                (1, 2, 3, 5, now(), 'no_topic_template', '', 'sensors/b', '22', 2, 0)",
    )
    .await;
    let _engine = env.engine_with(&config).await;
    for (version, key, all) in [("5", "01/2-3/4", 1), ("3", "01/2-3/5", 2)] {
        let config = config.clone().set("mqtt.version", version);
        let replayed = env.thicket_with(&["deadletter", "replay", key], &config);
        assert!(replayed.status.success(), "{version}: {}", stderr(&replayed));
        assert!(stdout(&replayed).contains("1 dead letter replayed"), "{}", stdout(&replayed));
        // A broker of MQTT 3.1.1 acknowledges also what it refuses.
        let warns = stderr(&replayed).contains("does not say whether it refuses a message");
        assert_eq!(warns, version == "3", "{}", stderr(&replayed));
        env.until_accounted(all).await;
    }
}
