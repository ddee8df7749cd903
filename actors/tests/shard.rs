//! A shard with real stores, on one arbiter.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod shard_env;

use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl as _;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use thicket_detector::{DetectorConfig, NamedConfig};
use thicket_schema::{Control, Entry, Flag, Keys, PartitionId, Position, SensorName};

use shard_env::{POISON, START, TestEnv, detector, opening, record, value};
use thicket_actors::checkpoint::PAGES_IN_MEMORY;
use thicket_actors::detector::{DetectorConfigs, DetectorRule};
use thicket_actors::messages::{Load, LoadRows};
use thicket_actors::supervision::Watchdog;
use thicket_store::postgres::connect_postgres;
use thicket_store::redis::{LogAppender, connect_redis};

#[actix_rt::test]
async fn a_reading_that_panics_its_detector_twice_is_quarantined_and_other_sensors_are_not_affected() {
    fail::cfg("poison", "return").unwrap();
    let clean: Vec<(&str, i64, f64)> = (0..90)
        .flat_map(|i| [("ill", i, value(i)), ("well", i, value(i + 1))])
        .filter(|&(sensor, i, _)| sensor == "well" || i != 50)
        .collect();
    let undisturbed = TestEnv::new().await;
    undisturbed.append(&clean).await;
    let expected_ill = undisturbed.rows("ill", 89).await;
    let expected_well = undisturbed.rows("well", 90).await;

    let poisoned: Vec<(&str, i64, f64)> = (0..90)
        .flat_map(|i| [("ill", i, if i == 50 { POISON } else { value(i) }), ("well", i, value(i + 1))])
        .collect();
    let env = TestEnv::new().await;
    env.append(&poisoned).await;
    let mut ill = env.rows("ill", 90).await;
    let skipped = ill.remove(50);
    assert_eq!((skipped.seq, skipped.score.as_str(), skipped.flags), (0, "", i64::from(Flag::Poison.bit())));
    assert_eq!(ill, expected_ill, "the other rows are those of a run without the reading");
    assert_eq!(env.rows("well", 90).await, expected_well);
    assert_eq!(env.metrics.commit_conflicts.get(), 0);
}

#[actix_rt::test]
async fn a_poison_reading_that_shares_its_second_is_stored_beside_the_other_reading() {
    fail::cfg("poison", "return").unwrap();
    let env = TestEnv::new().await;
    let shared = [("s", 40, value(40)), ("s", 40, POISON), ("s", 40, value(41))];
    let mut readings: Vec<(&str, i64, f64)> = (0..40).map(|i| ("s", i, value(i))).collect();
    readings.extend(shared);
    // The first one is late, so that its detector never scores it.
    readings.extend([("s", 20, POISON), ("s", 41, value(42))]);
    env.append(&readings).await;
    let rows = env.rows("s", 45).await;
    let bit = |flag: Flag| i64::from(flag.bit());
    let (poison, shifted, late) = (bit(Flag::Poison), bit(Flag::Shifted), bit(Flag::Late));
    let kept = rows[41..].iter().map(|row| (row.seq, row.flags & (poison | shifted | late)));
    let kept: Vec<(i64, i64)> = kept.collect();
    assert_eq!(kept, [(41, 0), (0, poison | shifted), (42, shifted), (43, 0)]);
    assert_eq!(rows[21].flags, late | shifted);
    // The restored detector has the same time.
    env.lose_epoch().await;
    env.append(&[("s", 42, value(43)), ("s", 42, value(44))]).await;
    assert_eq!(env.rows("s", 47).await[46].seq, 45);
    assert_eq!((env.metrics.restore_mismatches.get(), env.metrics.commit_conflicts.get()), (0, 0));
}

