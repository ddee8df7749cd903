//! The deletion of rows that are too old, too many or unused, on a real PostgreSQL.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use thicket_schema::{Position, RecordPosition, Timestamp};
use thicket_store::postgres::{
    CommitBatch, KeptRows, WriteSession, day_of, ensure_days, expire_anomalies, expire_changes,
    expire_configs, expire_field_sets, expire_losses, expire_quarantine, expire_requests,
};

use crate::rejected_rows;
use crate::support::PostgresServer;

const DAY: Duration = Duration::from_hours(24);

/// One sensor, whose oldest day of readings is 2026-01-10.
const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-01-10', '2026-01-11']::date[]);
INSERT INTO partitions (id, generation, n) VALUES (3, 5, 100);
INSERT INTO sensors (id, name, partition, fields, first_seen, field_sets) VALUES (1, 'a', 3, '{x}', '2026-01-01', '{1}');
INSERT INTO field_sets (id, names) VALUES (1, '{x}'), (2, '{y}');
INSERT INTO configs (id, settings, newest_day) VALUES (1, '{}', '2026-01-09'), (2, '{}', '2026-01-10');";

async fn start() -> PostgresServer {
    let server = PostgresServer::start().await;
    server.execute(ROWS).await;
    server
}

async fn text(server: &PostgresServer, query: &str) -> String {
    server.texts(query).await.remove(0)
}

fn kept(anomalies: u32, labelled: Option<u32>) -> KeptRows {
    let (anomalies, labelled) = (Some(DAY * anomalies), labelled.map(|days| DAY * days));
    KeptRows { anomalies, labelled, quarantine: Some(DAY * 10), quarantine_rows: 3 }
}

