//! Runs every SQL query of every dashboard on a real PostgreSQL with known rows, as Grafana's user,
//! and compares the answer with the expected one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command, time::Duration};

use postgres::{Client, NoTls, SimpleQueryMessage};
use tempfile::TempDir;
use thicket_compose::Postgres;
use thicket_dashboards::{
    ENGINE, SENSORS,
    dashboard::{self, Language, Query},
    interpolation::{self, Context},
};

/// A sensor whose name needs quoting.
const MICROPHONE: &str = "o'hare/microphone-7";

/// Known rows: a sensor with scored readings in the time range, a late one, and one before the
/// range; events inside, around and outside of the range; a second sensor that has been silent;
/// dead letters; a ledger that misses one message.
const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23']::date[]);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES
    (1, 'o''hare/microphone-7', 3, '{laeq_db,zcr}', '2026-11-21 09:00Z'),
    (2, 'site-2/microphone-1', 4, '{laeq_db}', '2026-11-22 08:00Z');
INSERT INTO field_sets (id, names) VALUES (10, '{laeq_db,zcr}'), (11, '{laeq_db}');
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags) VALUES
    (1, '2026-11-21 10:00:10Z', 1, 10, '{1,1}', 1, NULL, 1),
    (1, '2026-11-22 10:00:10Z', 2, 10, '{50,0.1}', 1.5, NULL, 1),
    (1, '2026-11-22 10:00:20Z', 3, 10, '{60,0.3}', 2.5, 0.25, 0),
    (1, '2026-11-22 10:01:10Z', 4, 10, '{70,0.5}', 30, 0.99, 2),
    (1, '2026-11-22 10:01:40Z', 5, 11, '{71}', 20, 0.9, 2),
    (1, '2026-11-22 10:02:05Z', NULL, 10, '{40,0.2}', NULL, NULL, 4),
    (2, '2026-11-22 10:30:00Z', 1, 11, '{30}', 9, 0.8, 2);
INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions) VALUES
    (1, '2026-11-22 08:00:00Z', '2026-11-22 08:01Z', '2026-11-22 08:00:30Z', 99, 0.999, 9, '{laeq_db,zcr}', '{0,1}'),
    (1, '2026-11-22 09:59:00Z', '2026-11-22 10:00:05Z', '2026-11-22 09:59:30Z', 11, 0.91, 3, '{laeq_db,zcr}', '{1,0}'),
    (1, '2026-11-22 10:01:10Z', '2026-11-22 10:01:40Z', '2026-11-22 10:01:10Z', 30.25, 0.99, 2, '{laeq_db,zcr}', '{0.75,0.25}'),
    (1, '2026-11-22 10:40:00Z', NULL, '2026-11-22 10:40:00Z', 12, 0.95, 1, '{laeq_db,zcr}', '{0.25,0.75}'),
    (2, '2026-11-22 10:30:00Z', '2026-11-22 10:30:00Z', '2026-11-22 10:30:00Z', 9, 0.8, 1, '{laeq_db}', '{1}');
UPDATE anomalies SET actual = '{71.2,0.1}', expected = '{44,0.1}', low = '{40,0}', high = '{48.25,0.2}'
    WHERE sensor = 1 AND started = '2026-11-22 10:01:10Z';
INSERT INTO labels (sensor, started, label) VALUES (1, '2026-11-22 10:01:10Z', 'false');
INSERT INTO dead_letters (partition, generation, n, item, received, reason, detail, topic, payload, payload_bytes, content)
VALUES
    (0, 1, 1, 0, '2026-11-22 10:00Z', 'malformed_json', '', 't', '', 0, 1),
    (0, 1, 2, 0, '2026-11-22 10:05Z', 'malformed_json', '', 't', '', 0, 2),
    (1, 1, 1, 0, '2026-11-22 10:02Z', 'no_topic_template', '', 't', '', 0, 3);
INSERT INTO partitions (id, delivered, scored, unscored, poison, late, duplicates, dead_letters) VALUES
    (0, 106, 90, 6, 1, 2, 3, 4), (1, 51, 50, 0, 0, 0, 0, 0);
UPDATE partitions SET expired = 40, dead_letters_deleted = 1 WHERE id = 0;
";

