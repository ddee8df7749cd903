//! Sparkplug B: births, data by alias, an engine that is killed between them, and nodes whose births
//! are not known.

use chrono::Utc;
use thicket_codecs::formats::sparkplug::{DataType, Metric, MetricValue, Payload};
use thicket_testkit::{Config, Publisher, TestEnv};

use crate::support::start;

const NAMES: [&str; 3] = ["Motor/Speed", "Motor/Current", "Ambient"];

fn config() -> Config {
    TestEnv::config().small_detector().set("mqtt.preset", "sparkplug-b")
}

/// A node whose messages are a second apart.
struct Node {
    first_millis: u64,
    messages: u64,
    seq: u64,
    /// The alias of each metric.
    aliases: [u64; 3],
}

impl Node {
    fn new() -> Self {
        let now = u64::try_from(Utc::now().timestamp_millis()).unwrap();
        Self { first_millis: now - 200_000, messages: 0, seq: 0, aliases: [0, 1, 2] }
    }

    fn message(&mut self, metrics: Vec<Metric>) -> Vec<u8> {
        let timestamp = Some(self.first_millis + self.messages * 1_000);
        let payload = Payload { timestamp, metrics, seq: Some(self.seq) };
        self.messages += 1;
        self.seq = (self.seq + 1) % 256;
        payload.to_bytes()
    }

    async fn birth(&mut self, publisher: &Publisher, aliases: [u64; 3]) {
        self.aliases = aliases;
        let metrics = NAMES.iter().zip(aliases).map(|(name, alias)| Metric {
            name: Some((*name).to_owned()),
            alias: Some(alias),
            datatype: Some(DataType::Double as u32),
            value: Some(MetricValue::Double(0.5)),
            ..Metric::default()
        });
        let message = self.message(metrics.collect());
        publisher.publish("spBv1.0/plant/DBIRTH/edge/press", message).await;
    }

    async fn data(&mut self, publisher: &Publisher, metric: usize, value: f64) {
        let metric = Metric {
            alias: Some(self.aliases[metric]),
            value: Some(MetricValue::Double(value)),
            ..Metric::default()
        };
        let message = self.message(vec![metric]);
        publisher.publish("spBv1.0/plant/DDATA/edge/press", message).await;
    }
}

async fn values(env: &TestEnv) -> Vec<String> {
    env.texts("SELECT sensor, field, value FROM reading_values WHERE value > 0.5 ORDER BY ts").await
}

#[tokio::test(flavor = "multi_thread")]
async fn data_after_a_kill_are_read_by_the_births_before_it() {
    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    let mut node = Node::new();
    node.birth(&publisher, [0, 1, 2]).await;
    node.data(&publisher, 0, 1.0).await;
    node.birth(&publisher, [2, 0, 1]).await;
    env.until_accounted(3).await;
    engine.kill();

    node.data(&publisher, 0, 2.0).await;
    node.data(&publisher, 1, 3.0).await;
    node.data(&publisher, 2, 4.0).await;
    publisher.settle().await;
    let engine = env.engine().await;
    env.until_accounted(6).await;
    let expected = [
        "(plant/edge/press,Motor/Speed,1)",
        "(plant/edge/press,Motor/Speed,2)",
        "(plant/edge/press,Motor/Current,3)",
        "(plant/edge/press,Ambient,4)",
    ];
    assert_eq!(values(&env).await, expected);
    assert_eq!(env.number("SELECT count(*) FROM dead_letters").await, 0);
    assert!(engine.metric("thicket_sparkplug_rebirth_requests_total").await < 0.5);
    assert!(engine.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_birth_is_asked_for_it_and_silence_is_no_dead_letter() {
    let env = start(config()).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    let mut node = Node::new();
    node.data(&publisher, 0, 1.0).await;
    engine.until_metric("thicket_sparkplug_rebirth_requests_total", 1.0).await;
    publisher.publish("spBv1.0/STATE/scada", r#"{"online":true,"timestamp":1}"#).await;
    publisher.publish("spBv1.0/plant/NDEATH/edge", "\u{8}\u{1}").await;
    node.birth(&publisher, [0, 1, 2]).await;
    node.data(&publisher, 0, 2.0).await;
    env.until_accounted(3).await;
    assert_eq!(values(&env).await, ["(plant/edge/press,Motor/Speed,2)"]);
    assert_eq!(env.texts("SELECT reason FROM dead_letters").await, ["(no_birth)"]);
    // The command itself, the state and the death.
    engine.until_metric_where("thicket_mqtt_messages_total", ("result", "no_reading"), 3.0).await;
    assert!(engine.terminate().await.success());
}
