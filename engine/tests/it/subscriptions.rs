//! Several brokers and several subscriptions, with presets and sensors named by payloads.

use thicket_testkit::{Config, TestEnv, broker_login};
use toml::{Table, Value};

use crate::support::start;

fn broker(url: &str, keys: &str) -> Value {
    let mut broker: Table = keys.parse().unwrap();
    broker.insert("url".to_owned(), url.into());
    let (user, password) = broker_login();
    broker.insert("username".to_owned(), user.into());
    broker.insert("password".to_owned(), password.into());
    Value::Table(broker)
}

/// Two sessions at one broker, as at two brokers: each has its own client id and subscriptions.
fn two_brokers(env: &TestEnv) -> Config {
    let url = env.addresses().mqtt;
    let house = broker(
        &url,
        "name = \"house\"\n[[subscriptions]]\npreset = \"tasmota\"\n[[subscriptions]]\npreset = \"zigbee2mqtt\"\n",
    );
    let plant = broker(
        &url,
        "name = \"plant\"\ntopics = [\"plant/#\"]\ntemplates = [\"plant/{line}\"]\nsensor = \"{line}/{device.id}\"\n",
    );
    env.base().set("mqtt", Value::Array(vec![house, plant]))
}

async fn stored(env: &TestEnv) -> Vec<String> {
    env.texts("SELECT sensor, field, value FROM reading_values ORDER BY sensor, ts, field").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broker_and_subscription_reads_its_own_devices_also_after_a_kill() {
    let env = start(TestEnv::config().small_detector()).await;
    let config = two_brokers(&env);
    let engine = env.engine_with(&config).await;
    let publisher = env.publisher();
    publisher.publish("tele/boiler/SENSOR", r#"{"DS18B20":{"Temperature":20.5}}"#).await;
    publisher.publish("zigbee2mqtt/Hall/Door", r#"{"contact":false}"#).await;
    publisher.publish("zigbee2mqtt/bridge/state", "online").await;
    publisher.publish("plant/7", r#"{"device":{"id":"p3"},"rpm":1200}"#).await;
    publisher.publish("plant/7", r#"{"device":{},"rpm":1300}"#).await;
    env.until_accounted(4).await;
    assert_eq!(
        stored(&env).await,
        ["(7/p3,rpm,1200)", "(Hall/Door,contact,0)", "(boiler/SENSOR,DS18B20.Temperature,20.5)"]
    );
    let letters = env.texts("SELECT reason, detail FROM dead_letters").await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].contains("no_sensor") && letters[0].contains("member device.id"), "{letters:?}");
    assert!((engine.metric("thicket_mqtt_connected").await - 2.0).abs() < 0.5);

    drop(engine);
    publisher.publish("tele/boiler/SENSOR", r#"{"DS18B20":{"Temperature":20.6}}"#).await;
    publisher.publish("plant/7", r#"{"device":{"id":"p3"},"rpm":1250}"#).await;
    publisher.settle().await;
    let engine = env.engine_with(&config).await;
    env.until_accounted(6).await;
    assert_eq!(stored(&env).await.len(), 5);
    assert!(engine.terminate().await.success());
}
