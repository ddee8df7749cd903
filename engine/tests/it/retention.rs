//! Days of readings go when they are old enough, and not before every detector can do without them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::{Bed, now_seconds};
use fred::interfaces::KeysInterface as _;

const DAY: i64 = 86_400;
const FOR_EVER: &str = "[queue]\npartitions = 4\n";
const TWO_DAYS: &str = "retention = \"2d\"\nmqtt.max_age = \"2d\"\n[queue]\npartitions = 4\n";

/// Three sensors with readings of five days ago, four days ago and now, one of them late; then the engine stops in order.
async fn fill(bed: &Bed) {
    let engine = bed.engine(FOR_EVER).await;
    let mut publisher = bed.publisher();
    for sensor in ["a", "b", "c"] {
        for (days, seconds) in [(5, 0), (5, 2), (5, 1), (4, 0), (0, 0)] {
            let ts = now_seconds() - days * DAY + seconds - 10;
            publisher.publish(&format!("sensors/{sensor}"), format!("{{\"ts\":{ts},\"x\":{seconds}}}")).await;
        }
    }
    bed.until_accounted(15).await;
    assert_eq!(bed.number("SELECT sum(late) FROM ledger").await, 3);
    assert!(engine.terminate().await.success());
}

const DAYS: &str = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'readings'::regclass
    AND to_date(regexp_replace(inhrelid::regclass::text, '^readings_y(\\d+)m(\\d\\d)d(\\d\\d)$', '\\1-\\2-\\3'), 'YYYY-MM-DD')
        < (now() AT TIME ZONE 'UTC')::date - 3";

#[tokio::test(flavor = "multi_thread")]
async fn old_days_go_with_a_count_in_the_ledger() {
    let bed = Bed::new().await;
    fill(&bed).await;
    assert!(bed.number(DAYS).await >= 2);
    let engine = bed.engine(TWO_DAYS).await;
    // Others are written meanwhile.
    let mut publisher = bed.publisher();
    for i in 0..300 {
        publisher.publish("sensors/live", format!("{{\"ts\":{},\"x\":{i}}}", now_seconds() - 400 + i)).await;
    }
    engine.until_metric("thicket_readings_expired_total", 12.0).await;
    bed.until_accounted(315).await;
    assert_eq!(bed.number(DAYS).await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM readings").await, 303);
    let ledger = bed
        .texts("SELECT sum(scored), sum(late), sum(stored), sum(expired), sum(unaccounted) FROM ledger")
        .await;
    assert_eq!(ledger, ["(312,3,303,12,0)"]);
    assert_eq!(bed.number("SELECT sum(expired_late) FROM partitions").await, 3);

    engine.until_metric("thicket_ledger_records{fate=\"delivered\"}", 315.0).await;
    let proven = bed.thicket(&["reconcile"], TWO_DAYS);
    assert!(proven.status.success(), "{}", String::from_utf8_lossy(&proven.stdout));

    // The detectors go on where they were, and a reading of a day that is gone does not bring it back.
    publisher.publish("sensors/a", format!("{{\"ts\":{},\"x\":1}}", now_seconds())).await;
    publisher.publish("sensors/a", format!("{{\"ts\":{},\"x\":1}}", now_seconds() - 4 * DAY)).await;
    bed.until_accounted(317).await;
    assert_eq!(
        bed.number("SELECT max(r.seq) FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = 'a'")
            .await,
        5
    );
    assert_eq!(bed.number("SELECT count(*) FROM dead_letters WHERE reason = 'timestamp_too_old'").await, 1);
    assert_eq!(bed.number(DAYS).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_a_detector_needs_is_kept() {
    let bed = Bed::new().await;
    fill(&bed).await;
    let redis = thicket_actors::queue::try_connect_redis(&bed.servers.redis.url()).await.unwrap();
    let sensor = thicket_schema::SensorName::new("b").unwrap();
    let key = thicket_schema::Keys::default().checkpoint(sensor.partition(4), &sensor);
    let removed: u64 = redis.del(key).await.unwrap();
    assert_eq!(removed, 1);

    let engine = bed.engine(TWO_DAYS).await;
    engine.until_metric("thicket_retention_days_kept", 2.0).await;
    assert!(engine.log().contains("1 sensor would not come back"), "{}", engine.log());
    assert_eq!(bed.number("SELECT count(*) FROM readings").await, 15);
    assert_eq!(bed.number("SELECT sum(expired) FROM ledger").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_was_on_its_way_when_its_day_went_is_stored_all_the_same() {
    let bed = Bed::new().await;
    let _engine = bed.engine(FOR_EVER).await;
    let mut publisher = bed.publisher();
    let old = now_seconds() - 4 * DAY;
    for ts in [old, now_seconds()] {
        publisher.publish("sensors/a", format!("{{\"ts\":{ts},\"x\":1}}")).await;
    }
    bed.until_accounted(2).await;
    // As retention does it, behind the back of a writer that knows the day.
    let day =
        bed.texts(&format!("SELECT tableoid::regclass FROM readings WHERE ts = to_timestamp({old})")).await;
    let day = day[0].trim_matches(['(', ')']);
    bed.execute(&format!("DROP TABLE {day}")).await;
    publisher.publish("sensors/a", format!("{{\"ts\":{old},\"x\":2}}")).await;
    bed.until_accounted(3).await;
    assert_eq!(bed.texts("SELECT sum(late), sum(dead_letters) FROM ledger").await, ["(1,0)"]);
}
