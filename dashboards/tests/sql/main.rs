//! Runs every SQL query of every dashboard on a real PostgreSQL with known rows, as Grafana's user,
//! and compares the answer with the expected one.
//!
//! - `known`: the rows and the answers
//! - `database`: the server and the selections of the variables
//! - `fleet`: the sites of the dashboard "Fleet"

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod database;
mod fleet;
mod known;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::DateTime;
use database::{Database, context, sql_queries};
use known::{ENGINE_ANSWERS, FLEET_ANSWERS, MICROPHONE, ROWS, SENSORS_ANSWERS};
use thicket_dashboards::{
    ENGINE, FLEET, SENSORS,
    dashboard::{Language, Query},
    interpolation::{Context, Selection},
};

#[test]
fn every_query_answers_with_what_the_rows_say() {
    let mut database = Database::new();
    database.insert(ROWS);
    let mut wrong = Vec::new();
    for (dashboard, answers) in [(FLEET, FLEET_ANSWERS), (SENSORS, SENSORS_ANSWERS), (ENGINE, ENGINE_ANSWERS)]
    {
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
    for dashboard in [FLEET, SENSORS, ENGINE] {
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
    for query in [FLEET, SENSORS, ENGINE].into_iter().flat_map(sql_queries) {
        if query.language != Language::SqlTimeSeries {
            continue;
        }
        let answer = database.answer(&query, &context());
        assert!(answer[0].starts_with("time | "), "{}: {}", query.place, answer[0]);
        assert!(answer.len() > 1, "{}", query.place);
        // Grafana makes a series of each value of this column.
        let texts = usize::from(answer[0].starts_with("time | metric | "));
        let mut points = Vec::new();
        for row in &answer[1..] {
            let cells: Vec<&str> = row.split(" | ").collect();
            // A time, or the seconds since 1970.
            let seconds = || cells[0].parse::<f64>().unwrap();
            let time = DateTime::parse_from_str(cells[0], "%F %T%#z")
                .map_or_else(|_| seconds(), |time| time.timestamp() as f64);
            points.push((time, cells[1..=texts].join("")));
            for cell in &cells[1 + texts..] {
                assert!(*cell == "-" || cell.parse::<f64>().is_ok(), "{}: {row}", query.place);
            }
        }
        assert!(points.is_sorted_by(|a, b| a < b), "{}: {points:?}", query.place);
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
    context.variables.insert("sensor".to_owned(), Selection::One("site-2/microphone-1".to_owned()));
    let mut fields = Vec::new();
    for (page, expected) in [("0", 12), ("12", 12), ("24", 6), ("36", 0)] {
        context.variables.insert("page".to_owned(), Selection::One(page.to_owned()));
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
    for query in [FLEET, SENSORS].into_iter().flat_map(sql_queries) {
        let text = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {}", query.text);
        let plan = database.answer(&Query { text, ..query.clone() }, &context()).join("\n");
        let in_plan = plan.matches("on readings_y").count();
        let read = days_read(&plan);
        match &*query.place {
            "variable site"
            | "variable sensor"
            | "variable field"
            | "Anomalies by site A"
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
            | "Sites A"
            | "Anomalies A"
            | "Anomalies that go on A"
            | "Silent sensors A"
            | "Recent anomalies A" => {
                let allowed = "2026m11d13"..="2026m12d05";
                assert!(!read.is_empty(), "{}:\n{plan}", query.place);
                assert!(read.iter().all(|day| allowed.contains(day)), "{}: {read:?}\n{plan}", query.place);
            }
            place => panic!("it is not known which days {place} needs"),
        }
        let indexes: &[&str] = match &*query.place {
            "Sites A" | "Top sensors A" | "Recent anomalies A" => &["anomalies_during"],
            "Anomalies A" | "Anomalies that go on A" => &["anomalies_during", "anomalies_open"],
            "Anomalies over time A" | "Anomalies by site A" => &["anomalies_started"],
            _ => continue,
        };
        assert!(indexes.iter().any(|index| plan.contains(index)), "{}:\n{plan}", query.place);
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
    database.log_in();
    let mut context = context();
    context.from = "2026-11-22T00:00:00Z".parse().unwrap();
    context.to = "2026-11-22T23:59:59Z".parse().unwrap();
    context.interval = Duration::from_secs(90);
    context.variables.insert("sensor".to_owned(), Selection::One("press".to_owned()));
    let fields: Vec<String> = (1..=12).map(|i| format!("f{i}")).collect();
    context.variables.insert("field".to_owned(), Selection::Several(fields));
    let query = sql_queries(SENSORS).into_iter().find(|query| query.place == "Fields A").unwrap();
    // The names of the columns come first.
    assert_eq!(database.answer(&query, &context).len(), 12 * 960 + 1);
}
