//! Queries about the time of a sensor on a real PostgreSQL: the order of its rows across a change
//! of its clock, the rows near a time, and the sensors and topics whose clocks are wrong.

use thicket_schema::{SensorId, Timestamp};
use thicket_store::postgres::{
    CheckpointFacts, ClockState, FieldSets, StoredReading, clocks_ahead, clocks_behind, count_rows_of_day,
    day_tables, newest_of_others, newest_seqs, page_by_time, page_of_rows, postgres_pool, rows_after,
    rows_near, rows_up_to,
};

use crate::support::PostgresServer;

const SENSOR: SensorId = SensorId(1);
/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000_000;
const MINUTE: i64 = 60_000_000;

/// Sensor 1 has an era over midnight and goes back into it: after seq 4 of the second day, its time
/// begins again at 10:01:30 of the first day. It is behind still.
const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-01-01', '2026-01-02']::date[]);
INSERT INTO partitions (id) VALUES (3);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES (1, 'pump', 3, '{x}', '2026-01-01');
INSERT INTO field_sets (id, names) VALUES (1, '{x}');
INSERT INTO configs (id, settings, newest_day) VALUES (1, '{}', '2026-01-02'), (2, '{}', '2026-01-02');
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", flags, era, config) VALUES
    (1, '2026-01-01 10:00Z', 1, 1, '{1}', 0, 0, 1),
    (1, '2026-01-01 10:01Z', 2, 1, '{2}', 0, 0, 1),
    (1, '2026-01-01 10:02Z', NULL, 1, '{3}', 8, 0, NULL),
    (1, '2026-01-01 10:03Z', 3, 1, '{4}', 0, 0, 1),
    (1, '2026-01-02 10:00Z', 4, 1, '{5}', 0, 0, 2),
    (1, '2026-01-01 10:01:10Z', NULL, 1, '{6}', 4, 0, NULL),
    (1, '2026-01-01 10:01:30Z', 5, 1, '{7}', 0, 1, 1),
    (1, '2026-01-01 10:03:00.000001Z', 6, 1, '{8}', 2048, 1, 1);
INSERT INTO clock_changes VALUES (1, 1, 4, '2026-01-02 10:00Z', '2026-01-01 10:01:30Z');
INSERT INTO sensor_clocks VALUES
    (1, 0, '1970-01-01', '2026-01-02 10:01Z', 86400000000, '2026-01-02 10:02Z', '2026-01-02 10:00Z');
INSERT INTO dead_letters VALUES
    (3, 1, 1, 0, '2026-01-02 10:00Z', 'timestamp_in_future', '2026-01-02T11:00:00.000000Z is too far', 'a/b', '', 0, 1),
    (3, 1, 2, 0, '2026-01-02 10:01Z', 'timestamp_in_future', 'unknown', 'a/b', '', 0, 2);";

async fn start() -> PostgresServer {
    let server = PostgresServer::start().await;
    server.execute(ROWS).await;
    server
}

fn at(minutes: f64) -> Timestamp {
    Timestamp(TEN + (minutes * MINUTE as f64) as i64)
}