/// The answers: per query its column names, then its rows, cells joined by ` | `, an absent value
/// as `-`.
const SENSORS_ANSWERS: &[(&str, &[&str])] = &[
    ("variable sensor", &["sensor", "o'hare/microphone-7", "site-2/microphone-1"]),
    ("variable field", &["unnest", "laeq_db", "zcr"]),
    (
        "annotation Anomalies",
        &[
            "time | timeend | text | tags",
            "2026-11-22 10:40:00+00 | 2026-11-22 11:00:00+00 | Peak grade 0.950, score 12.0, readings: 1, going on | anomaly,zcr",
            "2026-11-22 10:01:10+00 | 2026-11-22 10:01:40+00 | Peak grade 0.990, score 30.3, readings: 2 | anomaly,laeq_db",
            "2026-11-22 09:59:00+00 | 2026-11-22 10:00:05+00 | Peak grade 0.910, score 11.0, readings: 3 | anomaly,laeq_db",
        ],
    ),
    // At the end of the range, the second sensor's last reading is half an hour old, and the first
    // sensor's last reading nearly so.
    ("Sensors A", &["sensors | silent", "2 | 2"]),
    ("Anomalies A", &["events | going on | sensors", "3 | 1 | 2"]),
    (
        "Anomalies over time A",
        &["time | events | sensors", "1795341660 | 1 | 1", "1795343400 | 1 | 1", "1795344000 | 1 | 1"],
    ),
    ("Grade A", &["time | grade | anomalous", "1795341600 | 0.25 | -", "1795341660 | 0.99 | 0.99"]),
    ("Score A", &["time | score", "1795341600 | 2.5", "1795341660 | 30"]),
    (
        "$field A",
        &[
            "time | lowest | mean | highest",
            "1795341600 | 50 | 55 | 60",
            "1795341660 | 70 | 70.5 | 71",
            "1795341720 | 40 | 40 | 40",
        ],
    ),
    ("Readings A", &["time | judged | warming up", "1795341600 | 1 | 1", "1795341660 | 2 | 0"]),
    ("Causes by field A", &["field | share", "laeq_db | 0.5", "zcr | 0.5"]),
    (
        "Top sensors A",
        &[
            "sensor | events | anomalous readings | peak grade | peak score | latest event",
            "o'hare/microphone-7 | 2 | 3 | 0.99 | 30.25 | 2026-11-22 10:40:00+00",
            "site-2/microphone-1 | 1 | 1 | 0.8 | 9 | 2026-11-22 10:30:00+00",
        ],
    ),
    (
        "Recent anomalies A",
        &[
            "started | sensor | duration | going on | peak at | peak grade | peak score | readings | main field | why | label",
            "2026-11-22 10:40:00+00 | o'hare/microphone-7 | - | t | 2026-11-22 10:40:00+00 | 0.95 | 12 | 1 | zcr | - | -",
            "2026-11-22 10:30:00+00 | site-2/microphone-1 | 0.000000 | f | 2026-11-22 10:30:00+00 | 0.8 | 9 | 1 | laeq_db | - | -",
            "2026-11-22 10:01:10+00 | o'hare/microphone-7 | 30.000000 | f | 2026-11-22 10:01:10+00 | 0.99 | 30.25 | 2 | laeq_db | laeq_db was 71.2, expected 40 to 48.25 | false",
        ],
    ),
];
const ENGINE_ANSWERS: &[(&str, &[&str])] = &[
    ("Unaccounted A", &["unaccounted", "1"]),
    (
        "Dead letters stored A",
        &[
            "reason | dead letters | last received",
            "malformed_json | 2 | 2026-11-22 10:05:00+00",
            "no_topic_template | 1 | 2026-11-22 10:02:00+00",
        ],
    ),
    (
        "Ledger A",
        &[
            "delivered | scored | unscored | poison | late | duplicates | dead letters | unaccounted | rows stored | rows expired | dead letters stored",
            "157 | 140 | 6 | 1 | 2 | 3 | 4 | 1 | 109 | 40 | 3",
        ],
    ),
];

/// A migrated database, and a session of Grafana's user.
struct Database {
    server: Postgres,
    reader: Client,
    _directory: TempDir,
}

impl Database {
    /// Creates the reader before the tables, as the composition does.
    fn new() -> Database {
        let directory = tempfile::tempdir().unwrap();
        let server = Postgres::start(directory.path()).unwrap();
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let status = Command::new(repository.join("compose/postgres/users.sh"))
            .envs([("PGHOST", "127.0.0.1"), ("POSTGRES_USER", "thicket"), ("POSTGRES_DB", "thicket")])
            .env("PGPORT", server.port().to_string())
            .env("PGPASSWORD", thicket_compose::password().unwrap())
            .envs([("GRAFANA_DATABASE_PASSWORD", "grafana"), ("ENGINE_DATABASE_PASSWORD", "engine")])
            .status()
            .unwrap();
        assert!(status.success());
        let mut owner = Client::connect(&server.url(), NoTls).unwrap();
        let mut migrations: Vec<PathBuf> = fs::read_dir(repository.join("schema/migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("up.sql"))
            .filter(|path| path.exists())
            .collect();
        migrations.sort();
        assert!(!migrations.is_empty());
        for migration in migrations {
            owner.batch_execute(&fs::read_to_string(migration).unwrap()).unwrap();
        }
        owner.batch_execute(&fs::read_to_string(repository.join("schema/roles.sql")).unwrap()).unwrap();
        let mut config: postgres::Config = server.url().parse().unwrap();
        let reader = config.user("grafana").password("grafana").connect(NoTls).unwrap();
        Database { server, reader, _directory: directory }
    }

    fn insert(&self, rows: &str) {
        Client::connect(&self.server.url(), NoTls).unwrap().batch_execute(rows).unwrap();
    }

    /// Runs a query with the simple protocol, as Grafana does, and returns the answer as text.
    fn answer(&mut self, query: &Query, context: &Context) -> Vec<String> {
        let sql = interpolation::sql(&query.text, context).unwrap();
        let messages = self.reader.simple_query(&sql).unwrap_or_else(|error| {
            panic!("{}: {error:?}\n{sql}", query.place);
        });
        let mut lines = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let mut names = Vec::new();
                    for column in columns.iter() {
                        names.push(column.name());
                    }
                    lines.push(names.join(" | "));
                }
                SimpleQueryMessage::Row(row) => {
                    let cells: Vec<&str> =
                        (0..row.len()).map(|column| row.get(column).unwrap_or("-")).collect();
                    lines.push(cells.join(" | "));
                }
                _ => {}
            }
        }
        lines
    }
}

