//! The queries and changes of operators on a real PostgreSQL: dead letters, quarantine, anomalies
//! and labels.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use thicket_detector::Label;
use thicket_schema::{
    DeadLetter, FieldSet, PartitionId, Position, Reading, Reason, RecordPosition, SensorId, SensorName,
    Timestamp,
};
use thicket_store::postgres::{
    AnomalyFilter, CommitBatch, DeadLetterFilter, DeadLetterKey, DeadLetterSelection, LoggedDeadLetter,
    NewLabel, WriteSession, anomalies_between, check_deployment, claim, clear_label, dead_letters_by_key,
    delete_dead_letters, expire_dead_letters, find_anomaly, find_sensor, list_anomalies, mark_replayed,
    nearest_anomalies, newest_dead_letters, newest_quarantined, partition_ledgers, postgres_pool,
    quarantined_by_reason, select_dead_letters, sensor_names_like, sensors_matching, set_label,
    unlogged_labels,
};

use crate::support::PostgresServer;

const TEN: i64 = 1_795_341_600_000_000;
const HOUR: i64 = 3_600_000_000;

async fn start() -> PostgresServer {
    let server = PostgresServer::start().await;
    check_deployment(&mut server.connect().await, 1).await.unwrap();
    server
}

fn position(item: u32) -> RecordPosition {
    RecordPosition { position: Position { generation: 1, n: 1 }, item }
}

fn key(item: u32) -> DeadLetterKey {
    DeadLetterKey { partition: PartitionId(0), position: position(item) }
}

