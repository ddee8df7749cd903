//! A snapshot sees every change of a row, bit for bit, except in columns that depend on the run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use thicket_compose::Postgres;
use thicket_testkit::{Snapshot, Tables};

const ROWS: &str = "
    SELECT ensure_day_partitions(ARRAY['2026-11-22'::date]);
    INSERT INTO sensors VALUES (1, 'a', 2, '{x,y}', '2026-11-22 10:00Z', 0, '2026-11-22', '{3}', 'first');
    INSERT INTO field_sets VALUES (3, '{x,y}');
    INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags, config, confidence, onset)
        VALUES (1, '2026-11-22 10:00Z', 1, 3, '{0,1.5}', 0, 0.25, 2, 4, 0.5, 0.75);
    INSERT INTO anomalies VALUES
        (1, '2026-11-22 10:00Z', '2026-11-22 10:01Z', '2026-11-22 10:00Z', 40, 0.9, 7, '{x}', '{1}',
         false, '{1}', '{2}', '{3}', '{4}', '{f}', '{61}', '{245}');
    INSERT INTO dead_letters VALUES
        (1, 2, 3, 4, '2026-11-22 10:00Z', 'malformed_json', 'detail', 'sensors/a', 'x', 1, 5,
         '2026-11-22 10:00Z');
";
/// Columns of `dead_letters` that depend on when messages arrive and how they are packed.
const OF_THE_RUN: [&str; 5] = ["generation", "n", "item", "received", "replayed"];

/// An expression for another value of a column of this type.
fn other_value(column: &str, kind: &str) -> String {
    match kind {
        "boolean" => format!("NOT {column}"),
        "text" => format!("{column} || 'x'"),
        "bytea" => format!("{column} || '\\x78'"),
        "timestamp with time zone" => format!("{column} + interval '1 microsecond'"),
        "ARRAY" => format!("{column} || {column}"),
        _ => format!("{column} + 1"),
    }
}

/// The snapshot after a statement, which is undone.
async fn after(tables: &mut Tables, statement: &str) -> Snapshot {
    tables.execute("BEGIN").await.unwrap();
    tables.execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:#}"));
    let snapshot = tables.snapshot().await.unwrap();
    tables.execute("ROLLBACK").await.unwrap();
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_covers_every_column_that_follows_from_what_was_published() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("postgres");
    let server = tokio::task::spawn_blocking(move || Postgres::start(&path)).await.unwrap().unwrap();
    let connection = AsyncPgConnection::establish(&server.url()).await.unwrap();
    thicket_schema::postgres::migrate(connection).await.unwrap();
    let mut tables = Tables::open(&server.url()).await.unwrap();
    tables.execute(ROWS).await.unwrap();
    let before = tables.snapshot().await.unwrap();
    tables.snapshot().await.unwrap().assert_same(&before);

    let mut columns = 0;
    for table in ["readings", "anomalies", "dead_letters", "sensors"] {
        let query = format!(
            "SELECT column_name::text, data_type::text FROM information_schema.columns
             WHERE table_name = '{table}' AND table_schema = 'public'"
        );
        for row in tables.texts(&query).await.unwrap() {
            let (column, kind) = row.trim_matches(['(', ')']).split_once(',').unwrap();
            let column = format!("\"{column}\"");
            let value = other_value(&column, kind.trim_matches('"'));
            let changed = after(&mut tables, &format!("UPDATE {table} SET {column} = {value}")).await;
            let is_of_the_run = table == "dead_letters" && OF_THE_RUN.contains(&column.trim_matches('"'));
            assert_eq!(changed.differences(&before).is_empty(), is_of_the_run, "{table}.{column}");
            columns += 1;
        }
    }
    assert!(columns > 35, "{columns} columns");
    let changed = after(&mut tables, "UPDATE readings SET score = '-0'").await;
    assert_eq!(changed.differences(&before).len(), 1, "the sign of a zero is a bit, too");
}
