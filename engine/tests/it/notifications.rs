//! Notifications: from an anomaly to a receiver, whatever is killed or away meanwhile.

use std::collections::BTreeSet;

use thicket_testkit::receivers::{Answer, HttpReceiver, Posted, SmtpReceiver};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Samples, TestEnv, broker_login, free_port, log_lines};

use crate::notify_support::{
    PENDING, assert_all_said, config, end_anomaly, open_anomaly, retained, route, with,
};
use crate::support::{json, start, stderr, stdout};

const SENSORS: usize = 6;
/// Each sensor has a spike at reading 310.
const READINGS: i64 = 400;

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
        until(point, async || engine.ended().is_some()).await;
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
    let port = free_port().unwrap();
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
    until("two reminders", async || count("site-1/grows", "reminder") >= 2).await;
    let started = "1970-01-01T00:16:40Z";
    assert!(env.thicket(&["anomalies", "label", "site-1/grows", started, "true"]).status.success());
    until("the label", async || count("site-1/grows", "label") == 1).await;

    let silenced = env.thicket(&["notify", "silence", "site-1/quiet", "--for", "1h", "--author", "ada"]);
    assert!(stdout(&silenced).starts_with("silence 1: site-1/quiet until "), "{}", stderr(&silenced));
    open_anomaly(&env, "site-1/quiet", 1_000, 1.0).await;
    open_anomaly(&env, "site-1/loud", 1_000, 1.0).await;
    until("the other sensor", async || count("site-1/loud", "opened") == 1).await;
    assert_eq!(count("site-1/quiet", "opened"), 0);
    let silences = json(&env.thicket(&["notify", "silences", "--json"]));
    assert_eq!((&silences[0]["pattern"], &silences[0]["author"]), (&"site-1/quiet".into(), &"ada".into()));
    let for_ever = env.thicket(&["notify", "silence", "site-1/quiet", "--for", "400000y"]);
    assert_eq!(for_ever.status.code(), Some(2));
    assert!(stderr(&for_ever).contains("at most 10 years"), "{}", stderr(&for_ever));
    let decade = env.thicket(&["notify", "silence", "elsewhere", "--for", "10y"]);
    assert!(decade.status.success(), "{}", stderr(&decade));
    assert!(stderr(&decade).contains("no sensor's name matches elsewhere"), "{}", stderr(&decade));
    assert!(env.thicket(&["notify", "unsilence", "1"]).status.success());
    assert_eq!(env.thicket(&["notify", "unsilence", "1"]).status.code(), Some(1));
    until("the silence is over", async || count("site-1/quiet", "opened") == 1).await;
    let known = env.thicket(&["notify", "silence", "site-1/quiet", "--for", "1s"]);
    assert!(known.status.success() && stderr(&known).is_empty(), "{}", stderr(&known));

    end_anomaly(&env, "site-1/grows", 1_000).await;
    until("the end", async || count("site-1/grows", "ended") == 1).await;
    let dropped =
        "SELECT count(*) FROM notification_deliveries WHERE state = 'dropped' AND kind <> 'reminder'";
    env.until(dropped, 2).await;
    assert_eq!((count("site-1/slight", "opened"), count("site-1/slight", "ended")), (0, 0));
    assert_eq!(count("site-2/elsewhere", "opened"), 0);
}

