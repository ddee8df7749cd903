//! `thicket sensors rename`: a device gets another name, and its series goes on.

use thicket_testkit::samples::now_seconds;
use thicket_testkit::timing::until;
use thicket_testkit::{Config, TestEnv};

use crate::support::{json, start, stderr, stdout};

const ROWS: &str =
    "SELECT seq, score, flags FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = ";

fn config() -> Config {
    TestEnv::config().small_detector().checkpoint_every(40)
}

/// Publishes readings of a sensor, one a second from `begin` on.
async fn publish(env: &TestEnv, sensor: &str, begin: i64, readings: std::ops::Range<i64>) {
    let publisher = env.publisher();
    for i in readings {
        let level = 50.0 + (i * 7_919 % 101) as f64 / 50.0;
        let payload = format!("{{\"ts\":{},\"level\":{level}}}", begin + i);
        publisher.publish(&format!("sensors/{sensor}"), payload).await;
    }
    publisher.settle().await;
}

/// Repeats the reading `newest` of the sensor `a` until the engine refuses that name. Until then,
/// it is a duplicate.
async fn until_refused(env: &TestEnv, begin: i64, newest: i64) {
    let refused = "SELECT count(*) FROM dead_letters WHERE reason = 'sensor_renamed'";
    until("the engine refuses the old name", async || {
        publish(env, "a", begin, newest..newest + 1).await;
        env.number(refused).await > 0
    })
    .await;
}

fn rename(env: &TestEnv, old: &str, new: &str) {
    let renamed = env.thicket(&["sensors", "rename", old, new]);
    assert!(renamed.status.success(), "{}", stderr(&renamed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_sensor_goes_on_as_if_it_had_kept_its_name() {
    let begin = now_seconds() - 1_000;
    let undisturbed = start(config()).await;
    let engine = undisturbed.engine().await;
    publish(&undisturbed, "a", begin, 0..300).await;
    undisturbed.until_accounted(300).await;
    drop(engine);

    let env = start(config()).await;
    let first = env.engine().await;
    let second = env.launch(&env.base(), &[]);
    publish(&env, "a", begin, 0..100).await;
    env.until_accounted(100).await;
    rename(&env, "a", "b/new");
    until_refused(&env, begin, 99).await;
    publish(&env, "b/new", begin, 100..150).await;
    env.until("SELECT max(seq) FROM readings", 150).await;
    // The other node knows the name, too, and so does a restarted one.
    first.kill();
    second.until_ready().await;
    publish(&env, "b/new", begin, 150..200).await;
    env.until("SELECT max(seq) FROM readings", 200).await;
    second.kill();
    let engine = env.engine().await;
    publish(&env, "b/new", begin, 200..250).await;
    env.until("SELECT max(seq) FROM readings", 250).await;
    rename(&env, "b/new", "c");
    assert!(engine.terminate().await.success());
    let engine = env.engine().await;
    publish(&env, "c", begin, 250..300).await;
    env.until("SELECT max(seq) FROM readings", 300).await;
    assert_eq!(env.number("SELECT count(*) FROM sensors").await, 1);
    assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5, "{}", engine.log());
    let (found, expected) = (format!("{ROWS}'c' ORDER BY seq"), format!("{ROWS}'a' ORDER BY seq"));
    assert_eq!(env.texts(&found).await, undisturbed.texts(&expected).await);
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
    let shown = json(&env.thicket(&["sensors", "show", "c", "--json"]));
    assert_eq!((&shown["sensor"], &shown["first_name"]), (&"c".into(), &"a".into()));

    let same = env.path().join("same.toml");
    std::fs::write(&same, "").unwrap();
    let report = json(&env.thicket(&["backtest", "--json", "--with", same.to_str().unwrap()]));
    assert_eq!(report["sensors"][0]["sensor"], "c", "{report}");

    // A replay sends the dead letter of the old name under the new one, where it is a duplicate.
    let replayed =
        env.thicket(&["deadletter", "replay", "--reason", "sensor_renamed", "--dry-run", "--json"]);
    assert_eq!(json(&replayed)[0]["topic"], "sensors/c");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_refused_and_a_forgotten_one_is_free() {
    let begin = now_seconds() - 1_000;
    let env = start(config()).await;
    let _engine = env.engine().await;
    publish(&env, "a", begin, 0..20).await;
    publish(&env, "b", begin, 0..20).await;
    env.until_accounted(40).await;
    let refused = env.thicket(&["sensors", "rename", "a", "b"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("there is a sensor b already"), "{}", stderr(&refused));
    let refused = env.thicket(&["sensors", "rename", "a", "a"]);
    assert!(stderr(&refused).contains("a is its name already"), "{}", stderr(&refused));

    assert!(env.thicket(&["sensors", "forget", "b", "--yes"]).status.success());
    env.until("SELECT count(*) FROM sensors", 1).await;
    rename(&env, "a", "b");
    until_refused(&env, begin, 19).await;
    // A label and a request reach the detector under its first name.
    assert!(env.thicket(&["sensors", "reset", "b"]).status.success());
    env.until("SELECT count(*) FROM detector_resets WHERE seq = 20", 1).await;
    publish(&env, "b", begin, 20..30).await;
    env.until("SELECT max(seq) FROM readings", 30).await;

    // Everything of it is deleted, and both names are free.
    assert!(env.thicket(&["sensors", "forget", "b", "--yes"]).status.success());
    env.until("SELECT count(*) FROM sensors", 0).await;
    let letters = "SELECT count(*) FROM dead_letters WHERE reason = 'sensor_renamed'";
    let before = env.number(letters).await;
    let mut next = 30;
    until("the engine knows that the first name is free", async || {
        publish(&env, "a", begin, next..next + 1).await;
        next += 1;
        env.number("SELECT count(*) FROM sensors").await > 0
    })
    .await;
    // Every reading before the first stored one is a dead letter, and none after it.
    let end = next + 5;
    publish(&env, "a", begin, next..end).await;
    let stored = "FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = 'a'";
    let settled = format!("(SELECT count(*) {stored}) + ({letters})");
    env.until(&format!("SELECT {settled}"), before + end - 30).await;
    let first = format!("SELECT extract(epoch FROM min(r.ts))::int8 - {begin} {stored}");
    let count = env.number(&format!("SELECT count(*) {stored}")).await;
    assert_eq!(count, end - env.number(&first).await);
    publish(&env, "b", begin, 0..5).await;
    env.until("SELECT count(*) FROM sensors WHERE first_name IS NULL", 2).await;
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
}
