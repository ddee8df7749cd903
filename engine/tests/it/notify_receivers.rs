//! Receivers of notifications that limit, refuse, do not answer, or speak TLS; and the bounds of
//! what waits for them.

use std::collections::BTreeSet;
use std::path::Path;

use thicket_connect::{ServerConfig, server_config};
use thicket_testkit::certificates::{Authority, Validity};
use thicket_testkit::receivers::{Answer, HttpReceiver, SmtpReceiver, SmtpTls, tls_proxy};
use thicket_testkit::timing::until;
use thicket_testkit::{Engine, TestEnv, broker_login, receivers};
use toml::Value;

use crate::notify_support::{
    PENDING, assert_all_said, config, end_anomaly, open_anomaly, retained, route, with,
};
use crate::support::{json, start, stderr, stdout};

const WAITING: &str = "SELECT count(*) FROM notification_deliveries WHERE state = 'waiting'";
const ATTEMPTS: &str = "SELECT coalesce(max(attempts), 0) FROM notification_messages";
/// Seconds from the last attempt to the next one.
const WAIT: &str = "SELECT max(extract(epoch FROM next_attempt - changed))::bigint FROM notification_messages
    WHERE state = 'sending'";

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_limited_and_the_rest_waits_and_becomes_few_messages() {
    const SITES: i64 = 9;
    let receiver = HttpReceiver::start();
    let limited = [("max_per_minute", 3.into()), ("group_levels", 1.into())];
    let env = start(config(vec![with(route("hook", &receiver.url()), &limited)])).await;
    // The minute of a message begins tomorrow, and is over when this test says so.
    env.execute("ALTER TABLE notification_messages ALTER created SET DEFAULT now() + interval '1 day'").await;
    let engine = env.engine().await;
    for number in 0..SITES {
        open_anomaly(&env, &format!("site-{number}/a"), 1_000 + number, 1.0).await;
    }
    env.until(WAITING, SITES - 3).await;
    // The third message may be composed, but not sent yet.
    until("three messages", async || receiver.posted().len() == 3).await;
    // More at the sites that wait.
    for number in 0..SITES {
        open_anomaly(&env, &format!("site-{number}/b"), 2_000 + number, 1.0).await;
    }
    env.until(WAITING, SITES - 3 + SITES).await;
    engine.until_metric("thicket_notifications_waiting", (SITES - 3 + SITES) as f64).await;
    let list = json(&env.thicket(&["notify", "list", "--json"]));
    assert_eq!(list.as_array().unwrap().len() as i64, SITES - 3 + SITES, "what waits is listed");
    assert_eq!(receiver.posted().len(), 3);
    for minute in 2..=4 {
        env.execute("UPDATE notification_messages SET created = now() - interval '1 minute'").await;
        until("three messages a minute", async || receiver.posted().len() == 3 * minute).await;
    }
    env.until(PENDING, 0).await;
    let posted = receiver.posted();
    assert_all_said(&env, &posted).await;
    assert_eq!(posted.len(), 12, "three for the first sites, then one for each site");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_max_waiting_new_anomalies_are_not_announced_and_are_counted() {
    let receiver = HttpReceiver::start();
    receiver.answer(Answer::Status(503));
    let env = start(config(vec![route("hook", &receiver.url())]).set("notify.max_waiting", 5)).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site/first", 1_000, 1.0).await;
    env.until_more_than(ATTEMPTS, 0).await;
    let sensors: Vec<String> = (0..8).map(|number| format!("site/s-{number}")).collect();
    for sensor in &sensors {
        open_anomaly(&env, sensor, 2_000, 1.0).await;
    }
    engine.until_metric("thicket_notifications_refused_total", 3.0).await;
    assert!(engine.log().contains("notify.max_waiting notifications wait"), "{}", engine.log());
    env.until(WAITING, 5).await;
    // The end of an announced anomaly waits, too, above the bound.
    for sensor in &sensors {
        end_anomaly(&env, sensor, 2_000).await;
    }
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'dropped'", 3).await;
    receiver.answer(Answer::Status(200));
    env.execute("UPDATE notification_messages SET next_attempt = now()").await;
    env.until(PENDING, 0).await;
    let said: Vec<_> = receiver.posted().iter().flat_map(receivers::Posted::said).collect();
    let count = |kind: &str| said.iter().filter(|(_, _, said)| said == kind).count();
    assert_eq!((count("opened"), count("ended")), (6, 5), "the oldest are announced: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_decides_when_the_next_attempt_is() {
    let receiver = HttpReceiver::start();
    let env = start(config(vec![route("hook", &receiver.url())])).await;
    let _engine = env.engine().await;
    receiver.answer(Answer::Later(429, "120".to_owned()));
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until(ATTEMPTS, 1).await;
    assert_eq!(env.number(WAIT).await, 120);
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("the receiver asks to wait 120 s"), "{list}");

    let date = chrono::Utc::now() + chrono::TimeDelta::seconds(1_000);
    receiver.answer(Answer::Later(503, date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
    env.execute("UPDATE notification_messages SET next_attempt = now()").await;
    env.until(ATTEMPTS, 2).await;
    assert!((500..=1_000).contains(&env.number(WAIT).await));

    // Without a wish of the receiver, the wait doubles with each attempt. An hour later, it is five
    // minutes. The waits after the first attempts are too short to be seen here.
    receiver.answer(Answer::Status(500));
    env.execute("UPDATE notification_messages SET next_attempt = now(), attempts = 7").await;
    env.until(ATTEMPTS, 8).await;
    assert_eq!(env.number(WAIT).await, 128);
    env.execute("UPDATE notification_messages SET next_attempt = now(), attempts = 40, created = now() - interval '1 hour'")
        .await;
    env.until(ATTEMPTS, 41).await;
    assert_eq!(env.number(WAIT).await, 300);
    receiver.answer(Answer::Status(200));
    env.execute("UPDATE notification_messages SET next_attempt = now()").await;
    env.until(PENDING, 0).await;
    assert_eq!(receiver.posted().len(), 1);
    let keys: BTreeSet<String> = receiver.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!((keys.len(), receiver.asked().len()), (1, 5), "every attempt has the same key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_is_left_and_what_waits_too_long_is_given_up() {
    let receiver = HttpReceiver::start();
    receiver.answer(Answer::Never);
    let hasty = [("timeout", "1s".into()), ("give_up_after", "1h".into())];
    let env = start(config(vec![with(route("hook", &receiver.url()), &hasty)])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until_more_than(ATTEMPTS, 0).await;
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("timeout") || list.contains("no answer within 1 s"), "{list}");
    env.execute(
        "UPDATE notification_messages SET created = now() - interval '2 hours', next_attempt = now()",
    )
    .await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'failed'", 1).await;
    engine.until_metric("thicket_notifications_failed_total", 1.0).await;
    receiver.answer(Answer::Status(200));
    open_anomaly(&env, "site/b", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!(receiver.posted().len(), 1);
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("failed") && list.contains("site/a"), "what was given up stays listed: {list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_notifications_are_deleted_but_not_those_of_an_anomaly_that_goes_on() {
    const ROWS: &str =
        "SELECT (SELECT count(*) FROM notifications) + (SELECT count(*) FROM notification_deliveries)
        + (SELECT count(*) FROM notification_messages)";
    let receiver = HttpReceiver::start();
    let env = start(config(vec![route("hook", &receiver.url())])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site/over", 1_000, 1.0).await;
    open_anomaly(&env, "site/open", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    end_anomaly(&env, "site/over", 1_000).await;
    env.until(PENDING, 0).await;
    engine.kill();
    let aged =
        |table: &str, column: &str| format!("UPDATE {table} SET {column} = {column} - interval '8 days';");
    env.execute(
        &[
            ("notifications", "stored"),
            ("notification_deliveries", "changed"),
            ("notification_messages", "changed"),
        ]
        .map(|(table, column)| aged(table, column))
        .concat(),
    )
    .await;
    let _engine = env.engine().await;
    env.until(ROWS, 1).await;
    let kept = env.texts("SELECT name FROM notification_deliveries").await;
    assert_eq!(kept, ["(site/open)"]);
    end_anomaly(&env, "site/open", 1_000).await;
    env.until(PENDING, 0).await;
    let said: Vec<_> = receiver.posted().iter().flat_map(receivers::Posted::said).collect();
    assert_eq!(said.iter().filter(|(_, _, kind)| kind == "ended").count(), 2, "{said:?}");
}

/// Returns the settings of a server with a certificate for `localhost`.
fn tls(ca: &Authority, directory: &Path) -> ServerConfig {
    let files = ca.server(directory, "localhost", Validity::Now).unwrap();
    server_config(&files.cert, &files.key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_with_tls_are_trusted_by_the_ca_of_the_route() {
    let env = start(TestEnv::config()).await;
    let ca = Authority::new(env.path(), "ca").unwrap();
    let other = Authority::new(env.path(), "other").unwrap();
    let https = HttpReceiver::start_with_tls(tls(&ca, env.path()));
    let smtps = SmtpReceiver::start_with_tls(SmtpTls::Wrapped, tls(&ca, env.path())).await.unwrap();
    let starttls = SmtpReceiver::start_with_tls(SmtpTls::Upgraded, tls(&ca, env.path())).await.unwrap();
    let mqtts = tls_proxy(env.servers.mosquitto.port(), tls(&ca, env.path())).await.unwrap();
    let (user, password) = broker_login();
    let mail: [(&str, Value); 3] = [
        ("receiver", "email".into()),
        ("from", "thicket@example.org".into()),
        ("to", vec!["ada@example.org"].into()),
    ];
    let login: [(&str, Value); 3] =
        [("receiver", "mqtt".into()), ("username", user.into()), ("password", password.into())];
    let routes = |ca: &Authority| {
        let trusting = [("ca", ca.cert.to_str().unwrap().into())];
        let routes = vec![
            route("https", &https.url()),
            with(route("smtps", &smtps.url()), &mail),
            with(route("starttls", &starttls.url()), &mail),
            with(route("mqtts", &format!("mqtts://localhost:{mqtts}")), &login),
        ];
        config(routes.into_iter().map(|route| with(route, &trusting)).collect())
    };
    for name in ["https", "smtps", "starttls", "mqtts"] {
        let tested = env.thicket_with(&["notify", "test", name], &routes(&other));
        assert_eq!(tested.status.code(), Some(1), "{name} trusts a CA that it should not");
        assert!(stderr(&tested).to_lowercase().contains("certificate"), "{name}: {}", stderr(&tested));
        let tested = env.thicket_with(&["notify", "test", name], &routes(&ca));
        assert!(tested.status.success(), "{name}: {}", stderr(&tested));
    }
    let engine: Engine = env.engine_with(&routes(&ca)).await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!((https.posted().len(), smtps.mails().len(), starttls.mails().len()), (2, 2, 2));
    assert_eq!(retained(&env, "thicket/anomalies/#").await.len(), 1);
    drop(engine);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_no_mailbox_takes_is_given_up() {
    let server = SmtpReceiver::start().await.unwrap();
    server.refuse("550 5.1.1 no such mailbox");
    let mail = [
        ("receiver", "email".into()),
        ("from", "thicket@example.org".into()),
        ("to", vec!["ada@example.org"].into()),
    ];
    let env = start(config(vec![with(route("mail", &server.url()), &mail)])).await;
    let _engine = env.engine().await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'failed'", 1).await;
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("3 attempts") && list.contains("no such mailbox"), "{list}");
    server.refuse("");
    open_anomaly(&env, "site/b", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!(server.mails().len(), 1);
}

/// Returns the mails with this recipient.
fn mails_to(server: &SmtpReceiver, address: &str) -> Vec<String> {
    let recipient = format!("RCPT TO:<{address}>");
    server.mails().into_iter().filter(|mail| mail.contains(&recipient)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_is_refused_takes_the_mail_from_nobody_else() {
    let server = SmtpReceiver::start().await.unwrap();
    server.refuse_recipient("left@example.org", "550 5.1.1 no such mailbox");
    server.refuse_recipient("full@example.org", "452 4.2.2 mailbox full");
    let mail = [
        ("receiver", "email".into()),
        ("from", "thicket@example.org".into()),
        ("to", vec!["full@example.org", "left@example.org", "ada@example.org"].into()),
    ];
    let env = start(config(vec![with(route("mail", &server.url()), &mail)])).await;
    let engine = env.engine().await;
    open_anomaly(&env, "site/a", 1_000, 1.0).await;
    env.until_more_than(ATTEMPTS, 1).await;
    assert_eq!(mails_to(&server, "ada@example.org").len(), 1, "a repeat is only for the others");
    let list = stdout(&env.thicket(&["notify", "list"]));
    assert!(list.contains("full@example.org") && list.contains("mailbox full"), "{list}");
    let log = engine.log();
    assert_eq!(log.matches("left@example.org").count(), 1, "a line a minute: {log}");

    server.refuse_recipient("full@example.org", "");
    env.execute("UPDATE notification_messages SET next_attempt = now()").await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'sent'", 1).await;
    let mails = server.mails();
    assert_eq!((mails.len(), mails_to(&server, "full@example.org").len()), (2, 1), "{mails:?}");
    let id = |mail: &String| mail.lines().find(|line| line.starts_with("Message-ID:")).map(str::to_owned);
    assert_eq!(id(&mails[0]), id(&mails[1]));

    // The next mail, and then an address that is accepted again.
    open_anomaly(&env, "site/b", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!(mails_to(&server, "ada@example.org").len(), 2);
    server.refuse_recipient("left@example.org", "");
    open_anomaly(&env, "site/c", 1_000, 1.0).await;
    env.until(PENDING, 0).await;
    assert_eq!(mails_to(&server, "left@example.org").len(), 1);

    // All are refused.
    server.refuse("550 5.7.1 not here");
    open_anomaly(&env, "site/d", 1_000, 1.0).await;
    env.until("SELECT count(*) FROM notification_deliveries WHERE state = 'failed'", 1).await;
}
