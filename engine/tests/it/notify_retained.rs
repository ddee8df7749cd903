//! The retained messages of a broker that is killed, and of sensors with unusual names.

use thicket_testkit::receivers::HttpReceiver;
use thicket_testkit::timing::until;
use thicket_testkit::{TestEnv, broker_login};
use toml::{Table, Value};

use crate::notify_support::{PENDING, config, end_anomaly, open_anomaly, retained, route, with};
use crate::support::{start, stderr};

/// A route to a broker, with discovery.
fn broker(url: &str) -> Table {
    let (user, password) = broker_login();
    let keys: [(&str, Value); 4] = [
        ("receiver", "mqtt".into()),
        ("username", user.into()),
        ("password", password.into()),
        ("home_assistant", "homeassistant".into()),
    ];
    with(route("broker", url), &keys)
}

/// Returns the topics of the anomalies that the broker retains.
async fn shown(env: &TestEnv) -> Vec<String> {
    retained(env, "thicket/anomalies/#").await.into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lost_its_retained_messages_gets_them_again() {
    let mut env = start(TestEnv::config()).await;
    let routes = config(vec![broker(&env.servers.mosquitto.url())]);
    let engine = env.engine_with(&routes).await;
    for sensor in ["site-1/a", "site-1/b"] {
        open_anomaly(&env, sensor, 1_000, 1.0).await;
    }
    env.until(PENDING, 0).await;
    assert_eq!(shown(&env).await.len(), 2);

    // The disk of the broker as it is while both anomalies go on.
    let disk = env.servers.mosquitto.directory().join("mosquitto.db");
    let copy = env.path().join("earlier.db");
    env.servers.mosquitto.stop().unwrap();
    std::fs::copy(&disk, &copy).unwrap();
    env.servers.mosquitto.restart_on_same_port().unwrap();
    end_anomaly(&env, "site-1/a", 1_000).await;
    env.until(PENDING, 0).await;

    // A broker and an engine that are killed. The broker comes back with the disk of before, and
    // shows an anomaly that is over until the engine has told it again.
    env.servers.mosquitto.kill().unwrap();
    engine.kill();
    std::fs::copy(&copy, &disk).unwrap();
    env.servers.mosquitto.restart_on_same_port().unwrap();
    assert_eq!(shown(&env).await.len(), 2);
    let engine = env.engine_with(&routes).await;
    until_shown(&env, &["thicket/anomalies/site-1/b"]).await;

    // A broker that loses all while the engine runs.
    env.servers.mosquitto.kill().unwrap();
    std::fs::remove_file(&disk).unwrap();
    env.servers.mosquitto.restart_on_same_port().unwrap();
    until_shown(&env, &["thicket/anomalies/site-1/b"]).await;
    assert_eq!(retained(&env, "homeassistant/#").await.len(), 2);
    drop(engine);
}

async fn until_shown(env: &TestEnv, topics: &[&str]) {
    until(&format!("only {topics:?} are retained"), async || shown(env).await == topics).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_an_anomaly_that_is_over_hides_no_open_one_of_the_sensor() {
    let alertmanager = HttpReceiver::start();
    let env = start(TestEnv::config()).await;
    let all = [("kinds", vec!["opened", "ended", "label"].into())];
    let alerts = with(route("alerts", &alertmanager.url()), &[("shape", "alertmanager".into())]);
    let routes = [broker(&env.servers.mosquitto.url()), alerts].map(|route| with(route, &all));
    let _engine = env.engine_with(&config(routes.to_vec())).await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    end_anomaly(&env, "site/a", 1_000).await;
    env.until(PENDING, 0).await;
    open_anomaly(&env, "site/a", 2_000, 1.0).await;
    env.until(PENDING, 0).await;
    let label = |started| {
        let labelled = env.thicket(&["anomalies", "label", "site/a", started, "true"]);
        assert!(labelled.status.success(), "{}", stderr(&labelled));
    };
    let labels = "SELECT count(*) FROM notification_deliveries WHERE kind = 'label' AND state = 'sent'";
    label("1970-01-01T00:16:40Z");
    env.until(labels, 2).await;
    assert_eq!(shown(&env).await, ["thicket/anomalies/site/a"]);
    let newest = || alertmanager.posted().last().unwrap().json()[0].clone();
    assert_eq!(newest()["endsAt"], "9999-01-01T00:00:00Z", "{:?}", alertmanager.posted());
    assert_eq!(alertmanager.posted().len(), 3);

    // The label of the open one is told.
    label("1970-01-01T00:33:20Z");
    env.until(labels, 4).await;
    let anomaly = &retained(&env, "thicket/anomalies/#").await["thicket/anomalies/site/a"];
    assert_eq!((&anomaly["label"], &anomaly["status"]), (&"true".into(), &"open".into()));
    assert_eq!(alertmanager.posted().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusual_names_of_sensors_are_topics_and_ids() {
    let env = start(TestEnv::config()).await;
    let mut more_than_a_page: Vec<String> = (0..60).map(|number| format!("many/s-{number}")).collect();
    let long = format!("long/{}", "é".repeat(97));
    let names =
        ["a b/ünïcode 🌲", "quote\"/back\\slash", "$dollar/{sensor}", "{{ x }}/<b>&amp;", long.as_str()];
    more_than_a_page.extend(names.map(str::to_owned));
    let routes = config(vec![broker(&env.servers.mosquitto.url())]);
    let engine = env.engine_with(&routes).await;
    for name in &more_than_a_page {
        open_anomaly(&env, name, 1_000, 1.0).await;
    }
    env.until(PENDING, 0).await;
    let found = retained(&env, "thicket/anomalies/#").await;
    for name in &more_than_a_page {
        assert_eq!(found[&format!("thicket/anomalies/{name}")]["sensor"], name.as_str());
    }
    let discovered = retained(&env, "homeassistant/#").await;
    assert_eq!(discovered.len(), more_than_a_page.len());
    for (topic, config) in &discovered {
        let [_, component, id, last] = topic.split('/').collect::<Vec<_>>()[..] else { panic!("{topic}") };
        assert_eq!((component, last), ("binary_sensor", "config"));
        let is_id = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(id.chars().all(is_id), "{id}");
        assert_eq!(
            (&config["unique_id"], &config["default_entity_id"]),
            (&id.into(), &format!("binary_sensor.{id}").into())
        );
        assert!(found.contains_key(config["state_topic"].as_str().unwrap()), "{config}");
    }

    // All of them again, in several pages, for a broker that has lost them.
    let mut env = env;
    env.servers.mosquitto.kill().unwrap();
    std::fs::remove_file(env.servers.mosquitto.directory().join("mosquitto.db")).unwrap();
    env.servers.mosquitto.restart_on_same_port().unwrap();
    let all = more_than_a_page.len();
    until("all are retained", async || retained(&env, "thicket/anomalies/#").await.len() == all).await;
    drop(engine);
}