#[actix_rt::test]
async fn a_commit_is_fenced_by_another_node_and_not_by_the_own_quarantine() {
    let env = TestEnv::new().await;
    let mut locker = connect_postgres(&env.postgres.url()).await.unwrap();
    sql_query("ALTER TABLE readings ADD CONSTRAINT odd CHECK (values[1] <> 777)")
        .execute(&mut locker)
        .await
        .unwrap();
    env.append(&[("s", 0, 1.0)]).await;
    env.rows("s", 1).await;
    sql_query("BEGIN").execute(&mut locker).await.unwrap();
    sql_query("LOCK TABLE readings IN SHARE MODE").execute(&mut locker).await.unwrap();
    for i in 1..6 {
        env.append(&[("s", i, if i == 1 { 777.0 } else { 1.0 }), ("t", i, 1.0)]).await;
        while env.metrics.readings_scored.with_label_values(&["0"]).get() < 1 + 2 * i as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    sql_query("COMMIT").execute(&mut locker).await.unwrap();
    env.rows("s", 5).await;
    assert_eq!(env.metrics.commits_fenced.get(), 0);
    env.lose_epoch().await;
    env.append(&[("s", 6, 1.0)]).await;
    env.rows("s", 6).await;
    assert_eq!(env.metrics.commits_fenced.get(), 1);
}

#[actix_rt::test]
async fn a_control_entry_takes_effect_at_its_position() {
    use diesel::sql_types::Array;
    #[derive(QueryableByName)]
    struct Configs {
        #[diesel(sql_type = Array<BigInt>)]
        configs: Vec<i64>,
    }
    let old = DetectorConfig { trees: 3, points: 32, warm_up: 32, ..DetectorConfig::default() };
    let (stricter, wider) =
        (DetectorConfig { alarms_per_week: 0.5, ..old.clone() }, DetectorConfig { points: 48, ..old });
    let rule = DetectorRule { sensors: "b".to_owned(), config: wider.clone() };
    let control =
        Control::Detectors(DetectorConfigs::new(stricter.clone(), vec![rule]).to_json().to_string());

    let env = TestEnv::new().await;
    let client = connect_redis(&env.redis.url()).await;
    let keys = Keys::default();
    let mut appender =
        LogAppender::open(&client, &keys, PartitionId(0), "test", opening(1_000)).await.unwrap();
    let readings = |range: std::ops::Range<i64>| {
        range.flat_map(|i| [record("a", i, value(i)), record("b", i, value(i + 3))]).collect::<Vec<_>>()
    };
    let entries = [
        Entry { predecessor: Position::default(), records: readings(0..50) },
        Entry::of_control(START, control),
        Entry { predecessor: Position::default(), records: readings(50..90) },
    ];
    for mut entry in entries {
        let bytes = appender.pack(&mut entry);
        appender.append(&client, &keys, &bytes, 1_000).await.unwrap();
    }
    for (sensor, config) in [("a", stricter), ("b", wider)] {
        let rows = env.rows(sensor, 90).await;
        assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq), "the seq continues");
        let configs: Vec<Configs> = sql_query(
            "SELECT array_agg(config ORDER BY ts) AS configs FROM readings r JOIN sensors s ON s.id = r.sensor WHERE s.name = $1",
        )
        .bind::<Text, _>(sensor)
        .load(&mut connect_postgres(&env.postgres.url()).await.unwrap())
        .await
        .unwrap();
        let configs = &configs[0].configs;
        assert!(configs[..50].iter().all(|&id| id == configs[0]) && configs[0] != configs[50]);
        assert!(configs[50..].iter().all(|&id| id == config.identity().cast_signed()));
    }
    assert_eq!(env.metrics.restore_mismatches.get(), 0);
}

