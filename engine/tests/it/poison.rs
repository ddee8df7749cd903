//! Readings that kill the process, readings that PostgreSQL does not take: skipped by a verdict that every replay obeys; the rest goes on.

#![cfg(feature = "faults")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, Publisher, now_seconds};
use thicket_actors::faults::{POISON, Poison};

const SMALL: &str = "[node]\nwatchdog = \"3s\"\n[queue]\npartitions = 2\n[checkpoint]\nevery = 20\n[detector]\nprofile = \"small\"\nwarm_up = 32\n";
const READINGS: i64 = 120;

fn value(sensor: &str, i: i64) -> f64 {
    (xxhash_rust::xxh3::xxh3_64(format!("{sensor} {i}").as_bytes()) % 1_000) as f64
}

async fn publish(publisher: &mut Publisher, start: i64, poison: &[(&str, i64, f64)], but_for_poison: bool) {
    for i in 0..READINGS {
        for sensor in ["a", "b", "c", "d"] {
            let poison = poison.iter().find(|&&(at, n, _)| (at, n) == (sensor, i));
            if poison.is_some() && but_for_poison {
                continue;
            }
            let value = poison.map_or_else(|| value(sensor, i), |&(_, _, poison)| poison);
            let payload = format!("{{\"ts\":{},\"level\":{value}}}", start + i);
            publisher.publish(&format!("sensors/{sensor}"), payload).await;
        }
    }
    publisher.settle().await;
}

async fn rows(bed: &Bed) -> Vec<String> {
    bed.texts(
        "SELECT s.name, r.ts, r.seq, r.values, r.flags, encode(float8send(r.score), 'hex') AS score, encode(float8send(r.grade), 'hex') AS grade
         FROM readings r JOIN sensors s ON s.id = r.sensor WHERE (r.flags & 8) = 0 ORDER BY s.name, r.ts",
    )
    .await
}

async fn undisturbed(start: i64, poison: &[(&str, i64, f64)]) -> Vec<String> {
    let bed = Bed::new().await;
    let engine = bed.engine(SMALL).await;
    publish(&mut bed.publisher(), start, poison, true).await;
    bed.until_accounted(READINGS * 4 - poison.len() as i64).await;
    assert!(engine.terminate().await.success());
    rows(&bed).await
}

/// Starts an engine again and again, as an orchestrator would, until everything has an outcome; returns how often it ended.
async fn supervise(bed: &Bed, environment: &[(&str, &str)], records: i64) -> u32 {
    let mut deaths = 0;
    loop {
        let mut engine = bed.engine_with(SMALL, environment);
        while engine.ended().is_none() {
            if bed.number("SELECT coalesce(sum(delivered), 0) FROM ledger").await == records {
                return deaths;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        deaths += 1;
        assert!(deaths < 30, "{}", bed.logs());
    }
}

fn value_of(wanted: Poison) -> f64 {
    POISON.iter().find(|(_, poison)| *poison == wanted).unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_kills_the_process_is_found_and_skipped_and_costs_its_neighbours_nothing() {
    let start = now_seconds() - 2 * READINGS;
    for (kind, poison) in [
        ("abort", vec![("a", 50, value_of(Poison::Abort)), ("c", 90, value_of(Poison::Overflow))]),
        ("freeze", vec![("b", 70, value_of(Poison::Freeze)), ("b", 71, value_of(Poison::Panic))]),
    ] {
        let expected = undisturbed(start, &poison).await;
        let bed = Bed::new().await;
        // The session is there before anything is published.
        bed.engine(SMALL).await.terminate().await;
        publish(&mut bed.publisher(), start, &poison, false).await;
        let deaths = supervise(&bed, &[("THICKET_FAULTS", "poison")], READINGS * 4).await;
        assert!(deaths >= 4, "{kind}: {deaths} deaths");
        assert_eq!(bed.number("SELECT sum(unaccounted) FROM ledger").await, 0);
        assert_eq!(rows(&bed).await, expected, "{kind}");
        let skipped = bed.texts("SELECT s.name, r.values[1] FROM readings r JOIN sensors s ON s.id = r.sensor WHERE (r.flags & 8) <> 0 ORDER BY r.ts").await;
        let wanted: Vec<String> =
            poison.iter().map(|(sensor, _, value)| format!("({sensor},{value})")).collect();
        assert_eq!(skipped, wanted, "{kind}");
        let proven = bed.thicket(&["reconcile"], SMALL);
        assert!(proven.status.success(), "{kind}: {}", String::from_utf8_lossy(&proven.stdout));
        assert_eq!(bed.number("SELECT count(*) FROM verdicts WHERE verdict = 'poison'").await, 2);
        // Without the poison's effect, a replay obeys the verdicts all the same.
        bed.execute("DELETE FROM verdicts").await;
        let engine = bed.engine(SMALL).await;
        assert!(engine.metric("thicket_restore_mismatches_total").await < 0.5);
        assert!(engine.terminate().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_postgresql_does_not_take_is_a_dead_letter_and_its_partition_goes_on() {
    let start = now_seconds() - 2 * READINGS;
    let poison = [("a", 40, 777_001.0), ("d", 60, 777_002.0)];
    let expected = undisturbed(start, &poison).await;
    let bed = Bed::new().await;
    bed.execute("ALTER TABLE readings ADD CONSTRAINT odd CHECK (values[1] <> 777001)").await;
    bed.execute(
        "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'this is odd'; END $$",
    )
    .await;
    bed.execute("CREATE TRIGGER odd BEFORE INSERT ON readings FOR EACH ROW WHEN (NEW.values[1] = 777002) EXECUTE FUNCTION odd()").await;
    let engine = bed.engine(SMALL).await;
    publish(&mut bed.publisher(), start, &poison, false).await;
    bed.until_accounted(READINGS * 4).await;
    assert_eq!(rows(&bed).await, expected);
    let letters = bed.texts("SELECT topic, reason, detail FROM dead_letters ORDER BY topic").await;
    assert_eq!(letters.len(), 2);
    assert!(letters[0].contains("(a,unstorable") && letters[0].contains("constraint"), "{letters:?}");
    assert!(letters[1].contains("(d,unstorable") && letters[1].contains("this is odd"), "{letters:?}");
    let proven = bed.thicket(&["reconcile"], SMALL);
    assert!(proven.status.success(), "{}", String::from_utf8_lossy(&proven.stdout));
    assert!(engine.terminate().await.success());
}