fn context() -> Context {
    Context {
        from: "2026-11-22T10:00:00Z".parse().unwrap(),
        to: "2026-11-22T11:00:00Z".parse().unwrap(),
        interval: Duration::from_mins(1),
        rate_interval: Duration::from_secs(20),
        variables: BTreeMap::from([
            ("sensor".to_owned(), vec![MICROPHONE.to_owned()]),
            // As in a repeated panel, which shows one field.
            ("field".to_owned(), vec!["laeq_db".to_owned()]),
        ]),
    }
}

fn sql_queries(dashboard: &str) -> Vec<Query> {
    let mut queries = dashboard::queries(&serde_json::from_str(dashboard).unwrap());
    queries.retain(|query| matches!(query.language, Language::SqlTable | Language::SqlTimeSeries));
    queries
}

#[test]
fn every_query_answers_with_what_the_rows_say() {
    let mut database = Database::new();
    database.insert(ROWS);
    for (dashboard, answers) in [(SENSORS, SENSORS_ANSWERS), (ENGINE, ENGINE_ANSWERS)] {
        let mut expected: BTreeMap<&str, &[&str]> = answers.iter().copied().collect();
        for query in sql_queries(dashboard) {
            let answer = database.answer(&query, &context());
            let expected = expected.remove(query.place.as_str());
            let expected =
                expected.unwrap_or_else(|| panic!("no answer is known for {}:\n{answer:#?}", query.place));
            assert_eq!(answer, expected, "{}", query.place);
        }
        assert!(expected.is_empty(), "answers without a query: {:?}", expected.keys());
    }
}

#[test]
fn an_empty_database_gives_empty_answers_and_no_error() {
    let mut database = Database::new();
    for dashboard in [SENSORS, ENGINE] {
        for query in sql_queries(dashboard) {
            let answer = database.answer(&query, &context());
            let rows = &answer[1..];
            let nothing = |row: &String| row.split(" | ").all(|cell| cell == "0" || cell == "-");
            assert!(rows.iter().all(nothing), "{}: {rows:?}", query.place);
        }
    }
}

#[test]
fn a_time_series_begins_with_its_time_in_order_and_has_numbers_after_it() {
    let mut database = Database::new();
    database.insert(ROWS);
    for query in sql_queries(SENSORS).into_iter().chain(sql_queries(ENGINE)) {
        if query.language != Language::SqlTimeSeries {
            continue;
        }
        let answer = database.answer(&query, &context());
        assert!(answer[0].starts_with("time | "), "{}: {}", query.place, answer[0]);
        assert!(answer.len() > 1, "{}", query.place);
        let mut times = Vec::new();
        for row in &answer[1..] {
            let cells: Vec<&str> = row.split(" | ").collect();
            times.push(cells[0].parse::<f64>().unwrap());
            for cell in &cells[1..] {
                assert!(*cell == "-" || cell.parse::<f64>().is_ok(), "{}: {row}", query.place);
            }
        }
        assert!(times.is_sorted_by(|a, b| a < b), "{}: {times:?}", query.place);
    }
}

#[test]
fn a_query_of_one_sensor_reads_one_sensor_and_no_other_day() {
    let mut database = Database::new();
    database.insert(ROWS);
    for query in sql_queries(SENSORS) {
        let reads_readings = query.text.contains("FROM scores") || query.text.contains("FROM reading_values");
        if !reads_readings {
            continue;
        }
        let explain = Query { text: format!("EXPLAIN {}", query.text), ..query.clone() };
        // With few rows, a scan of the whole table is cheapest. The test is about the plan for many
        // rows.
        database.reader.batch_execute("SET enable_seqscan = off").unwrap();
        let plan = database.answer(&explain, &context()).join("\n");
        assert!(plan.contains("readings_y2026m11d22_pkey"), "{}:\n{plan}", query.place);
        for other in ["d20", "d21", "d23"] {
            assert!(
                !plan.contains(&format!("y2026m11{other}")),
                "{} reads another day:\n{plan}",
                query.place
            );
        }
    }
}
