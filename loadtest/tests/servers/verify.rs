//! `verify` against a real PostgreSQL: an equal row is found; a reading whose row differs in one
//! bit is lost.

use std::{path::PathBuf, time::Duration};

use crate::support::{Store, first_readings, new_scenario, run, sensor_id, sql_time, write_manifest};
use thicket_loadtest::{
    manifest::{Disposition, InjectedEvent},
    sound_class::SoundClass,
    verify::{Latency, Performance, Verification, VerifyOptions, verify},
};

async fn check(store: &Store, manifests: &[PathBuf]) -> Verification {
    let options =
        VerifyOptions { manifests: manifests.to_vec(), database: store.server.url(), wait: Duration::ZERO };
    verify(&options, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_equal_what_was_published_are_no_loss_and_all_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 3);
    let all = first_readings(&scenario, 40);
    let manifests = [folder.path().join("manifest")];
    drop(write_manifest(&manifests[0], &scenario, &all, &[]));
    let mut store = Store::start().await;

    let empty = check(&store, &manifests).await.report;
    assert_eq!((empty.published, empty.stored, empty.lost), (120, 0, 120));

    store.store(&scenario, &all).await;
    let whole = check(&store, &manifests).await.report;
    assert_eq!((whole.published, whole.stored, whole.lost), (120, 120, 0));
    assert_eq!(whole.readings_per_second, Some(60.0));

    // A row with another time does not replace a missing row.
    let (row, id) = (all[50], sensor_id(&scenario, all[50].sensor));
    let at = format!("WHERE sensor = {id} AND ts = {}", sql_time(row.ts));
    store.execute(&format!("UPDATE readings SET ts = ts + interval '1 microsecond' {at}")).await;
    let moved = check(&store, &manifests).await;
    assert_eq!((moved.report.stored, moved.report.lost, moved.report.unexpected), (120, 1, 1));
    assert!(moved.unexpected[0].contains(&scenario.sensors()[row.sensor].name), "{:?}", moved.unexpected);
    assert!(moved.losses[0].contains(&scenario.sensors()[row.sensor].name), "{:?}", moved.losses);
    let back = format!("WHERE sensor = {id} AND ts = {}", sql_time(row.ts + 1));
    store.execute(&format!("UPDATE readings SET ts = ts - interval '1 microsecond' {back}")).await;
    assert_eq!(check(&store, &manifests).await.report.lost, 0);

    // Change one bit of one value.
    let other = f64::from_bits(row.values[4].to_bits() ^ 1);
    store.execute(&format!("UPDATE readings SET \"values\"[5] = {other} {at}")).await;
    let changed = check(&store, &manifests).await;
    assert_eq!((changed.report.stored, changed.report.lost), (120, 1));
    assert!(changed.losses[0].contains("other values"), "{:?}", changed.losses);

    // A reading that was rejected for its values is not lost if it has a dead letter.
    let names = thicket_loadtest::audio::FIELDS;
    let members: Vec<String> =
        names.iter().zip(row.values).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let payload = format!("{{\"ts\":{},{}}}", row.ts, members.join(","));
    store
        .execute(&format!(
            "INSERT INTO dead_letters VALUES (0, 1, 1, 0, now(), 'timestamp_conflict', '', 'sensors/{}', '{payload}', {}, 0)",
            scenario.sensors()[row.sensor].name,
            payload.len()
        ))
        .await;
    let refused = check(&store, &manifests).await.report;
    assert_eq!((refused.lost, refused.only_dead_letters, refused.unexpected), (0, 1, 1));
    assert!(!refused.is_complete());

    // The program fails too: a well-formed reading that is refused has no row.
    let url = store.server.url();
    let output = run(&["verify", "--manifest", manifests[0].to_str().unwrap(), "--database", &url]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("only dead letters: 1;"), "{output:?}");
    store.execute(&format!("UPDATE readings SET \"values\"[5] = {} {at}", row.values[4])).await;
    assert!(check(&store, &manifests).await.report.is_complete());

    // A row that nobody published fails, also if all that was published is stored.
    let columns = "SELECT sensor, ts + interval '1 microsecond', seq, field_set, \"values\", flags";
    store
        .execute(&format!(
            "INSERT INTO readings (sensor, ts, seq, field_set, \"values\", flags) {columns} FROM readings {at}"
        ))
        .await;
    let report = check(&store, &manifests).await.report;
    assert_eq!((report.stored, report.lost, report.unexpected), (121, 0, 1));
    let output = run(&["verify", "--manifest", manifests[0].to_str().unwrap(), "--database", &url]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("has a row that was not published"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_need_a_dead_letter_each_and_the_ledger_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 1);
    let all = first_readings(&scenario, 5);
    let manifests = [folder.path().join("manifest")];
    let mut writer = write_manifest(&manifests[0], &scenario, &all, &[]);
    let copy = [(all[0].ts, all[0].values.as_slice())];
    writer.message(Disposition::Duplicate, 0, copy.into_iter()).unwrap();
    writer.malformed("sensors/x", b"{\"ts\":").unwrap();
    writer.malformed("sensors/x", &[0xff; 5_000]).unwrap();
    writer.flush().unwrap();
    let mut store = Store::start().await;
    store.store(&scenario, &all).await;
    assert_eq!(check(&store, &manifests).await.report.lost, 2);

    store
        .execute(
            "INSERT INTO dead_letters VALUES
               (0, 1, 1, 0, now(), 'malformed_json', '', 'sensors/x', '{\"ts\":', 6, 0),
               (0, 1, 2, 0, now(), 'malformed_json', '', 'sensors/x', decode(repeat('ff', 4096), 'hex'), 5000, 0);
             UPDATE partitions SET delivered = 8, scored = 5, duplicates = 1, dead_letters = 2, late = 0 WHERE id = 3;
             UPDATE partitions SET duplicates = 4, late = 7 WHERE id = 4;",
        )
        .await;
    let report = check(&store, &manifests).await.report;
    assert_eq!((report.published, report.stored, report.lost), (8, 5, 0));
    assert!(report.is_complete());
    assert_eq!((report.duplicates, report.late, report.dead_letters), (5, 7, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn injected_events_are_matched_with_anomalies() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 2);
    let all = first_readings(&scenario, 100);
    let event = |sensor: usize, first: u64, last: u64| InjectedEvent {
        sensor: scenario.sensors()[sensor].name.clone(),
        class: SoundClass::Siren,
        start: scenario.timestamp(sensor, first),
        end: scenario.timestamp(sensor, last),
        salience_db: 10.0,
    };
    // The first event is found, the second is missed, the third is published only in part.
    let events = [event(0, 10, 20), event(1, 10, 20), event(1, 95, 105)];
    let manifests = [folder.path().join("manifest")];
    drop(write_manifest(&manifests[0], &scenario, &all, &events));
    let mut store = Store::start().await;
    store.store(&scenario, &all).await;
    let mut anomaly = async |sensor: usize, started: u64, ended: Option<u64>| {
        let at = |frame| sql_time(scenario.timestamp(sensor, frame));
        let ended = ended.map_or("NULL".to_owned(), at);
        let (id, started) = (sensor_id(&scenario, sensor), at(started));
        let row = format!("({id}, {started}, {ended}, {started}, 1, 1, 1, '{{zcr}}', '{{1}}')");
        store.execute(&format!("INSERT INTO anomalies VALUES {row}")).await;
    };
    anomaly(0, 22, Some(23)).await;
    anomaly(0, 50, Some(51)).await;
    anomaly(1, 97, None).await;
    // An anomaly outside the manifest's time belongs to another run.
    anomaly(1, 200, Some(201)).await;
    let found = check(&store, &manifests).await.report.anomalies;
    assert_eq!((found.injected, found.found, found.false_alarms), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_everything_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 2);
    let all = first_readings(&scenario, 30);
    let manifests = [folder.path().join("manifest")];
    drop(write_manifest(&manifests[0], &scenario, &all, &[]));
    let mut store = Store::start().await;
    store.store(&scenario, &all[..20]).await;
    let options = VerifyOptions {
        manifests: manifests.to_vec(),
        database: store.server.url(),
        wait: Duration::from_mins(1),
    };
    let performance = Performance {
        readings_per_second: Some(123.456),
        latency_ms: Latency { p50: Some(1.234_5), p99: Some(9.0) },
    };
    let waiting = tokio::spawn(async move { verify(&options, Some(performance)).await });
    store.store(&scenario, &all[20..]).await;
    let report = waiting.await.unwrap().unwrap().report;
    assert_eq!((report.stored, report.lost), (60, 0));
    assert_eq!(report.readings_per_second, Some(123.5));
    assert_eq!(report.latency_ms, Latency { p50: Some(1.23), p99: Some(9.0) });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_prints_the_object_and_exits_1_for_a_loss() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = new_scenario(folder.path(), 2);
    let all = first_readings(&scenario, 10);
    let path = folder.path().join("manifest");
    drop(write_manifest(&path, &scenario, &all, &[]));
    let mut store = Store::start().await;
    store.store(&scenario, &all[..19]).await;
    let url = store.server.url();
    let arguments = ["verify", "--manifest", path.to_str().unwrap(), "--database", &url];

    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&object["published"], &object["stored"], &object["lost"]),
        (&20.into(), &19.into(), &1.into())
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("has no row and no dead letter"), "{output:?}");

    store.store(&scenario, &all[19..]).await;
    assert_eq!(run(&arguments).status.code(), Some(0));

    // A torn manifest is compared up to its last whole record.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ends within a record"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_server_that_refuses_the_connection_is_to_be_started() {
    let store = Store::start().await;
    let said = |url: &str| {
        let output = run(&["digest", "--database", url]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let url = store.server.url();
    let missing = said(&format!("{}/nowhere", url.rsplit_once('/').unwrap().0));
    assert!(missing.contains("nowhere") && !missing.contains("is it running"), "{missing}");
    assert!(!said("not a url").contains("is it running"));
    let refused = said("postgres://u@127.0.0.1:1/d");
    assert!(refused.contains("is it running") && refused.contains("make demo"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_says_how_to_make_them() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("postgres");
    let server = tokio::task::spawn_blocking(move || thicket_compose::Postgres::start(&directory))
        .await
        .unwrap()
        .unwrap();
    let output = run(&["digest", "--database", &server.url()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("thicket migrate"), "{text}");
}