/// The number of held notifications that one query reads.
const PAGE: i64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_announced_however_many_anomalies_are_held_before_it() {
    let receiver = HttpReceiver::start();
    let grave = with(route("grave", &receiver.url()), &[("min_grade", 0.9.into())]);
    let env = start(config(vec![grave]).set("notify.max_waiting", PAGE * 2)).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    env.execute(&format!(
        "INSERT INTO sensors (id, name, partition, fields, first_seen)
         SELECT n, 'site-2/' || n, 1, '{{a}}', now() FROM generate_series(1, {PAGE}) n;
         INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions, actual, expected, low, high, counters)
         SELECT n, to_timestamp(1000), to_timestamp(1000), 9, 0.5, 3, '{{a}}', '{{1}}', '{{71}}', '{{44}}', '{{40}}', '{{48}}', '{{false}}'
         FROM generate_series(1, {PAGE}) n;
         WITH stored AS (
             INSERT INTO notifications (sensor, started, kind, is_routed)
             SELECT n, to_timestamp(1000), 'opened', true FROM generate_series(1, {PAGE}) n RETURNING *)
         INSERT INTO notification_deliveries (route, sensor, name, started, kind, position, site)
         SELECT 'grave', sensor, 'site-2/' || sensor, started, kind, id, 'site-2/' || sensor FROM stored"
    ))
    .await;
    end_anomaly(&env, "site-1/a", 1_000).await;
    open_anomaly(&env, "site-1/b", 1_000, 1.0).await;
    env.until(PENDING, PAGE).await;
    let said: Vec<_> = receiver.posted().iter().flat_map(Posted::said).collect();
    let told = said.iter().map(|(sensor, _, kind)| format!("{sensor} {kind}")).collect::<Vec<_>>();
    assert_eq!(told, ["site-1/a opened", "site-1/a ended", "site-1/b opened"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_is_told_of_an_anomaly_that_is_over_when_its_message_is_sent() {
    let receiver = HttpReceiver::start();
    receiver.answer(Answer::Status(503));
    let keys = [("shape", "pagerduty".into()), ("token", "s3cret".into())];
    let env = start(config(vec![with(route("pager", &receiver.url()), &keys)])).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until_more_than("SELECT coalesce(max(attempts), 0) FROM notification_messages", 0).await;
    end_anomaly(&env, "site/a", 1_000).await;
    receiver.answer(Answer::Status(200));
    env.until(PENDING, 0).await;
    let told: Vec<_> = receiver
        .posted()
        .iter()
        .map(|posted| {
            let body = posted.json();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            (text(&body["event_action"]), text(&body["dedup_key"]), posted.key.clone())
        })
        .collect();
    let actions: Vec<&str> = told.iter().map(|(action, ..)| action.as_str()).collect();
    // The second message has only the end.
    assert_eq!(actions, ["trigger", "resolve", "resolve"]);
    assert!(told.iter().all(|(_, incident, _)| *incident == told[0].1), "{told:?}");
    let keys: BTreeSet<&str> = told.iter().map(|(.., key)| key.as_str()).collect();
    assert_eq!(keys.len(), 3, "each request has a key of its own: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_may_have_its_name_from_the_default() {
    let receiver = HttpReceiver::start();
    let mut nameless = route("", &receiver.url());
    nameless.remove("name");
    let env = start(config(vec![nameless]).set("notify.route.name", "default")).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    until("the message", async || receiver.posted().len() == 1).await;
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
    until("the first message", async || receiver.posted().len() == 1).await;
    // A message that is not noted as sent would be repeated.
    env.until(PENDING, 0).await;
    first.kill();
    open_anomaly(&env, "site-1/b", 1_000, 1.0).await;
    until("the second message", async || receiver.posted().len() == 2).await;
    env.until(PENDING, 0).await;
    let third = env.launch(&env.base(), &[]);
    third.until_logged(log_lines::SUBSCRIPTION_HELD).await;
    assert!(second.terminate().await.success());
    open_anomaly(&env, "site-1/c", 1_000, 1.0).await;
    until("the third message", async || receiver.posted().len() == 3).await;
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
    let away = route("away", &format!("http://127.0.0.1:{}", free_port().unwrap()));
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
    until("a mail", async || server.mails().len() == 1).await;
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

/// Returns the line of a mail by which a receiver recognises a repeat.
fn message_id(mail: &str) -> String {
    mail.lines().find(|line| line.starts_with("Message-ID:")).expect("a Message-ID").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_repeated_has_the_same_message_id_whatever_is_killed() {
    let server = SmtpReceiver::start().await.unwrap();
    server.refuse_mails("451 4.3.0 try again later");
    let mail = [
        ("receiver", "email".into()),
        ("from", "thicket@example.org".into()),
        ("to", vec!["ada@example.org"].into()),
    ];
    let env = start(config(vec![with(route("mail", &server.url()), &mail)])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site-1/a", 1_000, 1.0).await;
    until("a mail is refused", async || !server.refused().is_empty()).await;
    engine.kill();
    server.refuse_mails("");
    env.execute("UPDATE notification_messages SET next_attempt = now()").await;
    // The process ends once the server has accepted the mail, and before that is stored.
    let points: &[&str] = if cfg!(feature = "faults") { &["notify.after@1"] } else { &[] };
    for point in points {
        let mut engine = env.launch(&env.base(), &[("THICKET_FAULTS", point)]);
        until(point, async || engine.ended().is_some()).await;
    }
    let _engine = env.engine().await;
    env.until(PENDING, 0).await;
    let accepted = server.mails();
    assert_eq!(accepted.len(), 1 + points.len());
    let ids: BTreeSet<String> =
        server.refused().iter().chain(&accepted).map(|mail| message_id(mail)).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
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