/// The first value of each row, which numbers the rows.
fn numbers(rows: &[StoredReading]) -> Vec<f64> {
    rows.iter().map(|row| row.values[0]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_replayed_in_the_order_in_which_they_were_applied() {
    let server = start().await;
    let pool = postgres_pool(&server.url(), 1).unwrap();
    let sets = FieldSets::default();
    let after = async |place| numbers(&rows_after(&pool, SENSOR, place, 1_000, &sets).await.unwrap().rows);
    assert_eq!(after(None).await, [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0]);
    assert_eq!(after(Some((0, at(3.0)))).await, [5.0, 7.0, 8.0]);
    assert_eq!(after(Some((1, at(1.5)))).await, [8.0]);
    let up_to = async |place, limit| numbers(&rows_up_to(&pool, SENSOR, place, limit).await.unwrap());
    assert_eq!(up_to((1, at(1.5)), 3).await, [4.0, 5.0, 7.0]);
    assert_eq!(up_to((0, at(3.0)), 2).await, [3.0, 4.0]);
    let others =
        async |configs: &[u64], before| newest_of_others(&pool, SENSOR, configs, before).await.unwrap();
    assert_eq!(others(&[1], None).await, Some((0, at(1_440.0))));
    assert_eq!(others(&[2], None).await.map(|(era, _)| era), Some(1));
    assert_eq!(others(&[2], Some((1, at(1.5)))).await, Some((0, at(3.0))));
    assert_eq!(others(&[1, 2], None).await, None);

    let mut connection = server.connect().await;
    let mut pages = Vec::new();
    let mut place = None;
    loop {
        let page = page_of_rows(&mut connection, SENSOR, place, (1, at(3.0)), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        place = Some((last.era, last.ts));
        pages.extend(numbers(&page));
    }
    assert_eq!(pages, [1.0, 2.0, 3.0, 4.0, 5.0, 7.0], "all rows before 10:03 of the second era");
    let by_time = page_by_time(&mut connection, SENSOR, None, at(3.0), true, 10).await.unwrap();
    assert_eq!(numbers(&by_time), [1.0, 2.0, 6.0, 7.0, 3.0]);
    assert_eq!(by_time.iter().filter(|row| row.late).count(), 1);
    let in_time = page_by_time(&mut connection, SENSOR, Some(at(0.0)), at(3.0), false, 10).await.unwrap();
    assert_eq!(numbers(&in_time), [2.0, 7.0, 3.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_knows_the_era_its_newest_time_and_the_newest_time_of_all() {
    let server = start().await;
    let pool = postgres_pool(&server.url(), 1).unwrap();
    let facts = CheckpointFacts::load(&pool, SENSOR).await.unwrap();
    assert_eq!(facts.newest_seq, Some(6));
    let newest = Timestamp(at(3.0).0 + 1);
    assert_eq!((facts.time.era, facts.time.newest, facts.time.highest), (1, Some(newest), Some(at(1_440.0))));
    let state = ClockState { late: 0, last_late: Timestamp(0), ahead_of: Some(at(1_440.0)) };
    assert_eq!(facts.time.state, Some(state));
    let unknown = CheckpointFacts::load(&pool, SensorId(2)).await.unwrap();
    assert_eq!((unknown.newest_seq, unknown.time.era, unknown.time.highest), (None, 0, None));

    let near = rows_near(&pool, SENSOR, &[at(3.0), at(3.0), at(9.0)], 1_000, &FieldSets::default()).await;
    let near: Vec<_> = near.unwrap().into_iter().map(|row| (row.ts, row.shifted, row.values[0])).collect();
    assert_eq!(near, [(at(3.0), false, 4.0), (newest, true, 8.0)]);

    let mut connection = server.connect().await;
    assert_eq!(newest_seqs(&mut connection, &[1]).await.unwrap()[&1], Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn eras_that_overlap_in_time_have_no_break_in_their_seqs() {
    let server = start().await;
    let mut connection = server.connect().await;
    let mut eras = std::collections::BTreeMap::new();
    for day in day_tables(&mut connection, None).await.unwrap() {
        for counts in count_rows_of_day(&mut connection, &day, None).await.unwrap() {
            eras.entry(counts.era)
                .and_modify(|before: &mut thicket_store::postgres::SensorRows| before.append(&counts))
                .or_insert(counts);
        }
    }
    let mut eras = eras.into_values();
    let mut all = eras.next().unwrap();
    eras.for_each(|era| all.append(&era));
    assert_eq!((all.first, all.last, all.scored, all.breaks), (Some(1), Some(6), 6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_behind_or_ahead_are_named() {
    let server = start().await;
    let mut connection = server.connect().await;
    let day = at(1_440.0);
    let behind = clocks_behind(&mut connection, 20, day, 10).await.unwrap();
    assert_eq!(
        (behind[0].sensor.as_str(), behind[0].behind_us, behind[0].ahead_of),
        ("pump", 86_400_000_000, Some(day))
    );
    assert!(clocks_behind(&mut connection, 20, at(1_450.0), 10).await.unwrap().is_empty(), "it is silent");
    server.execute("UPDATE sensor_clocks SET behind_us = 59999999").await;
    assert!(
        clocks_behind(&mut connection, 20, day, 10).await.unwrap().is_empty(),
        "its readings are on time"
    );
    server.execute("UPDATE sensor_clocks SET late = 20").await;
    assert_eq!(clocks_behind(&mut connection, 20, day, 10).await.unwrap().len(), 1);
    let ahead = clocks_ahead(&mut connection, at(0.0), 10).await.unwrap();
    assert_eq!((ahead[0].topic.as_str(), ahead[0].refused), ("a/b", 2));
    assert_eq!((ahead[0].since, ahead[0].ahead_us), (day, Some(60 * MINUTE)));
}