#[actix_rt::test]
async fn entries_that_redis_lost_are_reported_and_later_entries_are_processed() {
    let env = TestEnv::new().await;
    env.append(&[("a", 0, 1.0), ("a", 1, 2.0)]).await;
    env.rows("a", 2).await;
    assert_eq!(env.metrics.log_gaps.get(), 0);
    let client = connect_redis(&env.redis.url()).await;
    let keys = Keys::default();
    let mut appender =
        LogAppender::open(&client, &keys, PartitionId(0), "test", opening(2_000)).await.unwrap();
    let mut entry = Entry { predecessor: Position::default(), records: vec![record("a", 3, 4.0)] };
    appender.pack(&mut entry);
    entry.predecessor = Position { generation: 1_500, n: 9 };
    appender.append(&client, &keys, &entry.encode().into(), 1_000).await.unwrap();
    assert_eq!(env.rows("a", 3).await[2].seq, 3);
    // The shard counts a gap after the commit of its rows.
    let committed = Instant::now();
    while env.metrics.log_gaps.get() == 0 {
        assert!(committed.elapsed() < Duration::from_mins(1), "the gap is not counted");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(env.metrics.log_gaps.get(), 1);
}

#[actix_rt::test]
async fn a_partition_that_is_reopened_while_its_shard_waits_for_entries_loses_no_entry() {
    const ROUNDS: i64 = 12;
    let env = TestEnv::new().await;
    let mut connection = connect_postgres(&env.postgres.url()).await.unwrap();
    env.append(&[("s", 0, 1.0)]).await;
    env.rows("s", 1).await;
    for round in 0..ROUNDS {
        // The commit of this entry waits for the lock. It is refused once the lock is released.
        sql_query("BEGIN").execute(&mut connection).await.unwrap();
        sql_query("UPDATE partitions SET epoch = epoch + 1").execute(&mut connection).await.unwrap();
        env.append(&[("s", 2 * round + 1, 1.0)]).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        let before = epoch(&mut connection).await;
        sql_query("COMMIT").execute(&mut connection).await.unwrap();
        while epoch(&mut connection).await == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        env.append(&[("s", 2 * round + 2, 1.0)]).await;
        env.rows("s", 2 * round as usize + 3).await;
    }
    assert_eq!(env.metrics.log_gaps.get(), 0);
}

/// Readings of a sensor, and of another one.
fn readings(numbers: std::ops::Range<i64>) -> Vec<(&'static str, i64, f64)> {
    numbers.flat_map(|i| [("long", i, value(i)), ("other", i, value(i + 1))]).collect()
}

/// The shape changes, and changes back: the first rows are of the present shape, and later ones are
/// not.
#[actix_rt::test]
async fn a_restore_in_pages_leads_to_the_same_rows_with_and_without_a_change_of_shape() {
    let run = async |pages: Option<usize>| {
        let env = TestEnv::with(1_000_000, pages.unwrap_or(1_000)).await;
        let mut rows = 0;
        for (points, part) in [(32, 0..60), (32, 60..110), (48, 110..150), (32, 150..190), (32, 190..220)] {
            if points != 32 || part.start == 150 {
                env.configure(DetectorConfig { points, ..detector() }).await;
            }
            if pages.is_some() && part.start > 0 {
                env.lose_epoch().await;
            }
            rows = part.end as usize;
            env.append(&readings(part)).await;
            env.rows("long", rows).await;
        }
        assert_eq!(env.metrics.restore_mismatches.get(), 0);
        let restores = env.metrics.detector_restores.get();
        assert!(restores >= if pages.is_some() { 8 } else { 4 }, "{restores}");
        (env.rows("long", rows).await, env.rows("other", rows).await)
    };
    let undisturbed = run(None).await;
    for page in [7, 30, 59] {
        assert_eq!(run(Some(page)).await, undisturbed, "pages of {page}");
    }
}

/// The watchdog of the node ends an arbiter that does not answer for longer than `node.watchdog`.
#[actix_rt::test]
async fn a_restore_that_takes_longer_than_the_watchdog_allows_is_not_ended_by_it() {
    const READINGS: i64 = 30_000;
    const WATCHDOG: Duration = Duration::from_millis(1_200);
    let env = TestEnv::with(1_000_000, 250).await;
    env.configure(DetectorConfig { trees: 200, points: 256, ..detector() }).await;
    let readings = |numbers: std::ops::Range<i64>| -> Vec<_> {
        numbers.map(|i| ("long", i, value(i) + value(i / 7))).collect()
    };
    env.append_in(100, &readings(0..READINGS)).await;
    env.until_stored(READINGS).await;
    // The last commit is refused, and the partition is read again from there.
    env.lose_epoch().await;
    let (report, reports) = std::sync::mpsc::channel();
    let watchdog = Watchdog::start(WATCHDOG, move |frozen| drop(report.send(frozen))).unwrap();
    watchdog.watch(&actix::Arbiter::current(), "shard");
    let began = Instant::now();
    env.append(&readings(READINGS..READINGS + 1)).await;
    env.until_stored(READINGS + 1).await;
    println!("the restore took {} ms of {}", began.elapsed().as_millis(), WATCHDOG.as_millis());
    assert_eq!(reports.try_recv().ok(), None);
    assert_eq!((env.metrics.detector_restores.get(), env.metrics.restore_mismatches.get()), (1, 0));
}

#[actix_rt::test]
async fn no_more_histories_are_in_memory_than_there_are_places() {
    let env = TestEnv::with(1_000_000, 10).await;
    env.append(&readings(0..25)).await;
    env.rows("long", 25).await;
    let config = std::sync::Arc::new(NamedConfig::from(detector()));
    let load = || Load {
        partition: PartitionId(0),
        sensor: SensorName::new("long").unwrap(),
        config: std::sync::Arc::clone(&config),
        use_checkpoint: true,
        is_reshaped: false,
    };
    let mut loads: FuturesUnordered<_> =
        (0..2 * PAGES_IN_MEMORY).map(|_| env.checkpointer.send(load())).collect();
    let mut held = Vec::new();
    for _ in 0..PAGES_IN_MEMORY {
        held.push(loads.next().await.unwrap().unwrap());
    }
    assert!(held.iter().all(|history| history.replay.len() == 10 && history.more_after.is_some()));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(loads.next().now_or_never().is_none(), "every place is held");
    let first = held.remove(0);
    let (sensor, after) = (SensorName::new("long").unwrap(), first.more_after.unwrap());
    drop(first);
    // The pages of a long history wait in the same row as the others.
    let next = env.checkpointer.send(LoadRows { sensor, config: std::sync::Arc::clone(&config), after });
    held.push(loads.next().await.unwrap().unwrap());
    held.clear();
    while let Some(history) = loads.next().await {
        drop(history.unwrap());
    }
    let page = next.await.unwrap();
    assert_eq!((page.rows.len(), page.rows[0].seq, page.is_reshaped), (10, Some(11), false));
}

async fn epoch(connection: &mut diesel_async::AsyncPgConnection) -> i64 {
    #[derive(QueryableByName)]
    struct Epoch {
        #[diesel(sql_type = BigInt)]
        epoch: i64,
    }
    let row: Epoch = sql_query("SELECT epoch FROM partitions").get_result(connection).await.unwrap();
    row.epoch
}
