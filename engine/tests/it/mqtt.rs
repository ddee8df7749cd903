//! Both versions of MQTT, client ids that two engines use, shared subscriptions, and readings that
//! are held back to put them in order.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use serde_json::json;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Engine, Samples, TestEnv, broker_login, log_lines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{self, start, stdout, undisturbed};

const SENSORS: usize = 4;
const READINGS: i64 = 200;

fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(100)
}

fn samples() -> Samples {
    Samples::new("city/mic-", SENSORS, now_seconds() - READINGS)
}

/// A second deployment, with Redis and PostgreSQL of its own, at the broker of the first.
fn at_broker_of(env: &TestEnv, config: Config) -> Config {
    config.set("mqtt.url", env.addresses().mqtt)
}

/// A broker that was killed may bring back a session without its subscriptions.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_subscribes_again_where_the_broker_kept_a_session_without_its_subscription() {
    let config = config().set("mqtt.client_id", "kept");
    let env = start(config).await;
    assert!(env.engine().await.terminate().await.success());
    let mut options = rumqttc::MqttOptions::new("kept", "127.0.0.1", env.servers.mosquitto.port());
    options.set_clean_session(false);
    let (user, password) = broker_login();
    options.set_credentials(user, password);
    let (client, mut event_loop) = rumqttc::AsyncClient::new(options, 10);
    client.unsubscribe("sensors/#").await.unwrap();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), event_loop.poll()).await.unwrap();
        if let rumqttc::Event::Incoming(rumqttc::Incoming::UnsubAck(_)) = event.unwrap() {
            break;
        }
    }
    drop((client, event_loop));
    let engine = env.engine().await;
    engine.until_log_contains("session_present=true").await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(1).await;
}

/// The MQTT version is changed three times, while messages wait in the session. The engine is
/// killed once, with small windows of unacknowledged messages.
#[tokio::test(flavor = "multi_thread")]
async fn engines_of_both_versions_share_a_session_and_end_with_the_rows_of_an_undisturbed_one() {
    let samples = samples();
    let expected = undisturbed(config(), &samples, READINGS).await;

    let env = start(config().set("mqtt.max_in_flight", 16)).await;
    let publisher = env.publisher();
    let version = |version: &str| env.base().set("mqtt.version", version);
    let engine = env.engine_with(&version("3")).await;
    samples.publish(&publisher, 0..50).await;
    env.until_accounted(samples.records(50)).await;
    engine.until_log_contains("version=3.1.1").await;
    assert!(engine.terminate().await.success());

    samples.publish(&publisher, 50..100).await;
    publisher.settle().await;
    let engine = env.engine_with(&version("5")).await;
    engine.until_log_contains("version=5").await;
    engine.until_log_contains("session_present=true").await;
    engine.until_metric("thicket_readings_stored_total", 40.0).await;
    engine.kill();

    samples.publish(&publisher, 100..150).await;
    publisher.settle().await;
    let engine = env.engine_with(&version("3")).await;
    env.until_scored(samples.records(150)).await;
    engine.kill();

    samples.publish(&publisher, 150..READINGS).await;
    publisher.settle().await;
    let engine = env.engine_with(&version("auto")).await;
    env.until_scored(samples.records(READINGS)).await;
    engine.until_log_contains("version=5").await;
    env.snapshot().await.assert_same(&expected);
}

