//! The history of a sensor is read in pages. No row is lost or doubled at the border of two pages,
//! also where the sensor's time has begun again.

use thicket_schema::{SensorName, Timestamp};
use thicket_store::postgres::{Applied, FieldSets, StoredReading, page_of_rows, postgres_pool, rows_after};

use crate::support::PostgresServer;

const SECOND: i64 = 1_000_000;
const START: i64 = 1_790_000_000 * SECOND;

/// The seq, the era and the second of each row, in the order in which the detector applied them.
/// The time begins again twice.
const ROWS: [(i64, i32, i64); 12] = [
    (1, 0, 100),
    (2, 0, 101),
    (3, 0, 102),
    (4, 1, 50),
    (5, 1, 51),
    (6, 1, 103),
    (7, 1, 104),
    (8, 2, 10),
    (9, 2, 52),
    (10, 2, 105),
    (11, 2, 106),
    (12, 2, 107),
];

fn seqs(rows: &[StoredReading]) -> Vec<i64> {
    rows.iter().filter_map(|row| row.seq).map(u64::cast_signed).collect()
}

async fn start() -> (PostgresServer, SensorName) {
    let (server, sensor) = (PostgresServer::start().await, SensorName::new("pump").unwrap());
    let id = sensor.id().0;
    let at = |second: i64| format!("to_timestamp({})", START / SECOND + second);
    let day = format!("({} AT TIME ZONE 'UTC')::date", at(0));
    let mut statements = format!(
        "INSERT INTO field_sets VALUES (1, '{{value}}');
         INSERT INTO sensors VALUES ({id}, 'pump', 0, '{{value}}', now(), 0, {day});
         INSERT INTO clock_changes VALUES ({id}, 1, 3, {}, {}), ({id}, 2, 7, {}, {});",
        at(102),
        at(50),
        at(104),
        at(10)
    );
    let row = |seq: &str, era: i32, second: i64, flags: i32| {
        format!(
            "INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, flags, era, config)
             VALUES ({id}, {}, {seq}, 1, '{{1}}', 0, {flags}, {era}, 7);",
            at(second)
        )
    };
    statements.extend(ROWS.iter().map(|&(seq, era, second)| row(&seq.to_string(), era, second, 0)));
    // Late rows lie between them, and are not read.
    statements.extend([60, 99].map(|second| row("NULL", 1, second, 4)));
    let day = thicket_store::postgres::day_of(Timestamp(START));
    thicket_store::postgres::ensure_days(&mut server.connect().await, &[day]).await.unwrap();
    server.execute(&statements).await;
    (server, sensor)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_or_doubled_between_two_pages() {
    let (server, sensor) = start().await;
    let pool = postgres_pool(&server.url(), 1).unwrap();
    let field_sets = FieldSets::default();
    let all = rows_after(&pool, sensor.id(), None, 100, &field_sets).await.unwrap();
    assert_eq!(all.more_after, None);
    let all = all.rows;
    assert_eq!(seqs(&all), ROWS.map(|(seq, ..)| seq));
    let place_of = |row: &StoredReading| -> Applied { (row.era, row.ts) };
    // Pages that end within an era, with an era, and with the last row.
    for page in 1..=ROWS.len() + 1 {
        for from in [None, Some(0), Some(2), Some(6), Some(11)] {
            let after = from.map(|index: usize| place_of(&all[index]));
            let expected = &all[from.map_or(0, |index| index + 1)..];
            let (mut after, mut found) = (after, Vec::new());
            loop {
                let rows = rows_after(&pool, sensor.id(), after, page, &field_sets).await.unwrap();
                assert!(rows.rows.len() <= page);
                found.extend(rows.rows);
                if rows.more_after.is_none() {
                    break;
                }
                after = rows.more_after;
            }
            assert_eq!(seqs(&found), seqs(expected), "pages of {page} after row {from:?}");
        }
    }

    // An explanation reads pages up to a place.
    let mut connection = server.connect().await;
    for (page, end) in [(1, 5), (2, 4), (3, 7), (4, 8), (5, 11), (20, 9)] {
        let before = place_of(&all[end]);
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let rows = page_of_rows(&mut connection, sensor.id(), after, before, page).await.unwrap();
            let is_last = rows.len() < page;
            after = rows.last().map(place_of).or(after);
            found.extend(rows);
            if is_last {
                break;
            }
        }
        assert_eq!(seqs(&found), seqs(&all[..end]), "pages of {page} before row {end}");
    }
}
