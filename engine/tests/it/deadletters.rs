//! `thicket deadletter`: letters are shown, put back, and deleted, and none of it is stored twice or forgotten by the ledger.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use std::process::Output;

use common::{Bed, now_seconds};

const SMALL: &str = "[queue]\npartitions = 4\n";
fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", stdout(output), String::from_utf8_lossy(&output.stderr)))
}

fn keys(output: &Output) -> Vec<String> {
    json(output).as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_back_through_the_front_door_once() {
    let bed = Bed::new().await;
    let broken = format!("mqtt.topics = [\"sensors/#\", \"plant/#\"]\n{SMALL}");
    let mended = format!("mqtt.templates = [\"sensors/{{sensor...}}\", \"plant/{{sensor...}}\"]\n{broken}");
    let engine = bed.engine(&broken).await;
    let mut publisher = bed.publisher();
    publisher.publish("plant/pump", "21.50").await;
    publisher.publish("plant/pump", format!("{{\"ts\":{},\"value\":3}}", now_seconds() - 10)).await;
    publisher.publish("sensors/a", "nonsense\u{1b}[2J").await;
    publisher.publish("sensors/a", vec![0xff, 0x00]).await;
    bed.until_accounted(4).await;
    assert!(engine.terminate().await.success());

    let waiting = bed.thicket(&["deadletter", "list", "--topic", "plant/*", "--json"], &mended);
    let waiting = keys(&waiting);
    assert_eq!(waiting.len(), 2);
    let shown = stdout(&bed.thicket(&["deadletter", "show", "--topic", "sensors/a"], &mended));
    assert!(
        shown.contains("ff 00") && shown.contains("nonsense\\u{1b}[2J") && shown.contains("replayed  never"),
        "{shown}"
    );

    let _engine = bed.engine(&mended).await;
    let dry = bed.thicket(&["deadletter", "replay", "--topic", "plant/*", "--dry-run", "--json"], &mended);
    assert!(dry.status.success(), "{}", stdout(&dry));
    assert_eq!(json(&dry)[0]["outcome"], "would_be_replayed");
    let done = bed.thicket(&["deadletter", "replay", &waiting[0], &waiting[1]], &mended);
    assert!(done.status.success(), "{}{}", stdout(&done), String::from_utf8_lossy(&done.stderr));
    assert!(stdout(&done).contains("2 letters replayed, 0 refused"), "{}", stdout(&done));
    bed.until_accounted(6).await;
    let same =
        "SELECT count(*) FROM readings r JOIN dead_letters d ON d.received = r.ts AND d.replayed IS NOT NULL
                WHERE r.\"values\" = '{21.5}' AND r.flags & 16 = 0";
    assert_eq!(bed.number(same).await, 1, "the reading has the time of its first arrival");

    let refused = bed.thicket(&["deadletter", "replay", &waiting[0]], &mended);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("--again"), "{}", stdout(&refused));
    let nothing = bed.thicket(&["deadletter", "replay", "--topic", "plant/*"], &mended);
    assert!(
        nothing.status.success() && stdout(&nothing).contains("0 letters replayed"),
        "{}",
        stdout(&nothing)
    );
    let again = bed.thicket(&["deadletter", "replay", "--topic", "plant/*", "--again"], &mended);
    assert!(again.status.success(), "{}", stdout(&again));
    bed.until_accounted(8).await;
    assert_eq!(bed.number("SELECT count(*) FROM readings").await, 2);
    assert_eq!(bed.number("SELECT sum(duplicates) FROM ledger").await, 2);

    // What is still wrong is said beforehand, and becomes a new letter.
    let wrong = bed.thicket(&["deadletter", "replay", "--topic", "sensors/a", "--dry-run"], &mended);
    assert!(stdout(&wrong).contains("a dead letter again: malformed_json"), "{}", stdout(&wrong));
    let missing = bed.thicket(&["deadletter", "show", "03/1-1/0"], &mended);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("03/1-1/0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_was_put_right_is_stored_with_its_own_time() {
    let bed = Bed::new().await;
    let _engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    let ts = now_seconds() - 100;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{ts},\"level\":1}}")).await;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{ts},\"level\":2.25}}")).await;
    publisher.publish("sensors/site/a", format!("{{\"ts\":{},\"level\":1}}", ts + 1)).await;
    bed.until_accounted(3).await;
    bed.execute("UPDATE readings SET ts = ts - interval '1 second' WHERE seq = 1").await;
    let done = bed.thicket(&["deadletter", "replay", "--reason", "timestamp_conflict"], SMALL);
    assert!(done.status.success(), "{}{}", stdout(&done), String::from_utf8_lossy(&done.stderr));
    bed.until_accounted(4).await;
    let late = format!(
        "SELECT count(*) FROM readings WHERE \"values\" = '{{2.25}}' AND ts = to_timestamp({ts}) AND flags & 4 = 4"
    );
    assert_eq!(bed.number(&late).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_not_kept_whole_is_refused() {
    let bed = Bed::new().await;
    let _engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    publisher.publish("sensors/a", format!("[{}", "x".repeat(70_000))).await;
    bed.until_accounted(1).await;
    let refused = bed.thicket(&["deadletter", "replay", "--since", "1h"], SMALL);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stdout(&refused).contains("4096 of 70001 bytes"), "{}", stdout(&refused));
    assert_eq!(bed.number("SELECT count(*) FROM dead_letters WHERE replayed IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_letters_stay_in_the_ledger() {
    let bed = Bed::new().await;
    let _engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    for topic in ["sensors/a", "sensors/b", "sensors/c"] {
        publisher.publish(topic, "nonsense").await;
    }
    bed.until_accounted(3).await;
    let asked = bed.thicket(&["deadletter", "drop", "--topic", "sensors/a"], SMALL);
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("--yes"));
    let unnamed = bed.thicket(&["deadletter", "drop", "--yes"], SMALL);
    assert_eq!(unnamed.status.code(), Some(2), "all of them is nothing that is said by saying nothing");
    let dropped = bed.thicket(&["deadletter", "drop", "--topic", "sensors/[ab]", "--yes"], SMALL);
    assert!(stdout(&dropped).contains("0 letters deleted"), "{}", stdout(&dropped));
    let dropped = bed.thicket(&["deadletter", "drop", "--topic", "sensors/a", "--yes", "--json"], SMALL);
    assert_eq!(json(&dropped)["dropped"], 1);
    let counts = bed.texts("SELECT sum(dead_letters), sum(letters_kept), sum(unaccounted) FROM ledger").await;
    assert_eq!(counts, ["(3,2,0)"]);
    assert_eq!(bed.number("SELECT count(*) FROM dead_letters").await, 2);
    let proven = bed.thicket(&["reconcile"], SMALL);
    assert!(proven.status.success(), "{}", stdout(&proven));
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_are_mentioned_and_listed() {
    let bed = Bed::new().await;
    bed.execute(
        "INSERT INTO verdicts (partition, generation, n, item, verdict, sensor, ts, detail)
         VALUES (3, 7, 8, 9, 'poison', 'site/a', '2026-11-22 10:00Z', 'panicked')",
    )
    .await;
    let list = stdout(&bed.thicket(&["deadletter", "list"], SMALL));
    assert!(list.contains("no dead letters") && list.contains("1 poison"), "{list}");
    let verdicts = stdout(&bed.thicket(&["deadletter", "verdicts"], SMALL));
    assert!(
        verdicts.contains("03/7-8/9") && verdicts.contains("site/a at 2026-11-22T10:00:00Z"),
        "{verdicts}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_does_not_take_is_not_replayed() {
    let mut bed = Bed::new().await;
    bed.execute(
        "INSERT INTO dead_letters (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content)
         VALUES (1, 2, 3, 4, now(), 'no_topic_template', '', 'sensors/a', '21', 2, 0),
                (1, 2, 3, 5, now(), 'no_topic_template', '', 'elsewhere/a', '21', 2, 0)",
    )
    .await;
    let elsewhere = bed.thicket(&["deadletter", "replay", "01/2-3/5"], SMALL);
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(
        stdout(&elsewhere).contains("nothing in mqtt.topics receives elsewhere/a"),
        "{}",
        stdout(&elsewhere)
    );
    bed.servers.mosquitto.stop().unwrap();
    let away = bed.thicket(&["deadletter", "replay", "01/2-3/4"], SMALL);
    assert_eq!(away.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&away.stderr).contains("start it or set mqtt.url"));
    assert_eq!(bed.number("SELECT count(*) FROM dead_letters WHERE replayed IS NULL").await, 2);
}