/// Publishes one message of MQTT 5 with a content type.
async fn publish_typed(env: &TestEnv, topic: &str, content_type: &str, payload: &'static [u8]) {
    let mut options = MqttOptions::new("typed", "127.0.0.1", env.servers.mosquitto.port());
    let (user, password) = broker_login();
    options.set_credentials(user, password);
    let (client, mut event_loop) = AsyncClient::new(options, 10);
    let properties =
        PublishProperties { content_type: Some(content_type.to_owned()), ..PublishProperties::default() };
    client.publish_with_properties(topic, QoS::AtLeastOnce, false, payload, properties).await.unwrap();
    while !matches!(event_loop.poll().await.unwrap(), Event::Incoming(Incoming::PubAck(_))) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_type_of_a_message_names_its_format() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    // The number 20 as CBOR. Its bytes alone say nothing.
    let number = b"\xf9\x4d\x00";
    publish_typed(&env, "sensors/cbor", "application/cbor", number).await;
    publish_typed(&env, "sensors/unknown", "application/octet-stream", number).await;
    publish_typed(&env, "sensors/wrong", "application/cbor", b"{\"value\":21}").await;
    env.until_accounted(3).await;
    assert_eq!(
        env.texts("SELECT sensor, value FROM reading_values ORDER BY sensor").await,
        ["(cbor,20)", "(wrong,21)"]
    );
}