#[tokio::test(flavor = "multi_thread")]
async fn anomalies_are_deleted_by_age_with_their_labels_but_not_before_their_readings() {
    let server = start().await;
    // The oldest day of readings is 30 days ago.
    server
        .execute(
            "DROP TABLE readings_y2026m01d10, readings_y2026m01d11;
             SELECT ensure_day_partitions(ARRAY[current_date - 30]);
             INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions)
             SELECT 1, now() - make_interval(days => d), CASE WHEN d <> 60 THEN now() - make_interval(days => d - 1) END,
                    now(), 1, 1, 1, '{}', '{}'
             FROM unnest(ARRAY[20, 40, 50, 60]) d;
             INSERT INTO labels (sensor, started, label) SELECT sensor, started, 'true' FROM anomalies WHERE started < now() - interval '45 days';
             INSERT INTO applied_labels SELECT sensor, 1, row_number() OVER (ORDER BY started), started, 'true' FROM anomalies WHERE started < now() - interval '45 days';",
        )
        .await;
    // A label of an anomaly that is gone.
    server.execute("INSERT INTO labels (sensor, started, label, set_at) VALUES (1, now() - interval '100 days', 'true', now() - interval '2 days')").await;
    let mut connection = server.connect().await;
    let days =
        "SELECT string_agg(extract(day FROM now() - started)::text, ',' ORDER BY started) FROM anomalies";
    // A writer has locked 40.
    let mut writer = server.connect().await;
    writer.batch_execute("BEGIN; SELECT FROM anomalies WHERE started BETWEEN now() - interval '45 days' AND now() - interval '35 days' FOR UPDATE").await.unwrap();
    assert_eq!(expire_anomalies(&mut connection, &kept(10, None)).await.unwrap(), 0);
    assert_eq!(text(&server, "SELECT count(*)::text FROM labels").await, "2");
    writer.batch_execute("ROLLBACK").await.unwrap();
    // 60 goes on; 50 has a label.
    assert_eq!(expire_anomalies(&mut connection, &kept(10, None)).await.unwrap(), 1);
    assert_eq!(text(&server, days).await, "60,50,20");
    assert_eq!(expire_anomalies(&mut connection, &kept(10, Some(48))).await.unwrap(), 1);
    assert_eq!(text(&server, days).await, "60,20");
    assert_eq!(text(&server, "SELECT count(*)::text FROM labels").await, "1");
    assert_eq!(text(&server, "SELECT count(*)::text FROM applied_labels").await, "1");
    assert_eq!(expire_anomalies(&mut connection, &kept(10, Some(10))).await.unwrap(), 0);

    // Without a day of readings, nothing is known to be obsolete.
    server.execute("UPDATE anomalies SET ended = started; SELECT drop_day_partition(c.oid::regclass) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid WHERE i.inhparent = 'readings'::regclass").await;
    assert_eq!(expire_anomalies(&mut connection, &kept(10, Some(10))).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quarantine_and_losses_are_bounded_by_age_and_number() {
    let server = start().await;
    // Entry 101 is not committed yet: a replay of the log needs it.
    server
        .execute(
            "INSERT INTO quarantine (partition, generation, n, item, reason, sensor, ts, detail, quarantined)
             SELECT 3, 5, n, 0, 'poison', 'a', now(), '', now() - make_interval(days => 102 - n)
             FROM unnest(ARRAY[60, 97, 98, 99, 100]) n;
             INSERT INTO quarantine (partition, generation, n, item, reason, sensor, ts, detail, quarantined)
             VALUES (3, 5, 101, 0, 'poison', 'a', now(), '', now() - interval '90 days');
             INSERT INTO log_losses (partition, after_generation, after_n, before_generation, before_n, noticed)
             SELECT 3, 5, n, 5, n + 1, now() - make_interval(days => 102 - n) FROM unnest(ARRAY[60, 97, 98, 99, 100]) n;",
        )
        .await;
    let mut connection = server.connect().await;
    assert_eq!(expire_quarantine(&mut connection, &kept(1, None)).await.unwrap(), 2);
    let left = "SELECT string_agg(n::text, ',' ORDER BY n) FROM quarantine";
    assert_eq!(text(&server, left).await, "98,99,100,101");
    assert_eq!(expire_losses(&mut connection, &kept(1, None)).await.unwrap(), 2);
    let left = "SELECT string_agg(after_n::text, ',' ORDER BY after_n) FROM log_losses";
    assert_eq!(text(&server, left).await, "98,99,100");
    assert_eq!(expire_quarantine(&mut connection, &kept(1, None)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_and_field_sets_without_a_reference_are_deleted() {
    let server = start().await;
    let mut connection = server.connect().await;
    // A transaction that begins to refer to a row has inserted into the table. The deletion gives
    // way.
    let mut writer = server.connect().await;
    writer
        .batch_execute(
            "BEGIN; INSERT INTO configs VALUES (1, '{}', '2026-01-09') ON CONFLICT (id) DO UPDATE
             SET newest_day = excluded.newest_day WHERE configs.newest_day < excluded.newest_day;
             INSERT INTO field_sets VALUES (2, '{y}') ON CONFLICT DO NOTHING",
        )
        .await
        .unwrap();
    assert_eq!(expire_configs(&mut connection).await.unwrap(), 0);
    assert_eq!(expire_field_sets(&mut connection).await.unwrap(), 0);
    writer.batch_execute("ROLLBACK").await.unwrap();

    assert_eq!(expire_configs(&mut connection).await.unwrap(), 1);
    assert_eq!(text(&server, "SELECT string_agg(id::text, ',') FROM configs").await, "2");
    assert_eq!(expire_field_sets(&mut connection).await.unwrap(), 1);
    assert_eq!(text(&server, "SELECT string_agg(id::text, ',') FROM field_sets").await, "1");
    // A table of unknown days may refer to any of them.
    server
        .execute(
            "INSERT INTO configs VALUES (1, '{}', '2026-01-01');
             CREATE TABLE archive (LIKE readings);
             ALTER TABLE readings ATTACH PARTITION archive FOR VALUES FROM ('2020-01-01') TO ('2020-02-01')",
        )
        .await;
    assert_eq!(expire_configs(&mut connection).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_requests_that_no_replay_needs_are_deleted() {
    let server = start().await;
    // Sensor 1: all readings of the eras 0 and 1 are before 2026-01-10. Sensor 2: era 1 reaches
    // into it.
    server
        .execute(
            "INSERT INTO clock_changes (sensor, era, seq, newest, begins) VALUES
                 (1, 1, 10, '2026-01-05', '2026-01-04'), (1, 2, 20, '2026-01-08', '2026-01-07'),
                 (1, 3, 30, '2026-01-10 10:00Z', '2026-01-09'),
                 (2, 1, 10, '2026-01-05', '2026-01-04'), (2, 2, 20, '2026-01-10 10:00Z', '2026-01-07');
             INSERT INTO detector_resets (sensor, request, seq, era, newest) VALUES
                 (3, 1, 10, 0, '2026-01-05'), (3, 2, 20, 0, '2026-01-08'), (3, 3, 30, 0, '2026-01-10 10:00Z'),
                 (2, 4, 10, 1, '2026-01-06'), (2, 5, 10, 2, '2026-01-08');
             INSERT INTO sensor_requests (sensor, action, requested, logged) VALUES
                 (1, 'reset', now() - interval '8 days', true), (1, 'reset', now() - interval '6 days', true),
                 (1, 'reset', now() - interval '8 days', false), (1, 'forget', now() - interval '8 days', true),
                 (9, 'reset', now(), false);",
        )
        .await;
    let mut connection = server.connect().await;
    assert_eq!(expire_changes(&mut connection).await.unwrap(), 2);
    let eras = "SELECT string_agg(sensor || ':' || era, ',' ORDER BY sensor, era) FROM clock_changes";
    assert_eq!(text(&server, eras).await, "1:2,1:3,2:1,2:2");
    let resets = "SELECT string_agg(request::text, ',' ORDER BY request) FROM detector_resets";
    assert_eq!(text(&server, resets).await, "2,3,4,5");
    assert_eq!(expire_changes(&mut connection).await.unwrap(), 0);
    assert_eq!(expire_requests(&mut connection).await.unwrap(), 2);
    let requests = "SELECT string_agg(action || logged, ',' ORDER BY id) FROM sensor_requests";
    assert_eq!(text(&server, requests).await, "resettrue,resetfalse,forgettrue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_written_again_if_its_last_day_was_dropped_and_another_session_creates_it() {
    let server = rejected_rows::start().await;
    let batch = |n: u64, day: i64, config: u64| {
        let mut batch: CommitBatch = rejected_rows::batch_of(&[1.0]);
        (batch.from.n, batch.to) = (n - 1, Position { generation: 1, n });
        batch.from.generation = u64::from(n > 1);
        let row = &mut batch.rows[0];
        row.position = RecordPosition { position: batch.to, item: 0 };
        row.row.ts = Timestamp(row.row.ts.0 + day * 86_400_000_000 + n as i64);
        row.row.config = Some(config.cast_signed());
        batch.configs.insert(config, "{}".to_owned());
        batch
    };
    let mut session = WriteSession::default();
    let first = batch(1, -1, 2);
    for batch in [&first, &batch(2, 0, 1)] {
        session.commit(&server.url(), &[batch]).await.unwrap();
    }
    let day = day_of(first.rows[0].row.ts);
    server
        .execute(&format!("SELECT drop_day_partition(('readings_' || to_char(date '2000-01-01' + {day}, '\"y\"YYYY\"m\"MM\"d\"DD'))::regclass)"))
        .await;
    let mut connection = server.connect().await;
    assert_eq!(expire_configs(&mut connection).await.unwrap(), 1);
    ensure_days(&mut connection, &[day]).await.unwrap();
    session.commit(&server.url(), &[&batch(3, -1, 2)]).await.unwrap();
    let rows =
        "SELECT string_agg(c.id::text, ',' ORDER BY c.id) FROM readings r JOIN configs c ON c.id = r.config";
    assert_eq!(text(&server, rows).await, "1,2");
}
