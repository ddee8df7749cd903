//! Readings that kill the process, and readings that PostgreSQL rejects: quarantined, skipped by
//! every replay; the rest goes on.

use std::time::Duration;

use thicket_schema::Flag;
use thicket_store::faults::{POISON, Poison};
use thicket_testkit::samples::now_seconds;
use thicket_testkit::{Config, Publisher, TestEnv};
use xxhash_rust::xxh3::xxh3_64;

use crate::support::{start, stdout};

const READINGS: i64 = 120;
const SENSORS: [&str; 4] = ["a", "b", "c", "d"];
const RECORDS: i64 = READINGS * SENSORS.len() as i64;

/// A harmful reading: its sensor, its number, its value.
type Harmful = (&'static str, i64, f64);

fn config() -> Config {
    let small = Config::default().set("detector.profile", "small").set("detector.warm_up", 32);
    small.partitions(2).checkpoint_every(20).set("node.watchdog", "3s")
}

fn value(sensor: &str, i: i64) -> f64 {
    (xxh3_64(format!("{sensor} {i}").as_bytes()) % 1_000) as f64
}

/// Publishes the readings of all sensors, the harmful ones only if `with_harmful`.
async fn publish(publisher: &Publisher, start: i64, harmful: &[Harmful], with_harmful: bool) {
    for i in 0..READINGS {
        for sensor in SENSORS {
            let harmful = harmful.iter().find(|&&(at, number, _)| (at, number) == (sensor, i));
            if harmful.is_some() && !with_harmful {
                continue;
            }
            let value = harmful.map_or_else(|| value(sensor, i), |&(_, _, value)| value);
            let payload = format!("{{\"ts\":{},\"level\":{value}}}", start + i);
            publisher.publish(&format!("sensors/{sensor}"), payload).await;
        }
    }
    publisher.settle().await;
}

/// Returns the rows of all readings except the skipped ones.
async fn rows(env: &TestEnv) -> Vec<String> {
    let condition = format!("r.flags & {} = 0", Flag::Poison.bit());
    env.tables().await.readings(&condition).await.unwrap()
}

async fn undisturbed(first: i64, harmful: &[Harmful]) -> Vec<String> {
    let env = start(config()).await;
    let engine = env.engine().await;
    publish(&env.publisher(), first, harmful, false).await;
    env.until_accounted(RECORDS - harmful.len() as i64).await;
    assert!(engine.terminate().await.success());
    rows(&env).await
}

/// Starts an engine again and again, as an orchestrator would, until everything has an outcome.
/// Returns how often it ended.
async fn supervise(env: &TestEnv, environment: &[(&str, &str)], records: i64) -> u32 {
    let mut deaths = 0;
    loop {
        let mut engine = env.launch(&env.base(), environment);
        while engine.ended().is_none() {
            // The broker delivers again what an engine had appended, but not acknowledged.
            if env.number("SELECT sum(delivered - duplicates) FROM ledger").await == records {
                return deaths;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        deaths += 1;
        assert!(deaths < 30, "{}", env.logs());
    }
}

fn value_of(wanted: Poison) -> f64 {
    POISON.iter().find(|(_, poison)| *poison == wanted).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_kills_the_process_is_found_and_skipped_and_costs_its_neighbours_nothing() {
    let first = now_seconds() - 2 * READINGS;
    for (kind, harmful) in [
        ("abort", vec![("a", 50, value_of(Poison::Abort)), ("c", 90, value_of(Poison::Overflow))]),
        ("freeze", vec![("b", 70, value_of(Poison::Freeze)), ("b", 71, value_of(Poison::Panic))]),
    ] {
        let expected = undisturbed(first, &harmful).await;
        let env = start(config()).await;
        // A first engine creates the session at the broker before anything is published.
        env.engine().await.terminate().await;
        publish(&env.publisher(), first, &harmful, true).await;
        let deaths = supervise(&env, &[("THICKET_FAULTS", "poison")], RECORDS).await;
        assert!(deaths >= 4, "{kind}: {deaths} deaths");
        assert_eq!(env.unaccounted().await, 0);
        assert_eq!(rows(&env).await, expected, "{kind}");
        let skipped = format!(
            "SELECT v.sensor, v.value FROM reading_values v JOIN sensors s ON s.name = v.sensor
             JOIN readings r ON r.sensor = s.id AND r.ts = v.ts WHERE r.flags & {} <> 0 ORDER BY r.ts",
            Flag::Poison.bit()
        );
        let wanted: Vec<String> =
            harmful.iter().map(|(sensor, _, value)| format!("({sensor},{value})")).collect();
        assert_eq!(env.texts(&skipped).await, wanted, "{kind}");
        let reconciled = env.thicket(&["reconcile"]);
        assert!(reconciled.status.success(), "{kind}: {}", stdout(&reconciled));
        assert_eq!(env.number("SELECT count(*) FROM quarantine WHERE reason = 'poison'").await, 2);
        // The stored rows say what was skipped: a restore needs no quarantine.
        env.execute("DELETE FROM quarantine").await;
        let engine = env.engine().await;
        assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
        assert!(engine.terminate().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_postgresql_rejects_is_a_dead_letter_and_its_partition_goes_on() {
    let first = now_seconds() - 2 * READINGS;
    let harmful = [("a", 40, 777_001.0), ("d", 60, 777_002.0)];
    let expected = undisturbed(first, &harmful).await;
    let env = start(config()).await;
    env.execute(
        "ALTER TABLE readings ADD CONSTRAINT odd CHECK (values[1] <> 777001);
         CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN RAISE EXCEPTION 'this is odd'; END $$;
         CREATE TRIGGER odd BEFORE INSERT ON readings FOR EACH ROW
             WHEN (NEW.values[1] = 777002) EXECUTE FUNCTION odd();",
    )
    .await;
    let engine = env.engine().await;
    publish(&env.publisher(), first, &harmful, true).await;
    env.until_accounted(RECORDS).await;
    assert_eq!(rows(&env).await, expected);
    let dead_letters = env.texts("SELECT topic, reason, detail FROM dead_letters ORDER BY topic").await;
    let [first, second] = &dead_letters[..] else { panic!("{dead_letters:?}") };
    assert!(first.contains("(a,unstorable") && first.contains("constraint"), "{dead_letters:?}");
    assert!(second.contains("(d,unstorable") && second.contains("this is odd"), "{dead_letters:?}");
    let reconciled = env.thicket(&["reconcile"]);
    assert!(reconciled.status.success(), "{}", stdout(&reconciled));
    assert!(engine.terminate().await.success());
}