/// A proxy before a broker, which answers MQTT 5 as a broker does that does not know it: with the
/// CONNACK of 3.1.1, or by closing the connection.
async fn without_version_5(broker: u16, answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connect = vec![0; 1_024];
                let length = client.read(&mut connect).await.unwrap_or_default();
                connect.truncate(length);
                let name = connect.windows(4).position(|window| window == b"MQTT");
                if name.is_some_and(|name| connect.get(name + 4) == Some(&5)) {
                    return client.write_all(answer).await;
                }
                let mut server = TcpStream::connect(("127.0.0.1", broker)).await?;
                server.write_all(&connect).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_mqtt_5_gets_a_connection_in_3_1_1() {
    let env = start(config()).await;
    for answer in [b"\x20\x02\x00\x01".as_slice(), b""] {
        let url = without_version_5(env.servers.mosquitto.port(), answer).await;
        let config = env.base().set("mqtt.url", url);
        let check = stdout(&env.thicket_with(&["check"], &config));
        assert!(check.contains("in MQTT 3.1.1, and 1 topic filter"), "{check}");
        let engine = env.engine_with(&config).await;
        engine.until_log_contains("version=3.1.1").await;
        assert!(engine.terminate().await.success());
        let only = env.thicket_with(&["check"], &config.set("mqtt.version", 5));
        assert_eq!(only.status.code(), Some(1));
    }
}

async fn in_conflict(engine: &Engine) {
    engine.until_metric("thicket_mqtt_client_id_conflict", 1.0).await;
    let ready = engine.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("another client uses the client id same"), "{}", ready.body);
    engine.assert_logged(log_lines::CLIENT_ID_CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_with_one_client_id_say_so_and_so_does_check() {
    let one = start(config().set("mqtt.client_id", "same")).await;
    let other = start(config().set("mqtt.client_id", "same")).await;
    let first = one.engine().await;
    let second = other.launch(&at_broker_of(&one, other.base()).set("mqtt.version", 5), &[]);
    in_conflict(&first).await;
    in_conflict(&second).await;
    for (env, engine) in [(&one, &first), (&other, &second)] {
        let config = at_broker_of(&one, env.base()).set("http.listen", engine.address());
        let check = env.thicket_with(&["check"], &config);
        assert_eq!(check.status.code(), Some(1));
        let text = stdout(&check);
        assert!(text.contains("FAIL  mqtt: another client uses the client id same"), "{text}");
        let status = support::json(&env.thicket_with(&["status", "--json"], &config));
        let broker = status["brokers"].as_object().unwrap().values().next().unwrap();
        assert_eq!(broker["client_id_conflict"], "same");
        assert!(stdout(&env.thicket_with(&["status"], &config)).contains("CONFLICT another client"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_messages_that_are_no_readings() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", "").await;
    publisher.publish("sensors/a", "online").await;
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(1).await;
    let config = env.base().set("http.listen", engine.address());
    let status = support::json(&env.thicket_with(&["status", "--json"], &config));
    assert_eq!(status["no_readings"], json!({"empty": 1, "ignored": 1, "no_reading": 0, "retained": 0}));
    let text = stdout(&env.thicket_with(&["status"], &config));
    assert!(text.contains("no readings  1 empty, 1 ignored, 0 no_reading, 0 retained messages"), "{text}");
    assert!(text.contains("connected, 1 connection since"), "{text}");
}

/// A Mosquitto of its own. Killed when dropped.
pub(crate) struct StrictBroker {
    process: Child,
    port: u16,
}

impl StrictBroker {
    /// It refuses subscriptions outside of `sensors/#`. (Mosquitto's `acl_file` refuses none: it does
    /// not deliver the messages.)
    async fn with_rules(env: &TestEnv) -> Self {
        let rules = env.path().join("rules.json");
        let allow = |filter: &str| json!({"acltype": "subscribePattern", "topic": filter, "allow": true});
        let text = json!({
            "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": false},
            "roles": [{"rolename": "reader", "acls": [allow("sensors/#"), allow("$SYS/#")]}],
            "groups": [{"groupname": "all", "roles": [{"rolename": "reader"}]}],
            "anonymousGroup": "all",
        });
        std::fs::write(&rules, text.to_string()).unwrap();
        let plugin = plugin();
        let settings = format!("plugin {}\nplugin_opt_config_file {}", plugin.display(), rules.display());
        Self::start(env, &settings).await
    }

    /// It has these settings.
    pub(crate) async fn start(env: &TestEnv, special: &str) -> Self {
        let settings = env.path().join("strict.conf");
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n{special}\n");
        std::fs::write(&settings, text).unwrap();
        let process =
            Command::new("mosquitto").arg("-c").arg(settings).stderr(Stdio::null()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { process, port }
    }

    fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Returns a configuration of an engine at this broker.
    pub(crate) fn config(&self, env: &TestEnv) -> Config {
        env.base().set("mqtt.url", self.url()).set("mqtt.username", "").set("mqtt.password", "")
    }
}

impl Drop for StrictBroker {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// The plugin of Mosquitto that has rules for subscriptions. Its directory is named by the
/// architecture.
fn plugin() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let mut plugins = folders.map(|folder| folder.path().join("mosquitto_dynamic_security.so"));
    plugins.find(|plugin| plugin.exists()).expect("mosquitto has its plugin")
}

/// Messages that are sent while no engine is connected are lost, although all is well meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_delivers_at_qos_0_only_is_a_finding() {
    let env = start(config()).await;
    let broker = StrictBroker::start(&env, "max_qos 0").await;
    let at_broker = broker.config(&env);
    for version in ["3", "5"] {
        let config = at_broker.clone().set("mqtt.version", version);
        let check = env.thicket_with(&["check"], &config);
        let text = stdout(&check);
        assert!(text.contains("FAIL  mqtt: the broker grants the topic filter sensors/# at QoS 0"), "{text}");
        assert_eq!(check.status.code(), Some(1));
        let engine = env.launch(&config, &[]);
        engine.until_log_contains("grants a subscription at QoS 0 only").await;
        engine.until_metric("thicket_mqtt_subscriptions_downgraded", 1.0).await;
        let ready = engine.get("/readyz").await;
        assert!(ready.status == 503 && ready.body.contains("delivers at QoS 0 only"), "{}", ready.body);
        assert!(engine.terminate().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_filters_that_the_broker_refuses_or_no_template_matches() {
    let env = start(config()).await;
    let broker = StrictBroker::with_rules(&env).await;
    let topics = |topics: &[&str]| env.base().set("mqtt.topics", topics.to_vec());
    let both = broker
        .config(&env)
        .set("mqtt.topics", vec!["sensors/#", "secret/#"])
        .set("mqtt.templates", vec!["sensors/{sensor...}", "secret/{sensor...}"]);
    for (version, reason) in [("3", "refuses it without a reason"), ("5", "access rules do not allow it")] {
        let check = env.thicket_with(&["check"], &both.clone().set("mqtt.version", version));
        assert_eq!(check.status.code(), Some(1));
        let text = stdout(&check);
        assert!(text.contains("FAIL  mqtt: the broker refuses the topic filter secret/#"), "{text}");
        assert!(text.contains(reason) && !text.contains("filter sensors/#"), "{text}");
    }
    let engine = env.launch(&both, &[]);
    engine.until_log_contains("the broker refused a subscription").await;
    engine.until_metric("thicket_mqtt_subscriptions_refused", 1.0).await;
    assert!(engine.metric("thicket_mqtt_connected").await < 0.5, "it does not get what it asked for");
    let ready = engine.get("/readyz").await;
    assert!(ready.status == 503 && ready.body.contains("refuses topic filters"), "{}", ready.body);

    let mut found = String::new();
    for misfit in [
        topics(&["sensors/#", "plant/#"]),
        env.base().set("mqtt.templates", vec!["sensors/{s...}", "plant/{line}/{d}"]),
        topics(&["$share/group/sensors/#"]).set("mqtt.templates", vec!["sensors/{site}/{device}"]),
    ] {
        found.push_str(&stdout(&env.thicket_with(&["check"], &misfit)));
    }
    assert!(found.contains("FAIL  mqtt: no topic of the filter plant/# matches a template"), "{found}");
    assert!(
        found.contains("FAIL  mqtt: no filter in mqtt.topics receives a topic of the template plant/"),
        "{found}"
    );
    assert!(found.contains("warn  mqtt: the filter $share/group/sensors/# also receives topics"), "{found}");

    let refused = env.thicket_with(&["run"], &topics(&["plant/#"]).set("http.listen", "127.0.0.1:0"));
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_is_shared_by_deployments() {
    let shared = |config: Config| config.set("mqtt.topics", vec!["$share/group/sensors/#"]);
    let one = start(shared(config())).await;
    let other = start(config()).await;
    let _first = one.engine_with(&one.base().set("mqtt.version", 3)).await;
    let _second = other.engine_with(&shared(at_broker_of(&one, other.base()))).await;
    let publisher = one.publisher();
    for i in 0..40 {
        publisher.publish(&format!("sensors/{}", i % 4), "1").await;
    }
    let of = async |env: &TestEnv| env.number("SELECT sum(delivered) FROM ledger").await;
    while of(&one).await + of(&other).await < 40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(of(&one).await + of(&other).await, 40);
    assert!(of(&one).await > 0 && of(&other).await > 0, "each has a part");
}

/// Publishes a reading of each age in seconds, in this order.
async fn publish_ages(env: &TestEnv, ages: impl IntoIterator<Item = i64>) {
    let (publisher, now) = (env.publisher(), now_seconds());
    for age in ages {
        publisher.publish("sensors/a", format!(r#"{{"ts":{},"v":{age}}}"#, now - age)).await;
    }
    publisher.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_put_in_order_before_they_are_scored() {
    let env = start(config().set("queue.reorder", "3s")).await;
    let engine = env.engine().await;
    publish_ages(&env, [100, 98, 99, 97]).await;
    env.until_accounted(4).await;
    assert_eq!(env.number("SELECT sum(scored) FROM ledger").await, 4, "none is late");

    publish_ages(&env, [80, 82, 81]).await;
    engine.until_metric("thicket_reorder_held", 3.0).await;
    assert!(engine.terminate().await.success(), "it stores what it holds");
    assert_eq!(env.number("SELECT sum(scored) FROM ledger").await, 7);

    let engine = env.engine().await;
    publish_ages(&env, [60, 62, 61]).await;
    engine.until_metric("thicket_reorder_held", 3.0).await;
    engine.kill();
    let _engine = env.engine().await;
    env.until_scored(10).await;
    assert_eq!(env.number("SELECT sum(late) FROM ledger").await, 0);

    let off = start(config()).await;
    let _engine = off.engine().await;
    publish_ages(&off, [100, 98, 99, 97]).await;
    off.until_accounted(4).await;
    assert_eq!(off.number("SELECT sum(late) FROM ledger").await, 1);
}
