//! `digest` against a real PostgreSQL: the same rows give the same hash, in whatever order they
//! were stored; one flipped bit gives another hash.

use crate::support::{Store, first_readings, new_scenario, run, sensor_id, sql_time};
use thicket_loadtest::digest::{Digest, digest};

const DEAD_LETTERS: [&str; 3] = [
    "'malformed_json', '', 'sensors/a', '{', 1, 0",
    "'malformed_json', '', 'sensors/b', '{', 1, 0",
    "'empty', '', 'sensors/a', '', 0, 0",
];

async fn fill(store: &mut Store, backwards: bool) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 3);
    let mut all = first_readings(&scenario, 20);
    let mut dead_letters: Vec<&str> = DEAD_LETTERS.to_vec();
    if backwards {
        all.reverse();
        dead_letters.reverse();
    }
    for chunk in all.chunks(if backwards { 7 } else { 60 }) {
        store.store(&scenario, chunk).await;
    }
    for (n, dead_letter) in dead_letters.iter().enumerate() {
        let partition = if backwards { 5 } else { 0 };
        store
            .execute(&format!(
                "INSERT INTO dead_letters VALUES ({partition}, 1, {n}, 0, now(), {dead_letter})"
            ))
            .await;
    }
    let started = sql_time(scenario.timestamp(1, 4));
    store
        .execute(&format!(
            "INSERT INTO anomalies VALUES ({}, {started}, NULL, {started}, 2.5, 0.9, 3, '{{zcr}}', '{{1}}')",
            sensor_id(&scenario, 1)
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_give_the_same_digest_however_they_came() {
    let (mut one, mut other) = (Store::start().await, Store::start().await);
    fill(&mut one, false).await;
    fill(&mut other, true).await;
    let first = digest(&one.server.url()).await.unwrap();
    assert_eq!(first, digest(&other.server.url()).await.unwrap());
    assert_eq!((first.readings.rows, first.anomalies.rows, first.dead_letters.rows), (60, 1, 3));

    let output = run(&["digest", "--json", "--database", &one.server.url()]);
    assert_eq!(serde_json::from_slice::<Digest>(&output.stdout).unwrap(), first);
    let output = run(&["digest", "--database", &one.server.url()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().next(), Some(first.sha256.as_str()));
    assert_eq!(text.lines().nth(1).unwrap(), format!("{} readings 60", first.readings.sha256));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_change_changes_it() {
    let mut store = Store::start().await;
    fill(&mut store, false).await;
    let url = store.server.url();
    let mut seen = vec![digest(&url).await.unwrap().sha256];
    for change in [
        "UPDATE readings SET score = score + 1e-15 WHERE seq = 7 AND sensor = (SELECT min(id) FROM sensors)",
        "UPDATE readings SET \"values\"[3] = -\"values\"[3] WHERE seq = 7 AND sensor = (SELECT min(id) FROM sensors)",
        "UPDATE readings SET flags = flags | 2 WHERE seq = 7",
        "UPDATE readings SET grade = NULL WHERE seq = 8",
        "UPDATE readings SET seq = NULL WHERE seq = 9",
        "UPDATE readings SET ts = ts + interval '1 microsecond' WHERE seq = 10",
        "UPDATE field_sets SET names[1] = 'band_1000'",
        "UPDATE sensors SET name = name || 'x' WHERE id = (SELECT min(id) FROM sensors)",
        "DELETE FROM readings WHERE seq = 11",
        "UPDATE anomalies SET ended = peak_at",
        "UPDATE anomalies SET contributions = '{0.5}'",
        "UPDATE dead_letters SET payload_bytes = 2 WHERE n = 1",
        "DELETE FROM dead_letters WHERE n = 2",
    ] {
        store.execute(change).await;
        let hash = digest(&url).await.unwrap().sha256;
        assert!(!seen.contains(&hash), "{change}");
        seen.push(hash);
    }
    // Columns that do not depend on what was published are not in the digest.
    let last = seen.last().unwrap();
    store.execute("UPDATE dead_letters SET received = now(), n = n + 100, detail = 'x'").await;
    store
        .execute("UPDATE readings SET config = 5; UPDATE sensors SET first_seen = now(), partition = 9")
        .await;
    assert_eq!(digest(&url).await.unwrap().sha256, *last);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_sensor_owns_are_an_error() {
    let mut store = Store::start().await;
    fill(&mut store, false).await;
    store.execute("DELETE FROM sensors WHERE id = (SELECT min(id) FROM sensors)").await;
    let error = digest(&store.server.url()).await.unwrap_err().to_string();
    assert!(error.contains("20 readings belong to no sensor"), "{error}");
}
