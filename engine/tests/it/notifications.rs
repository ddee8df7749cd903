//! Notifications: from an anomaly to a receiver, whatever is killed or away meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use thicket_schema::SensorName;
use thicket_testkit::receivers::{Answer, HttpReceiver, Posted, SmtpReceiver, free_port};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Samples, TestEnv, broker_login, log_lines, receivers};
use toml::{Table, Value};

use crate::support::{json, start, stderr, stdout};

const SENSORS: usize = 6;
/// Each sensor has a spike at reading 310.
const READINGS: i64 = 400;
pub(crate) const PENDING: &str = "SELECT (SELECT count(*) FROM notifications WHERE NOT is_routed)
    + (SELECT count(*) FROM notification_deliveries WHERE state IN ('held', 'waiting', 'sending'))";
const LIMIT: Duration = Duration::from_mins(1);

/// A route without waits.
pub(crate) fn route(name: &str, url: &str) -> Table {
    let keys: [(&str, Value); 6] = [
        ("name", name.into()),
        ("url", url.into()),
        ("group_wait", "0s".into()),
        ("group_interval", "0s".into()),
        ("max_per_minute", 1_000.into()),
        ("group_levels", 0.into()),
    ];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

pub(crate) fn with(mut route: Table, keys: &[(&str, Value)]) -> Table {
    route.extend(keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    route
}

pub(crate) fn config(routes: Vec<Table>) -> Config {
    let routes: Vec<Value> = routes.into_iter().map(Value::Table).collect();
    TestEnv::config().small_detector().set("notify.routes", routes)
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LIMIT, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stores an anomaly and its notification, as the commit does.
pub(crate) async fn open_anomaly(env: &TestEnv, sensor: &str, started: i64, grade: f64) {
    let id = SensorName::new(sensor).unwrap().id();
    env.execute(&format!(
        "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES ({id}, '{sensor}', 1, '{{a}}', now()) ON CONFLICT DO NOTHING;
         INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
         VALUES ({id}, to_timestamp({started}), to_timestamp({started}), 9, {grade}, 3, '{{a}}', '{{1}}', '{{71}}', '{{44}}', '{{40}}', '{{48}}', '{{false}}');
         INSERT INTO notifications (sensor, started, kind) VALUES ({id}, to_timestamp({started}), 'opened')"
    ))
    .await;
}

/// Ends an anomaly.
pub(crate) async fn end_anomaly(env: &TestEnv, sensor: &str, started: i64) {
    let id = SensorName::new(sensor).unwrap().id();
    env.execute(&format!(
        "UPDATE anomalies SET ended = to_timestamp({started} + 60) WHERE sensor = {id} AND started = to_timestamp({started});
         INSERT INTO notifications (sensor, started, kind) VALUES ({id}, to_timestamp({started}), 'ended')"
    ))
    .await;
}

/// Checks that everything in the outbox was said, in the order of each sensor, and that only equal
/// messages have equal keys.
pub(crate) async fn assert_all_said(env: &TestEnv, posted: &[Posted]) {
    let mut of_keys: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut of_sensors: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for post in posted {
        let said = post.said();
        assert_eq!(of_keys.entry(&post.key).or_insert_with(|| said.clone()), &said, "{}", post.key);
        for (sensor, started, kind) in said {
            let told = of_sensors.entry(sensor).or_default();
            if !told.contains(&(started.clone(), kind.clone())) {
                told.push((started, kind));
            }
        }
    }
    let mut count = 0;
    for (sensor, told) in &of_sensors {
        let mut sorted = told.clone();
        sorted.sort_by_key(|(started, kind)| (started.clone(), kind == "ended"));
        assert_eq!(told, &sorted, "{sensor}");
        count += told.len();
    }
    assert_eq!(env.number("SELECT count(*) FROM notifications").await, count as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_tells_everything_in_order_and_repeats_have_the_same_key() {
    let receiver = HttpReceiver::start();
    let samples = Samples::new("city/mic-", SENSORS, now_seconds() - READINGS);
    let env = start(config(vec![route("hook", &receiver.url())])).await;
    let publisher = env.publisher();
    let engine = env.engine().await;
    samples.deliver(&publisher, 0..300).await;
    env.until_accounted(samples.records(300)).await;
    engine.kill();
    // These fail points end the process around the sending of the second message.
    let points: &[&str] = if cfg!(feature = "faults") { &["notify.before@2", "notify.after@2"] } else { &[] };
    samples.deliver(&publisher, 300..READINGS).await;
    for point in points {
        let mut engine = env.launch(&env.base(), &[("THICKET_FAULTS", point)]);
        let started = Instant::now();
        while engine.ended().is_none() {
            assert!(started.elapsed() < LIMIT, "{point}: {}", engine.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let _engine = env.engine().await;
    env.until_accounted(samples.records(READINGS)).await;
    env.until(PENDING, 0).await;
    let anomalies = env.number("SELECT count(*) FROM anomalies").await;
    assert!(anomalies >= SENSORS as i64, "{anomalies}");
    let ended = env.number("SELECT count(*) FROM anomalies WHERE ended IS NOT NULL").await;
    assert_eq!(env.number("SELECT count(*) FROM notifications").await, anomalies + ended);
    let posted = receiver.posted();
    assert_all_said(&env, &posted).await;
    if cfg!(feature = "faults") {
        let keys: BTreeSet<&str> = posted.iter().map(|post| post.key.as_str()).collect();
        assert!(keys.len() < posted.len(), "the message that was sent before the kill is repeated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_loses_nothing_and_gets_one_message_for_each_site_afterwards() {
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let env = start(config(vec![with(route("hook", &url), &[("group_levels", 1.into())])])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site-1/first", 1_000, 0.9).await;
    env.until_more_than("SELECT coalesce(max(attempts), 0) FROM notification_messages", 0).await;
    for number in 0..120 {
        open_anomaly(&env, &format!("site-{}/s-{number}", number % 2), 2_000 + number, 0.9).await;
    }
    end_anomaly(&env, "site-1/first", 1_000).await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'waiting'", 121).await;
    let list = json(&env.thicket(&["notify", "list", "--json", "--limit", "1000"]));
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 122);
    let sending = list.iter().find(|row| row["state"] == "sending").unwrap();
    assert!(sending["error"].as_str().unwrap().contains("refused"), "{sending}");
    assert!(engine.metric("thicket_notification_failures_total").await >= 1.0);

    let receiver = HttpReceiver::start_on(port);
    env.until(PENDING, 0).await;
    let posted = receiver.posted();
    assert_eq!(posted.len(), 3, "the first message, and one for each site");
    assert_all_said(&env, &posted).await;
    let of_site = posted[1..].iter().map(Posted::json).find(|post| post["site"] == "site-1").unwrap();
    assert_eq!(of_site["title"], "61 anomalies at site-1, 60 open");
    assert!(of_site["text"].as_str().unwrap().ends_with("and 51 more"), "{of_site}");
    engine.until_metric("thicket_notifications_sent_total", 122.0).await;
    assert!(stdout(&env.thicket(&["notify", "list"])).contains("no notifications"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_announces_only_what_its_conditions_allow() {
    let receiver = HttpReceiver::start();
    let grave = with(
        route("grave", &receiver.url()),
        &[
            ("min_grade", 0.9.into()),
            ("sensors", "site-1/*".into()),
            ("remind_every", "1s".into()),
            ("kinds", vec!["opened", "ended", "reminder", "label"].into()),
        ],
    );
    let env = start(config(vec![grave])).await;
    let _engine = env.engine().await;
    let said = || receiver.posted().iter().flat_map(Posted::said).collect::<Vec<_>>();
    let count =
        |sensor: &str, kind: &str| said().iter().filter(|(of, _, said)| of == sensor && said == kind).count();
    open_anomaly(&env, "site-2/elsewhere", 1_000, 1.0).await;
    open_anomaly(&env, "site-1/slight", 1_000, 0.5).await;
    open_anomaly(&env, "site-1/grows", 1_000, 0.5).await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'held'", 2).await;
    env.execute(
        "UPDATE anomalies SET peak_grade = 0.95 FROM sensors WHERE id = sensor AND name = 'site-1/grows'",
    )
    .await;
    end_anomaly(&env, "site-1/slight", 1_000).await;
    until("two reminders", || count("site-1/grows", "reminder") >= 2).await;
    let started = "1970-01-01T00:16:40Z";
    assert!(env.thicket(&["anomalies", "label", "site-1/grows", started, "true"]).status.success());
    until("the label", || count("site-1/grows", "label") == 1).await;

    let silenced = env.thicket(&["notify", "silence", "site-1/quiet", "--for", "1h", "--author", "ada"]);
    assert!(stdout(&silenced).starts_with("silence 1: site-1/quiet until "), "{}", stderr(&silenced));
    open_anomaly(&env, "site-1/quiet", 1_000, 1.0).await;
    open_anomaly(&env, "site-1/loud", 1_000, 1.0).await;
    until("the other sensor", || count("site-1/loud", "opened") == 1).await;
    assert_eq!(count("site-1/quiet", "opened"), 0);
    let silences = json(&env.thicket(&["notify", "silences", "--json"]));
    assert_eq!((&silences[0]["pattern"], &silences[0]["author"]), (&"site-1/quiet".into(), &"ada".into()));
    assert!(env.thicket(&["notify", "unsilence", "1"]).status.success());
    assert_eq!(env.thicket(&["notify", "unsilence", "1"]).status.code(), Some(1));
    until("the silence is over", || count("site-1/quiet", "opened") == 1).await;

    end_anomaly(&env, "site-1/grows", 1_000).await;
    until("the end", || count("site-1/grows", "ended") == 1).await;
    let dropped =
        "SELECT count(*) FROM notification_deliveries WHERE state = 'dropped' AND kind <> 'reminder'";
    env.until(dropped, 2).await;
    assert_eq!((count("site-1/slight", "opened"), count("site-1/slight", "ended")), (0, 0));
    assert_eq!(count("site-2/elsewhere", "opened"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_have_its_name_from_the_default() {
    let receiver = HttpReceiver::start();
    let mut nameless = route("", &receiver.url());
    nameless.remove("name");
    let env = start(config(vec![nameless]).set("notify.route.name", "default")).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    until("the message", || receiver.posted().len() == 1).await;
    assert_eq!(receiver.posted()[0].json()["route"], "default");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_is_given_up_and_the_next_ones_are_sent() {
    let receiver = HttpReceiver::start();
    receiver.answer(Answer::Status(503));
    let env = start(config(vec![route("hook", &receiver.url())])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    let attempts = "SELECT coalesce(max(attempts), 0) FROM notification_messages";
    env.until_more_than(attempts, 0).await;
    receiver.answer(Answer::Status(422));
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'failed'", 1).await;
    engine.until_metric("thicket_notifications_failed_total", 1.0).await;
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("failed") && list.contains("attempts: HTTP 422"), "{list}");
    assert!(env.number(attempts).await > 3, "three refusals, whatever else failed before: {list}");
    receiver.answer(Answer::Status(200));
    open_anomaly(&env, "site-1/b", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!(receiver.posted().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_goes_on_when_one_stops() {
    let receiver = HttpReceiver::start();
    let env = start(config(vec![route("hook", &receiver.url())])).await;
    let first = env.engine().await;
    let second = env.launch(&env.base(), &[]);
    second.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    until("the first message", || receiver.posted().len() == 1).await;
    first.kill();
    open_anomaly(&env, "site-1/b", 1_000, 1.0).await;
    until("the second message", || receiver.posted().len() == 2).await;
    let third = env.launch(&env.base(), &[]);
    third.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    assert!(second.terminate().await.success());
    open_anomaly(&env, "site-1/c", 1_000, 1.0).await;
    until("the third message", || receiver.posted().len() == 3).await;
    assert!(third.terminate().await.success());
    let keys: BTreeSet<String> = receiver.posted().into_iter().map(|post| post.key).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_can_be_tested_without_an_engine() {
    let receiver = HttpReceiver::start();
    let secret = std::env::temp_dir().join(format!("thicket-token-{}", std::process::id()));
    std::fs::write(&secret, "s3cret\n").unwrap();
    let shapes = ["json", "slack", "teams", "ntfy", "pagerduty", "alertmanager"];
    let routes = shapes.map(|shape| {
        let url = format!("{}/{shape}", receiver.url());
        let file = secret.to_str().unwrap().into();
        with(route(shape, &url), &[("shape", shape.into()), ("token_file", file)])
    });
    let own = with(
        route("own", &receiver.url()),
        &[("template", "{{ title }} of {{ message.key | tojson }}".into())],
    );
    let away = route("away", &format!("http://127.0.0.1:{}", free_port()));
    let env = start(config(routes.into_iter().chain([own, away]).collect())).await;
    for shape in shapes {
        let tested = env.thicket(&["notify", "test", shape]);
        assert!(tested.status.success(), "{shape}: {}", stderr(&tested));
    }
    let posted = receiver.posted();
    let [json_body, slack, teams, ntfy, pagerduty, alertmanager] = posted.as_slice() else {
        panic!("{posted:?}");
    };
    assert_eq!(json_body.json()["is_test"], true);
    assert_eq!(json_body.authorization, "Bearer s3cret");
    assert!(slack.json()["text"].as_str().unwrap().contains("value was 71, expected 40 to 48"));
    assert_eq!(teams.json()["attachments"][0]["content"]["type"], "AdaptiveCard");
    assert_eq!((ntfy.path.as_str(), &ntfy.json()["topic"]), ("/", &"ntfy".into()));
    assert_eq!(
        (&pagerduty.json()["routing_key"], &pagerduty.json()["event_action"]),
        (&"s3cret".into(), &"resolve".into())
    );
    assert_eq!(alertmanager.json()[0]["labels"]["alertname"], "ThicketAnomaly");

    assert!(env.thicket(&["notify", "test", "own"]).status.success());
    assert!(receiver.posted()[6].body.starts_with("Test of the route own"));
    let away = env.thicket(&["notify", "test", "away"]);
    assert_eq!(away.status.code(), Some(1));
    assert!(stderr(&away).contains("the receiver of away has not accepted"), "{}", stderr(&away));
    let unknown = env.thicket(&["notify", "test", "nobody"]);
    assert!(stderr(&unknown).contains("they are json, slack"), "{}", stderr(&unknown));
    let shown = stdout(&env.thicket(&["config"]));
    assert!(!shown.contains("s3cret") && shown.contains("http://127.0.0.1"), "{shown}");
    assert!(!shown.contains("/slack\""), "the path of a webhook is secret: {shown}");
    std::fs::remove_file(secret).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn e_mail_names_the_anomalies() {
    let server = SmtpReceiver::start().await.unwrap();
    let mail = with(
        route("mail", &server.url()),
        &[
            ("receiver", "email".into()),
            ("from", "Thicket <thicket@example.org>".into()),
            ("to", vec!["ada@example.org", "bob@example.org"].into()),
        ],
    );
    let env = start(config(vec![mail])).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    until("a mail", || server.mails().len() == 1).await;
    let mail = server.mails().remove(0);
    for part in [
        "RCPT TO:<ada@example.org>",
        "RCPT TO:<bob@example.org>",
        "Subject: Anomaly at site-1/a",
        "Message-ID: <thicket-",
        "a was 71, expected 40 to 48",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
}

/// Returns the retained messages of a filter.
pub(crate) async fn retained(env: &TestEnv, filter: &str) -> BTreeMap<String, serde_json::Value> {
    let found = receivers::retained(env.servers.mosquitto.port(), filter).await.unwrap();
    found.into_iter().map(|(topic, payload)| (topic, serde_json::from_slice(&payload).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_retains_an_anomaly_while_it_goes_on() {
    let env = start(TestEnv::config()).await;
    let (user, password) = broker_login();
    let login = [("receiver", "mqtt".into()), ("username", user.into()), ("password", password.into())];
    let mqtt = with(route("broker", &env.servers.mosquitto.url()), &login);
    let with_discovery = with(mqtt.clone(), &[("home_assistant", "homeassistant".into())]);
    let engine = env.engine_with(&config(vec![with_discovery])).await;
    for sensor in ["site-1/a", "site-2/b"] {
        open_anomaly(&env, sensor, 1_000, 1.0).await;
    }
    env.until(PENDING, 0).await;
    let found = retained(&env, "thicket/anomalies/#").await;
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["thicket/anomalies/site-1/a", "thicket/anomalies/site-2/b"]
    );
    let anomaly = &found["thicket/anomalies/site-1/a"];
    assert_eq!(
        (&anomaly["status"], &anomaly["why"]),
        (&"open".into(), &"a was 71, expected 40 to 48".into())
    );
    let discovered = retained(&env, "homeassistant/binary_sensor/+/config").await;
    let topics: Vec<_> = discovered.values().map(|config| config["state_topic"].as_str().unwrap()).collect();
    assert_eq!(topics.len(), 2);
    assert!(topics.contains(&"thicket/anomalies/site-2/b"), "{topics:?}");

    engine.kill();
    end_anomaly(&env, "site-1/a", 1_000).await;
    let _engine = env.engine_with(&config(vec![mqtt])).await;
    env.until(PENDING, 0).await;
    let found = retained(&env, "thicket/anomalies/#").await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["thicket/anomalies/site-2/b"]);
}
