//! Day tables on a real PostgreSQL: listing them, counting their rows and dropping them.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use thicket_store::postgres::{
    DayOutcome, DayTable, NewestRow, PostgresConnection, QueryError, RowsWithoutSensor, begin_retention,
    count_rows_of_day, day_tables, days_older_than, drop_day, is_lock_timeout, partition_ledgers,
};

use crate::support::PostgresServer;

/// Two days. The first has two scored rows, an unscored, a late and a poison row of sensor 1; the
/// second a scored row.
const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-01-01', '2026-01-02']::date[]);
INSERT INTO partitions (id, delivered, scored, unscored, poison, late) VALUES (3, 6, 3, 1, 1, 1);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES (1, 'a', 3, '{x}', '2026-01-01');
INSERT INTO field_sets (id, names) VALUES (1, '{x}');
INSERT INTO configs (id, settings, newest_day) VALUES (1, '{}', '2026-01-02');
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", flags, config) VALUES
    (1, '2026-01-01 10:00Z', 1, 1, '{1}', 0, 1),
    (1, '2026-01-01 10:01Z', NULL, 1, '{1}', 8, NULL),
    (1, '2026-01-01 10:02Z', NULL, 1, '{1}', 4, NULL),
    (1, '2026-01-01 10:03Z', 2, 1, '{1}', 0, 1),
    (1, '2026-01-01 10:04Z', 3, 1, '{1}', 1024, 1),
    (1, '2026-01-02 10:00Z', 4, 1, '{1}', 0, 1);";

/// Why a day was not dropped.
#[derive(Debug)]
pub(crate) enum Error {
    Query(QueryError),
    NoSensor(i64),
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

impl From<RowsWithoutSensor> for Error {
    fn from(RowsWithoutSensor(rows): RowsWithoutSensor) -> Self {
        Self::NoSensor(rows)
    }
}

async fn start() -> PostgresServer {
    let server = PostgresServer::start().await;
    server.execute(ROWS).await;
    server
}

async fn drop_first(
    connection: &mut PostgresConnection,
    day: &DayTable,
    waiting: usize,
) -> Result<(DayOutcome, Vec<NewestRow>), Error> {
    let mut newest = Vec::new();
    let outcome = drop_day(connection, day, |rows| {
        newest = rows;
        async move { Ok::<_, Error>(waiting) }
    })
    .await?;
    Ok((outcome, newest))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_listed_counted_kept_while_it_is_needed_and_dropped() {
    let server = start().await;
    let mut connection = server.connect().await;
    let names = |days: &[DayTable]| days.iter().map(|day| day.name.clone()).collect::<Vec<_>>();
    let days = days_older_than(&mut connection, Duration::ZERO).await.unwrap();
    assert_eq!(names(&days), ["readings_y2026m01d01", "readings_y2026m01d02"]);
    let since = "2026-01-02T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let recent = day_tables(&mut connection, Some(since.into())).await.unwrap();
    assert_eq!(names(&recent), ["readings_y2026m01d02"]);
    assert_eq!(day_tables(&mut connection, None).await.unwrap(), days);

    let counts = count_rows_of_day(&mut connection, &days[0], None).await.unwrap();
    let [counts] = &counts[..] else { panic!("{counts:?}") };
    assert_eq!((counts.scored, counts.unscored, counts.poison), (2, 1, 1));
    assert_eq!((counts.late, counts.other), (1, 0));
    assert_eq!((counts.first, counts.last, counts.breaks), (Some(1), Some(3), 0));
    assert_eq!((counts.no_config, counts.no_field_set, counts.partition), (0, 0, Some(3)));

    let (outcome, newest) = drop_first(&mut connection, &days[0], 1).await.unwrap();
    assert_eq!(outcome, DayOutcome::Kept { waiting: 1 });
    assert_eq!(newest, [NewestRow { name: "a".to_owned(), partition: 3, seq: 3 }]);
    let (outcome, _) = drop_first(&mut connection, &days[0], 0).await.unwrap();
    assert_eq!(outcome, DayOutcome::Dropped(5));
    let ledger = partition_ledgers(&mut connection).await.unwrap()[0].ledger;
    assert_eq!((ledger.expired, ledger.expired_unscored), (5, 1));
    assert_eq!((ledger.expired_poison, ledger.expired_late), (1, 1));
    assert_eq!((ledger.stored(), ledger.unaccounted()), (1, 0));
    assert_eq!(day_tables(&mut connection, None).await.unwrap().len(), 1);

    connection.batch_execute("DELETE FROM sensors").await.unwrap();
    let error = drop_first(&mut connection, &days[1], 0).await.unwrap_err();
    assert!(matches!(error, Error::NoSensor(1)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_timeout_is_recognised_by_a_fact_and_not_by_the_text_of_its_message() {
    let server = start().await;
    let (mut connection, mut other) = (server.connect().await, server.connect().await);
    let days = day_tables(&mut connection, None).await.unwrap();
    for statement in [
        "LOCK TABLE readings_y2026m01d01 IN ROW EXCLUSIVE MODE",
        "SELECT 1 FROM partitions FOR UPDATE",
        "LOCK TABLE readings IN ACCESS SHARE MODE",
    ] {
        other.batch_execute(&format!("BEGIN; {statement}")).await.unwrap();
        let Err(Error::Query(error)) = drop_first(&mut connection, &days[0], 0).await else {
            panic!("{statement}: dropped")
        };
        assert!(is_lock_timeout(&error), "{statement}: {error:?}");
        other.batch_execute("ROLLBACK").await.unwrap();
    }
    let Err(error) = connection.batch_execute("SELECT 1 / 0").await else { panic!("divided by zero") };
    assert!(!is_lock_timeout(&error));
    let (outcome, _) = drop_first(&mut connection, &days[0], 0).await.unwrap();
    assert_eq!(outcome, DayOutcome::Dropped(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_at_a_time_does_the_work_of_retention() {
    let server = start().await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert!(begin_retention(&mut first).await.unwrap());
    assert!(!begin_retention(&mut second).await.unwrap());
    drop(first);
    let free = async {
        while !begin_retention(&mut second).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.unwrap();
}
