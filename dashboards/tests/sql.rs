//! Runs every SQL query of every dashboard on a real PostgreSQL with known rows, as Grafana's user,
//! and compares the answer with the expected one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use chrono::DateTime;
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
/// range; events inside, around and outside of the range; dead letters; a ledger that misses one
/// message. At the end of the range two sensors report, one of them hourly. Both have an event that
/// began before the range and goes on. Four sensors are silent: two with an open event, and one of
/// which the retention has deleted every row.
const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23']::date[]);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES
    (1, 'o''hare/microphone-7', 3, '{laeq_db,zcr}', '2026-11-21 09:00Z'),
    (2, 'site-2/microphone-1', 4, '{laeq_db}', '2026-11-22 08:00Z'),
    (3, 'site-3/meter', 4, '{laeq_db}', '2026-11-22 08:00Z'),
    (4, 'site-4/hourly', 4, '{laeq_db}', '2026-11-22 05:00Z'),
    (5, 'site-5/gone', 4, '{laeq_db}', '2026-11-20 09:59Z'),
    (6, 'site-6/expired', 4, '{laeq_db}', '2026-10-20 09:59Z');
INSERT INTO sensor_fields (sensor, field, standing) VALUES (1, 'laeq_db', 'constant'), (1, 'zcr', 'scored');
INSERT INTO field_sets (id, names) VALUES (10, '{laeq_db,zcr}'), (11, '{laeq_db}');
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags) VALUES
    (1, '2026-11-22 09:59:10Z', 1, 10, '{1,1}', 1, NULL, 1),
    (1, '2026-11-22 10:00:10Z', 2, 10, '{50,0.1}', 1.5, NULL, 1),
    (1, '2026-11-22 10:00:20Z', 3, 10, '{60,0.3}', 2.5, 0.25, 0),
    (1, '2026-11-22 10:01:10Z', 4, 10, '{70,0.5}', 30, 0.99, 2),
    (1, '2026-11-22 10:01:40Z', 5, 11, '{71}', 20, 0.9, 2),
    (1, '2026-11-22 10:02:05Z', NULL, 10, '{40,0.2}', NULL, NULL, 4),
    (2, '2026-11-22 10:30:00Z', 1, 11, '{30}', 9, 0.8, 2),
    (5, '2026-11-20 10:00:00Z', 1, 11, '{30}', 9, 0.8, 2);
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags)
    SELECT 3, at, 1, 11, '{30}'::float8[], 9, 0.8, 2 FROM generate_series('2026-11-22 08:30Z'::timestamptz, '2026-11-22 10:59Z', '1 minute') at
    UNION ALL
    SELECT 4, at, 1, 11, '{30}', 9, 0.8, 2 FROM generate_series('2026-11-22 05:00Z'::timestamptz, '2026-11-22 09:00Z', '1 hour') at;
INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions) VALUES
    (1, '2026-11-22 08:00:00Z', '2026-11-22 08:01Z', '2026-11-22 08:00:30Z', 99, 0.999, 9, '{laeq_db,zcr}', '{0,1}'),
    (1, '2026-11-22 09:59:00Z', '2026-11-22 10:00:05Z', '2026-11-22 09:59:30Z', 11, 0.91, 3, '{laeq_db,zcr}', '{1,0}'),
    (1, '2026-11-22 10:01:10Z', '2026-11-22 10:01:40Z', '2026-11-22 10:01:10Z', 30.25, 0.99, 2, '{laeq_db,zcr}', '{0.75,0.25}'),
    (1, '2026-11-22 10:02:00Z', NULL, '2026-11-22 10:02:00Z', 12, 0.95, 1, '{laeq_db,zcr}', '{0.25,0.75}'),
    (3, '2026-11-22 08:30:00Z', NULL, '2026-11-22 08:31:00Z', 9, 0.8, 1, '{laeq_db}', '{1}'),
    (4, '2026-11-22 08:00:00Z', NULL, '2026-11-22 08:00:00Z', 9, 0.8, 1, '{laeq_db}', '{1}'),
    (5, '2026-11-20 09:59:00Z', NULL, '2026-11-20 10:00:00Z', 9, 0.8, 1, '{laeq_db}', '{1}'),
    (2, '2026-11-22 07:00:00Z', '2026-11-22 12:00:00Z', '2026-11-22 07:00:00Z', 9, 0.8, 1, '{laeq_db}', '{1}'),
    (2, '2026-11-22 11:30:00Z', '2026-11-22 11:31:00Z', '2026-11-22 11:30:00Z', 9, 0.8, 1, '{laeq_db}', '{1}'),
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
    (
        "variable sensor",
        &[
            "sensor",
            "o'hare/microphone-7",
            "site-2/microphone-1",
            "site-3/meter",
            "site-4/hourly",
            "site-5/gone",
            "site-6/expired",
        ],
    ),
    ("variable field", &["field", "zcr", "laeq_db"]),
    (
        "annotation Anomalies",
        &[
            "time | timeend | text | tags",
            "2026-11-22 10:02:00+00 | 2026-11-22 10:02:05+00 | Peak grade 0.950, score 12.0, readings: 1, open, sensor silent | anomaly,zcr",
            "2026-11-22 10:01:10+00 | 2026-11-22 10:01:40+00 | Peak grade 0.990, score 30.3, readings: 2 | anomaly,laeq_db",
            "2026-11-22 09:59:00+00 | 2026-11-22 10:00:05+00 | Peak grade 0.910, score 11.0, readings: 3 | anomaly,laeq_db",
        ],
    ),
    // At the end of the range, the second sensor's last reading is half an hour old, and the first
    // sensor's last reading nearly so.
    ("Sensors A", &["sensors | silent", "6 | 4"]),
    ("Anomalies A", &["events | going on | open, silent | sensors", "8 | 2 | 2 | 5"]),
    (
        "Anomalies over time A",
        &["time | events | sensors", "1795341660 | 1 | 1", "1795341720 | 1 | 1", "1795343400 | 1 | 1"],
    ),
    (
        "Grade A",
        &[
            "time | grade | anomalous | score",
            "2026-11-22 10:00:00+00 | 0.25 | - | 2.5",
            "2026-11-22 10:01:00+00 | 0.99 | 0.99 | 30",
        ],
    ),
    (
        "Fields A",
        &[
            "time | field | lowest | mean | highest | anomalous",
            "2026-11-22 10:00:00+00 | laeq_db | 50 | 55 | 60 | -",
            "2026-11-22 10:01:00+00 | laeq_db | 70 | 70.5 | 71 | 71",
            "2026-11-22 10:02:00+00 | laeq_db | 40 | 40 | 40 | -",
            "2026-11-22 10:00:00+00 | zcr | 0.1 | 0.2 | 0.3 | -",
            "2026-11-22 10:01:00+00 | zcr | 0.5 | 0.5 | 0.5 | 0.5",
            "2026-11-22 10:02:00+00 | zcr | 0.2 | 0.2 | 0.2 | -",
        ],
    ),
    (
        "Readings A",
        &[
            "time | judged | warming up | late | unscored",
            "2026-11-22 10:00:00+00 | 1 | 1 | 0 | 0",
            "2026-11-22 10:01:00+00 | 2 | 0 | 0 | 0",
            "2026-11-22 10:02:00+00 | 0 | 0 | 1 | 0",
        ],
    ),
    ("Causes by field A", &["field | share", "laeq_db | 0.6666666666666666", "zcr | 0.3333333333333333"]),
    (
        "Top sensors A",
        &[
            "sensor | events | anomalous readings | peak grade | peak score | latest event",
            "o'hare/microphone-7 | 3 | 6 | 0.99 | 30.25 | 2026-11-22 10:02:00+00",
            "site-2/microphone-1 | 2 | 2 | 0.8 | 9 | 2026-11-22 10:30:00+00",
            "site-3/meter | 1 | 1 | 0.8 | 9 | 2026-11-22 08:30:00+00",
            "site-4/hourly | 1 | 1 | 0.8 | 9 | 2026-11-22 08:00:00+00",
            "site-5/gone | 1 | 1 | 0.8 | 9 | 2026-11-20 09:59:00+00",
        ],
    ),
    (
        "Recent anomalies A",
        &[
            "started | sensor | state | duration | peak at | peak grade | peak score | readings | main field | why | label | from | to",
            "2026-11-22 08:30:00+00 | site-3/meter | going on | 9000.000000 | 2026-11-22 08:31:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795334400000 | 1795347000000",
            "2026-11-22 08:00:00+00 | site-4/hourly | going on | 10800.000000 | 2026-11-22 08:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795332600000 | 1795347000000",
            "2026-11-22 10:30:00+00 | site-2/microphone-1 | ended | 0.000000 | 2026-11-22 10:30:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795341600000 | 1795345200000",
            "2026-11-22 10:02:00+00 | o'hare/microphone-7 | open, silent since 2026-11-22 10:02 UTC | 5.000000 | 2026-11-22 10:02:00+00 | 0.95 | 12 | 1 | zcr |  |  | 1795339920000 | 1795343525000",
            "2026-11-22 10:01:10+00 | o'hare/microphone-7 | ended | 30.000000 | 2026-11-22 10:01:10+00 | 0.99 | 30.25 | 2 | laeq_db | laeq_db was 71.2, expected 40 to 48.25 | false | 1795339870000 | 1795343500000",
            "2026-11-22 09:59:00+00 | o'hare/microphone-7 | ended | 65.000000 | 2026-11-22 09:59:30+00 | 0.91 | 11 | 3 | laeq_db |  |  | 1795339740000 | 1795343405000",
            "2026-11-22 07:00:00+00 | site-2/microphone-1 | ended | 18000.000000 | 2026-11-22 07:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795329000000 | 1795350600000",
            "2026-11-20 09:59:00+00 | site-5/gone | open, silent since 2026-11-20 10:00 UTC | 60.000000 | 2026-11-20 10:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795166940000 | 1795170600000",
        ],
    ),
    (
        "Silent sensors A",
        &[
            "sensor | last seen | silent for | expected within | from | to",
            "site-2/microphone-1 | 2026-11-22 10:30:00+00 | 1800.000000 | 600.000000 | 1795332600000 | 1795345200000",
            "o'hare/microphone-7 | 2026-11-22 10:02:05+00 | 3475.000000 | 600.000000 | 1795330925000 | 1795343525000",
            "site-5/gone | 2026-11-20 10:00:00+00 | 176400.000000 | 600.000000 | 1795158000000 | 1795170600000",
            "site-6/expired | - | - | - | - | -",
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
            .env("POSTGRES_PASSWORD", thicket_compose::password().unwrap())
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
        let reader = Self::log_in(&server);
        Database { server, reader, _directory: directory }
    }

    /// Begins a session of Grafana's user.
    fn log_in(server: &Postgres) -> Client {
        let mut config: postgres::Config = server.url().parse().unwrap();
        config.user("grafana").password("grafana").connect(NoTls).unwrap()
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
        search: String::new(),
        variables: BTreeMap::from([
            ("sensor".to_owned(), vec![MICROPHONE.to_owned()]),
            ("page".to_owned(), vec!["0".to_owned()]),
            ("field".to_owned(), vec!["laeq_db".to_owned(), "zcr".to_owned()]),
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
    let mut wrong = Vec::new();
    for (dashboard, answers) in [(SENSORS, SENSORS_ANSWERS), (ENGINE, ENGINE_ANSWERS)] {
        let mut expected: BTreeMap<&str, &[&str]> = answers.iter().copied().collect();
        for query in sql_queries(dashboard) {
            let answer = database.answer(&query, &context());
            let expected = expected.remove(query.place.as_str()).unwrap_or_default();
            if answer != expected {
                wrong.push(format!("{}: {answer:#?}, not {expected:#?}", query.place));
            }
        }
        assert!(expected.is_empty(), "answers without a query: {:?}", expected.keys());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
            // A time, or the seconds since 1970.
            let seconds = || cells[0].parse::<f64>().unwrap();
            times.push(
                DateTime::parse_from_str(cells[0], "%F %T%#z")
                    .map_or_else(|_| seconds(), |time| time.timestamp() as f64),
            );
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
        let reads_readings = ["scores", "reading_values", "reading_outcomes"]
            .iter()
            .any(|view| query.text.contains(&format!("FROM {view}")));
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

#[test]
fn a_variable_lists_what_is_searched_for_and_keeps_its_value() {
    let mut database = Database::new();
    database.insert(ROWS);
    database.insert(
        "INSERT INTO sensors (id, name, partition, fields, first_seen)
         SELECT n, 'a' || n, 0, '{}', now() FROM generate_series(1001, 1600) n;
         UPDATE sensors SET fields = ARRAY(SELECT 'f' || n FROM generate_series(10, 39) n) WHERE id = 2;",
    );
    let queries = sql_queries(SENSORS);
    let mut answer = |place: &str, context: &Context| {
        let query = queries.iter().find(|query| query.place == place).unwrap();
        database.answer(query, context).split_off(1)
    };
    // Without a search there are too many, but the selected one is among them, and comes first.
    let found = answer("variable sensor", &context());
    assert_eq!((found.len(), &*found[0], &*found[1]), (500, MICROPHONE, "a1001"));
    let search = |text: &str| Context { search: text.to_owned(), ..context() };
    assert_eq!(answer("variable sensor", &search("METER")), [MICROPHONE, "site-3/meter"]);
    assert_eq!(answer("variable sensor", &search("'")), [MICROPHONE]);

    let mut context = context();
    context.variables.insert("sensor".to_owned(), vec!["site-2/microphone-1".to_owned()]);
    let mut fields = Vec::new();
    for (page, expected) in [("0", 12), ("12", 12), ("24", 6), ("36", 0)] {
        context.variables.insert("page".to_owned(), vec![page.to_owned()]);
        let found = answer("variable field", &context);
        assert_eq!(found.len(), expected, "{page}");
        fields.extend(found);
    }
    assert!(fields.is_sorted() && fields.len() == 30, "{fields:?}");
}

/// Returns the days whose tables a plan with execution counts has read.
fn days_read(plan: &str) -> BTreeSet<&str> {
    let read = plan.lines().filter(|line| !line.contains("never executed"));
    read.filter_map(|line| Some(&line[line.find("on readings_y")? + "on readings_y".len()..][..10])).collect()
}

#[test]
fn with_four_hundred_days_a_query_reads_the_days_that_it_needs() {
    let mut database = Database::new();
    database.insert(ROWS);
    // The newest day is 2026-12-05.
    database.insert(
        "SELECT ensure_day_partitions(ARRAY(SELECT '2025-11-01'::date + n FROM generate_series(0, 399) n));
         UPDATE sensors SET last_day = CASE id WHEN 5 THEN '2026-11-20'::date WHEN 6 THEN '2026-11-19' ELSE '2026-11-22' END;",
    );
    database.reader.batch_execute("SET enable_seqscan = off").unwrap();
    for query in sql_queries(SENSORS) {
        let text = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {}", query.text);
        let plan = database.answer(&Query { text, ..query.clone() }, &context()).join("\n");
        let in_plan = plan.matches("on readings_y").count();
        let read = days_read(&plan);
        match &*query.place {
            "variable sensor"
            | "variable field"
            | "Anomalies over time A"
            | "Causes by field A"
            | "Top sensors A" => assert_eq!(in_plan, 0, "{}:\n{plan}", query.place),
            "Grade A" | "Fields A" | "Readings A" => {
                assert_eq!((in_plan, read), (1, BTreeSet::from(["2026m11d22"])), "{}:\n{plan}", query.place);
            }
            // The newest reading of a sensor is on its last day, and the intervals before it are
            // within a week.
            "annotation Anomalies"
            | "Sensors A"
            | "Anomalies A"
            | "Silent sensors A"
            | "Recent anomalies A" => {
                let allowed = "2026m11d13"..="2026m12d05";
                assert!(!read.is_empty(), "{}:\n{plan}", query.place);
                assert!(read.iter().all(|day| allowed.contains(day)), "{}: {read:?}\n{plan}", query.place);
            }
            place => panic!("it is not known which days {place} needs"),
        }
        let of_all = ["Anomalies A", "Top sensors A", "Recent anomalies A"].contains(&&*query.place);
        assert!(!of_all || plan.contains("anomalies_during"), "{}:\n{plan}", query.place);
    }
}

/// With a sort of all values, the last field of a week at one reading a second would be beyond the
/// limit of temporary files.
#[test]
fn many_readings_of_many_fields_need_no_temporary_file() {
    let mut database = Database::new();
    database.insert(
        "SELECT ensure_day_partitions(ARRAY['2026-11-22'::date]);
         INSERT INTO field_sets VALUES (9, ARRAY(SELECT 'f' || i FROM generate_series(1, 12) i));
         INSERT INTO sensors (id, name, partition, fields, first_seen, field_sets)
             SELECT 9, 'press', 0, names, '2026-11-22', '{9}' FROM field_sets;
         INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags)
             SELECT 9, '2026-11-22'::timestamptz + i * interval '2 s', i, 9, ARRAY(SELECT i + f FROM generate_series(1, 12) f), 1, 0.5, 0
             FROM generate_series(0, 43199) i;
         ANALYZE;
         ALTER ROLE grafana SET temp_file_limit = 0;
         ALTER ROLE grafana SET work_mem = '4MB';",
    );
    database.reader = Database::log_in(&database.server);
    let mut context = context();
    context.from = "2026-11-22T00:00:00Z".parse().unwrap();
    context.to = "2026-11-22T23:59:59Z".parse().unwrap();
    context.interval = Duration::from_secs(90);
    context.variables.insert("sensor".to_owned(), vec!["press".to_owned()]);
    context.variables.insert("field".to_owned(), (1..=12).map(|i| format!("f{i}")).collect());
    let query = sql_queries(SENSORS).into_iter().find(|query| query.place == "Fields A").unwrap();
    // The names of the columns come first.
    assert_eq!(database.answer(&query, &context).len(), 12 * 960 + 1);
}
