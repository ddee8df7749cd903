//! `thicket deadletter`: dead letters are shown, replayed and deleted. No reading is stored twice,
//! and the ledger still balances. `thicket quarantine`: readings that are skipped.

use std::process::Output;

use thicket_schema::Flag;
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, TestEnv, log_lines};

use crate::support::{json, start, stderr, stdout};

fn config() -> Config {
    TestEnv::config()
}

fn keys(output: &Output) -> Vec<String> {
    json(output).as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_republished_to_their_topic_once() {
    let without_template = config().set("mqtt.topics", vec!["sensors/#", "plant/#"]);
    let templates = vec!["sensors/{sensor...}", "plant/{sensor...}"];
    let env = start(without_template.clone().set("mqtt.templates", templates)).await;
    let engine = env.engine_with(&without_template).await;
    let publisher = env.publisher();
    publisher.publish("plant/pump", "21.50").await;
    publisher.publish("plant/pump", format!("{{\"ts\":{},\"value\":3}}", now_seconds() - 10)).await;
    publisher.publish("sensors/a", "nonsense\u{1b}[2J").await;
    publisher.publish("sensors/a", vec![0xff, 0x00]).await;
    env.until_accounted(4).await;
    assert!(engine.terminate().await.success());

    let waiting = env.thicket(&["deadletter", "list", "--topic", "plant/*", "--json"]);
    let waiting = keys(&waiting);
    assert_eq!(waiting.len(), 2);
    let shown = stdout(&env.thicket(&["deadletter", "show", "--topic", "sensors/a"]));
    assert!(
        shown.contains("ff 00") && shown.contains("nonsense\\u{1b}[2J") && shown.contains("replayed  never"),
        "{shown}"
    );

    let _engine = env.engine().await;
    let dry = env.thicket(&["deadletter", "replay", "--topic", "plant/*", "--dry-run", "--json"]);
    assert!(dry.status.success(), "{}", stdout(&dry));
    assert_eq!(json(&dry)[0]["outcome"], "would_be_replayed");
    let done = env.thicket(&["deadletter", "replay", &waiting[0], &waiting[1]]);
    assert!(done.status.success(), "{}{}", stdout(&done), stderr(&done));
    assert!(stdout(&done).contains("2 dead letters replayed, 0 refused"), "{}", stdout(&done));
    env.until_accounted(6).await;
    let same = format!(
        "SELECT count(*) FROM readings r JOIN dead_letters d ON d.received = r.ts AND d.replayed IS NOT NULL
         WHERE r.\"values\" = '{{21.5}}' AND r.flags & {} = 0",
        Flag::Stamped.bit()
    );
    assert_eq!(env.number(&same).await, 1, "the reading has the time of its first arrival");

    let refused = env.thicket(&["deadletter", "replay", &waiting[0]]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("--again"), "{}", stdout(&refused));
    let nothing = env.thicket(&["deadletter", "replay", "--topic", "plant/*"]);
    assert!(
        nothing.status.success() && stdout(&nothing).contains("0 dead letters replayed"),
        "{}",
        stdout(&nothing)
    );
    let again = env.thicket(&["deadletter", "replay", "--topic", "plant/*", "--again"]);
    assert!(again.status.success(), "{}", stdout(&again));
    env.until_accounted(8).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 2);
    assert_eq!(env.number("SELECT sum(duplicates) FROM ledger").await, 2);

    // A dry run reports that a message would become a dead letter again.
    let wrong = env.thicket(&["deadletter", "replay", "--topic", "sensors/a", "--dry-run"]);
    assert!(stdout(&wrong).contains("a dead letter again: malformed_json"), "{}", stdout(&wrong));
    let missing = env.thicket(&["deadletter", "show", "03/1-1/0"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("03/1-1/0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_was_resolved_is_stored_with_its_own_time() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    let ts = now_seconds() - 100;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{ts}.5,\"level\":1}}")).await;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{ts}.5,\"level\":2.25}}")).await;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{},\"level\":1}}", ts + 1)).await;
    env.until_accounted(3).await;
    // An engine that runs knows its last readings.
    assert!(engine.terminate().await.success());
    env.execute("UPDATE readings SET ts = ts - interval '1 second' WHERE seq = 1").await;
    let _engine = env.engine().await;
    let done = env.thicket(&["deadletter", "replay", "--reason", "timestamp_conflict"]);
    assert!(done.status.success(), "{}{}", stdout(&done), stderr(&done));
    env.until_accounted(4).await;
    let late = format!(
        "SELECT count(*) FROM readings WHERE \"values\" = '{{2.25}}' AND ts = to_timestamp({ts}.5) AND flags & {} <> 0",
        Flag::Late.bit()
    );
    assert_eq!(env.number(&late).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_several_dead_letters_is_published_once() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    let ts = now_seconds() - 10;
    publisher.publish("sensors/a", format!(r#"[{{"a":"x"}},{{"ts":{ts},"a":1}},{{"a":"y"}}]"#)).await;
    env.until_accounted(3).await;
    let done = env.thicket(&["deadletter", "replay", "--topic", "sensors/a"]);
    assert!(stdout(&done).contains("2 dead letters replayed, 0 refused"), "{}", stdout(&done));
    publisher.publish("sensors/b", "1").await;
    env.until_accounted(7).await;
    let letters = "SELECT count(*) FILTER (WHERE replayed IS NULL), count(*) FROM dead_letters";
    assert_eq!(env.texts(letters).await, ["(2,4)"]);
    assert_eq!(env.number("SELECT sum(duplicates) FROM ledger").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_letters_are_shown_and_replayed_page_by_page() {
    let env = start(config()).await;
    // Three of each message, so that some messages are on two pages.
    env.execute(
        "INSERT INTO dead_letters (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content)
         SELECT 1, 1, n, item, now() - make_interval(secs => n), 'no_topic_template', '', 'sensors/a', '21', 2, 0
         FROM generate_series(1, 75) n, generate_series(0, 2) item",
    )
    .await;
    let _engine = env.engine().await;
    let shown = env.thicket(&["deadletter", "show", "--topic", "sensors/a", "--json"]);
    assert_eq!(keys(&shown).len(), 225);
    let text = stdout(&env.thicket(&["deadletter", "show", "--topic", "sensors/a"]));
    assert_eq!((text.matches("\n\nkey ").count(), text.matches("key ").count()), (224, 225), "{text}");
    let replayed = env.thicket(&["deadletter", "replay", "--topic", "sensors/a", "--json"]);
    assert_eq!(keys(&replayed), keys(&shown));
    let nothing = env.thicket(&["deadletter", "replay", "--topic", "sensors/a", "--json"]);
    assert_eq!(stdout(&nothing).trim_end(), "[]");
    let publisher = env.publisher();
    publisher.publish("sensors/b", "1").await;
    env.until_accounted(76).await;
    assert_eq!(env.number("SELECT count(*) FROM readings").await, 76);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_payload_was_cut_is_refused() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    publisher.publish("sensors/a", format!("[{}", "x".repeat(70_000))).await;
    env.until_accounted(1).await;
    let refused = env.thicket(&["deadletter", "replay", "--since", "1h"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("4096 of 70001 bytes"), "{}", stdout(&refused));
    assert_eq!(env.number("SELECT count(*) FROM dead_letters WHERE replayed IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_dead_letters_stay_in_the_ledger() {
    let env = start(config()).await;
    let _engine = env.engine().await;
    let publisher = env.publisher();
    for topic in ["sensors/a", "sensors/b", "sensors/c"] {
        publisher.publish(topic, "nonsense").await;
    }
    env.until_accounted(3).await;
    let asked = env.thicket(&["deadletter", "drop", "--topic", "sensors/a"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(stderr(&asked).contains("--yes"));
    let unnamed = env.thicket(&["deadletter", "drop", "--yes"]);
    assert_eq!(unnamed.status.code(), Some(2), "deleting all of them needs a filter that says so");
    let dropped = env.thicket(&["deadletter", "drop", "--topic", "sensors/[ab]", "--yes"]);
    assert!(stdout(&dropped).contains("0 dead letters deleted"), "{}", stdout(&dropped));
    let dropped = env.thicket(&["deadletter", "drop", "--topic", "sensors/a", "--yes", "--json"]);
    assert_eq!(json(&dropped)["dropped"], 1);
    let sums = "SELECT sum(dead_letters), sum(dead_letters_stored), sum(unaccounted) FROM ledger";
    assert_eq!(env.texts(sums).await, ["(3,2,0)"]);
    assert_eq!(env.number("SELECT count(*) FROM dead_letters").await, 2);
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_readings_are_mentioned_and_listed() {
    let env = start(config()).await;
    env.execute(
        "INSERT INTO quarantine (partition, generation, n, item, reason, sensor, ts, detail)
         VALUES (3, 7, 8, 9, 'poison', 'site/a', '2026-11-22 10:00Z', 'panicked')",
    )
    .await;
    let list = stdout(&env.thicket(&["deadletter", "list"]));
    assert!(list.contains("no dead letters") && list.contains("1 poison"), "{list}");
    let listed = stdout(&env.thicket(&["quarantine", "list"]));
    assert!(listed.contains("03/7-8/9") && listed.contains("site/a at 2026-11-22T10:00:00Z"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_the_broker_does_not_take_is_not_replayed() {
    let mut env = start(config()).await;
    env.execute(
        "INSERT INTO dead_letters (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content)
         VALUES (1, 2, 3, 4, now(), 'no_topic_template', '', 'sensors/a', '21', 2, 0),
                (1, 2, 3, 5, now(), 'no_topic_template', '', 'elsewhere/a', '21', 2, 0)",
    )
    .await;
    let elsewhere = env.thicket(&["deadletter", "replay", "01/2-3/5"]);
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(
        stdout(&elsewhere).contains("nothing in mqtt.topics receives elsewhere/a"),
        "{}",
        stdout(&elsewhere)
    );
    env.servers.mosquitto.stop().unwrap();
    let away = env.thicket(&["deadletter", "replay", "01/2-3/4"]);
    assert_eq!(away.status.code(), Some(1));
    assert!(stderr(&away).contains("start it or set mqtt.url"));
    let as_json = env.thicket(&["deadletter", "replay", "01/2-3/4", "--json"]);
    assert_eq!((as_json.status.code(), stdout(&as_json).trim()), (Some(1), "[]"));
    assert_eq!(env.number("SELECT count(*) FROM dead_letters WHERE replayed IS NULL").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_letters_are_one_log_line_and_the_list_shows_where_the_cause_is() {
    let env = start(config()).await;
    let engine = env.engine().await;
    let publisher = env.publisher();
    for sensor in 0..50 {
        publisher.publish(&format!("sensors/{sensor}"), r#"{"temperature":21,5,"humidity":48}"#).await;
    }
    publisher.publish("sensors/a", r#"{"level":1,"depth":2,"level":3}"#).await;
    env.until_accounted(51).await;
    engine.until_logged(log_lines::DEAD_LETTERS).await;
    let log = engine.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(log_lines::DEAD_LETTERS.text)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("reason=malformed_json") && lines[0].contains("topic="), "{}", lines[0]);

    let list = stdout(&env.thicket(&["deadletter", "list", "--topic", "sensors/7"]));
    assert!(list.contains(r#"at byte 18: {"temperature":21,▸5,"humidity":48}"#), "{list}");
    let twice = stdout(&env.thicket(&["deadletter", "show", "--topic", "sensors/a"]));
    assert!(twice.contains(r#"{"level":1,"depth":2,▸"level":3}"#), "{twice}");
}