/// Commits two dead letters: one of a message, and an hour later one of a decoded reading.
async fn commit_dead_letters(server: &PostgresServer) {
    let pool = postgres_pool(&server.url(), 1).unwrap();
    assert_eq!(claim(&pool, &[PartitionId(0)]).await.unwrap()[0].epoch, 1);
    let reading = Reading {
        sensor: SensorName::new("a").unwrap(),
        ts: Timestamp(TEN),
        stamped: false,
        fields: FieldSet::new(vec!["x".to_owned()]).unwrap(),
        values: vec![1.0],
    };
    let letters = [
        DeadLetter::new("sensors/a_b", Reason::TooManyFields, "", b"{}"),
        DeadLetter::of_reading(&reading, Reason::TooManyFields, ""),
    ];
    let mut batch = CommitBatch::new(PartitionId(0), 1, Position::default());
    batch.to = position(0).position;
    batch.delivered = 2;
    for (item, letter) in letters.into_iter().enumerate() {
        let position = position(item as u32);
        let received = TEN + item as i64 * HOUR;
        batch.dead_letters.push(LoggedDeadLetter {
            position,
            received,
            redelivered: false,
            dead_letter: letter,
        });
    }
    WriteSession::default().commit(&server.url(), &[&batch]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_marked_and_deleted_by_key_and_by_filter() {
    let server = start().await;
    commit_dead_letters(&server).await;
    let postgres = &mut server.connect().await;

    let newest = newest_dead_letters(postgres, &DeadLetterFilter::default(), 10).await.unwrap();
    let shown: Vec<_> = newest.iter().map(|row| (DeadLetterKey::of(row), row.of_reading)).collect();
    assert_eq!(shown, [(key(1), true), (key(0), false)]);
    let filtered = [
        (DeadLetterFilter { topic: Some("sensors/a_*".to_owned()), ..Default::default() }, vec![key(0)]),
        (DeadLetterFilter { topic: Some("sensors/a?b".to_owned()), ..Default::default() }, vec![key(0)]),
        (DeadLetterFilter { since: Some(Timestamp(TEN + 1)), ..Default::default() }, vec![key(1)]),
        (DeadLetterFilter { reason: Some(Reason::Empty), ..Default::default() }, vec![]),
    ];
    for (filter, expected) in filtered {
        let found = newest_dead_letters(postgres, &filter, 10).await.unwrap();
        assert_eq!(found.iter().map(DeadLetterKey::of).collect::<Vec<_>>(), expected, "{filter:?}");
        let selection = DeadLetterSelection { keys: Vec::new(), filter };
        let found = select_dead_letters(postgres, &selection).await.unwrap();
        assert_eq!(found.iter().map(|letter| letter.key).collect::<Vec<_>>(), expected);
    }

    mark_replayed(postgres, &[key(1)]).await.unwrap();
    let selection = DeadLetterSelection { keys: vec![key(0), key(1), key(7)], ..Default::default() };
    let found = select_dead_letters(postgres, &selection).await.unwrap();
    let found: Vec<_> = found.iter().map(|letter| (letter.key, letter.was_replayed)).collect();
    assert_eq!(found, [(key(0), false), (key(1), true)]);

    assert_eq!(delete_dead_letters(postgres, &[key(1), key(7)]).await.unwrap(), 1);
    assert_eq!(dead_letters_by_key(postgres, &[key(0), key(1)]).await.unwrap().len(), 1);
    let ledger = &partition_ledgers(postgres).await.unwrap()[0].ledger;
    assert_eq!((ledger.dead_letters, ledger.dead_letters_deleted), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_surplus_dead_letters_expire_and_the_ledger_counts_them() {
    let server = start().await;
    commit_dead_letters(&server).await;
    server.execute("UPDATE dead_letters SET received = now() - interval '20 days' WHERE item = 0").await;
    let postgres = &mut server.connect().await;
    let days = |days: u64| Some(Duration::from_hours(24 * days));
    assert_eq!(expire_dead_letters(postgres, days(30), 2).await.unwrap(), 0);
    assert_eq!(expire_dead_letters(postgres, None, 2).await.unwrap(), 0);
    assert_eq!(expire_dead_letters(postgres, None, 1).await.unwrap(), 1);
    assert_eq!(dead_letters_by_key(postgres, &[key(0), key(1)]).await.unwrap()[0].item, 1, "the newer one");
    server.execute("UPDATE dead_letters SET received = now() - interval '31 days'").await;
    assert_eq!(expire_dead_letters(postgres, days(30), 100).await.unwrap(), 1);
    let ledger = &partition_ledgers(postgres).await.unwrap()[0].ledger;
    assert_eq!((ledger.dead_letters, ledger.dead_letters_deleted), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn quarantined_readings_are_listed_and_counted() {
    let server = start().await;
    let postgres = &mut server.connect().await;
    let rows = "INSERT INTO quarantine (partition, generation, n, item, reason, sensor, ts, detail, quarantined) VALUES
        (0, 1, 1, 0, 'poison', 'a', now(), '', '2026-11-22 10:00Z'),
        (0, 1, 2, 0, 'poison', 'a', now(), '', '2026-11-22 11:00Z'),
        (0, 1, 3, 0, 'unstorable', 'a', now(), '', '2026-11-22 10:00Z')";
    postgres.batch_execute(rows).await.unwrap();
    let newest = newest_quarantined(postgres, 2).await.unwrap();
    assert_eq!(newest.iter().map(|row| row.n).collect::<Vec<_>>(), [2, 3]);
    let counts = quarantined_by_reason(postgres).await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("poison".to_owned(), 2), ("unstorable".to_owned(), 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn anomalies_are_found_and_labelled() {
    let server = start().await;
    let postgres = &mut server.connect().await;
    let name = SensorName::new("site-1/mic").unwrap();
    let id = name.id().0;
    let rows = format!(
        "INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES ({id}, '{name}', 0, '{{x}}', now());
         INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions) VALUES
             ({id}, '2026-11-22 10:00Z', '2026-11-22 10:30Z', '2026-11-22 10:00Z', 1, 0.5, 3, '{{x}}', '{{1}}'),
             ({id}, '2026-11-22 12:00Z', NULL, '2026-11-22 12:00Z', 1, 0.5, 3, '{{x}}', '{{1}}')"
    );
    postgres.batch_execute(&rows).await.unwrap();

    assert_eq!(find_sensor(postgres, &name).await.unwrap().unwrap().id, id);
    assert_eq!(find_sensor(postgres, &SensorName::new("b").unwrap()).await.unwrap(), None);
    assert_eq!(sensor_names_like(postgres, "site-2/mic", 5).await.unwrap(), ["site-1/mic"]);
    assert_eq!(sensors_matching(postgres, "site-?/*").await.unwrap().len(), 1);
    assert_eq!(sensors_matching(postgres, "site_*").await.unwrap().len(), 0);

    let sensor = SensorId(id);
    let first = Timestamp(TEN);
    let new = NewLabel { label: Label::False, note: "a festival", author: "ada" };
    set_label(postgres, sensor, first, new).await.unwrap();
    set_label(postgres, sensor, Timestamp(TEN + 1), new).await.unwrap();
    let label = find_anomaly(postgres, sensor, first).await.unwrap().unwrap().label.unwrap();
    assert_eq!(
        (label.label, label.note.as_str(), label.author.as_str()),
        (Label::False, "a festival", "ada")
    );
    let pool = postgres_pool(&server.url(), 1).unwrap();
    assert_eq!(unlogged_labels(&pool).await.unwrap().len(), 1, "a label needs an anomaly");

    let mut filter =
        AnomalyFilter { sensors: Some("site*".to_owned()), since: None, unlabelled: true, limit: 5 };
    let second = Timestamp(TEN + 2 * HOUR);
    let started = |found: Vec<thicket_store::postgres::Anomaly>| {
        found.into_iter().map(|anomaly| anomaly.started).collect::<Vec<_>>()
    };
    assert_eq!(started(list_anomalies(postgres, &filter).await.unwrap()), [second]);
    clear_label(postgres, sensor, first).await.unwrap();
    assert_eq!(started(list_anomalies(postgres, &filter).await.unwrap()), [second, first]);
    filter.since = Some(Timestamp(TEN + 1));
    assert_eq!(started(list_anomalies(postgres, &filter).await.unwrap()), [second]);

    let between = anomalies_between(postgres, sensor, Timestamp(TEN + HOUR / 4), Timestamp(TEN + HOUR)).await;
    assert_eq!(started(between.unwrap()), [first]);
    let nearest = nearest_anomalies(postgres, sensor, Timestamp(TEN + 2 * HOUR - 1), 2).await.unwrap();
    assert_eq!(nearest, [second, first]);
}
