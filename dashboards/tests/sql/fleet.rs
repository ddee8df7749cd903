//! The sites of the dashboard "Fleet": names with several levels, without a level and with quotes,
//! a selection of sites, labels, and many sites.

use std::collections::BTreeMap;

use thicket_dashboards::{
    FLEET,
    interpolation::{Context, Selection},
};

use crate::database::{Database, context, several, sql_queries};

/// At 11:00, `boiler` and the saw are silent. Two anomalies of the plant go on: that of the lathe is
/// labelled. Those that are labelled `false` or `maintenance` or were accepted do not count.
const PLANT: &str = "
SELECT ensure_day_partitions(ARRAY['2026-11-22']::date[]);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES
    (1, 'boiler', 0, '{t}', '2026-11-22 08:00Z'),
    (2, 'plant/hall-1/lathe', 0, '{t}', '2026-11-22 08:00Z'),
    (3, 'plant/hall-1/saw', 0, '{t}', '2026-11-22 08:00Z'),
    (4, 'plant/hall-2/press', 0, '{t}', '2026-11-22 08:00Z'),
    (5, 'O''Neill \"east\"/door', 0, '{t}', '2026-11-22 08:00Z'),
    (6, '/odd', 0, '{t}', '2026-11-22 08:00Z');
INSERT INTO field_sets (id, names) VALUES (1, '{t}');
INSERT INTO readings (sensor, ts, seq, field_set, \"values\", score, grade, flags)
    SELECT id, CASE id WHEN 1 THEN '2026-11-22 08:00Z' WHEN 3 THEN '2026-11-22 10:20Z' ELSE '2026-11-22 10:59Z' END::timestamptz, 1, 1, '{1}', 1, 0.5, 0 FROM sensors;
INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions, accepted) VALUES
    (1, '2026-11-22 07:59Z', NULL, '2026-11-22 08:00Z', 9, 0.7, 1, '{t}', '{1}', false),
    (2, '2026-11-22 10:30Z', NULL, '2026-11-22 10:31Z', 9, 0.8, 3, '{t}', '{1}', false),
    (2, '2026-11-22 10:10Z', '2026-11-22 10:11Z', '2026-11-22 10:10Z', 9, 0.8, 3, '{t}', '{1}', true),
    (3, '2026-11-22 10:10Z', '2026-11-22 10:11Z', '2026-11-22 10:10Z', 9, 0.8, 3, '{t}', '{1}', false),
    (4, '2026-11-22 10:05Z', '2026-11-22 10:06Z', '2026-11-22 10:05Z', 9, 0.8, 3, '{t}', '{1}', false),
    (4, '2026-11-22 10:40Z', NULL, '2026-11-22 10:41Z', 9, 0.9, 3, '{t}', '{1}', false),
    (5, '2026-11-22 10:50Z', NULL, '2026-11-22 10:50Z', 9, 0.9, 3, '{t}', '{1}', false),
    (6, '2026-11-22 10:45Z', NULL, '2026-11-22 10:45Z', 9, 0.9, 3, '{t}', '{1}', false),
    (6, '2026-11-22 11:30Z', '2026-11-22 11:31Z', '2026-11-22 11:30Z', 9, 0.9, 3, '{t}', '{1}', false);
UPDATE anomalies SET actual = '{80}', expected = '{40}', low = '{35}', high = '{45}', counters = '{f}' WHERE sensor = 4 AND ended IS NULL;
INSERT INTO labels (sensor, started, label) VALUES
    (2, '2026-11-22 10:30Z', 'true'), (5, '2026-11-22 10:50Z', 'maintenance'), (6, '2026-11-22 10:45Z', 'false');
";

/// Returns the rows of each query, without the names of the columns.
fn answers(database: &mut Database, context: &Context) -> BTreeMap<String, Vec<String>> {
    let queries = sql_queries(FLEET);
    queries
        .into_iter()
        .map(|query| {
            let rows = database.answer(&query, context).split_off(1);
            (query.place, rows)
        })
        .collect()
}

fn selected(levels: &str, site: Selection) -> Context {
    let mut context = context();
    context.variables.insert("levels".to_owned(), Selection::One(levels.to_owned()));
    context.variables.insert("site".to_owned(), site);
    context
}

fn all() -> Selection {
    Selection::All("NULL::text".to_owned())
}

#[test]
fn a_site_is_the_first_levels_of_a_name() {
    let mut database = Database::new();
    database.insert(PLANT);
    let one = answers(&mut database, &selected("1", all()));
    // A name without a level is a site of its own, and a name may begin with an empty level.
    assert_eq!(one["variable site"], ["", "O'Neill \"east\"", "boiler", "plant"]);
    assert_eq!(one["Sensors A"], ["4 | 6 | 2"]);
    assert_eq!(one["Anomalies A"], ["1 | 2 | 1"]);
    assert_eq!(
        one["Sites A"],
        [
            "plant | 2 | 1 | 0.3333333333333333 | 4 | 3 | 2026-11-22 10:59:00+00",
            "boiler | 0 | 1 | 1 | 1 | 1 | 2026-11-22 08:00:00+00",
            " | 0 | 0 | 0 | 0 | 1 | 2026-11-22 10:59:00+00",
            "O'Neill \"east\" | 0 | 0 | 0 | 0 | 1 | 2026-11-22 10:59:00+00",
        ]
    );
    assert_eq!(
        one["Anomalies by site A"],
        [
            "1795341900 | plant | 1",
            "1795342200 | plant | 1",
            "1795343400 | plant | 1",
            "1795344000 | plant | 1"
        ]
    );
    assert_eq!(
        one["Anomalies that go on A"],
        [
            "plant/hall-2/press | 2026-11-22 10:40:00+00 | 0.9 | t | t was 80, expected 35 to 45 |  | 1795342200000 | 1795347000000",
            "plant/hall-1/lathe | 2026-11-22 10:30:00+00 | 0.8 | t |  | true | 1795341600000 | 1795347000000",
        ]
    );
    assert_eq!(
        one["Silent sensors A"],
        [
            "plant/hall-1/saw | 2026-11-22 10:20:00+00 | 2026-11-22 10:30:00+00 | 1795332000000 | 1795344600000",
            "boiler | 2026-11-22 08:00:00+00 | 2026-11-22 08:10:00+00 | 1795323600000 | 1795336200000",
        ]
    );

    let two = answers(&mut database, &selected("2", all()));
    assert_eq!(
        two["variable site"],
        ["/odd", "O'Neill \"east\"/door", "boiler", "plant/hall-1", "plant/hall-2"]
    );
    assert_eq!(two["Sensors A"], ["5 | 6 | 2"]);
    assert_eq!(two["Anomalies A"], ["2 | 2 | 1"]);
    assert_eq!(
        two["Sites A"][..2],
        [
            "plant/hall-1 | 1 | 1 | 0.5 | 2 | 2 | 2026-11-22 10:59:00+00",
            "plant/hall-2 | 1 | 0 | 0 | 2 | 1 | 2026-11-22 10:59:00+00",
        ]
    );
    let three = answers(&mut database, &selected("3", all()));
    assert_eq!(three["Sensors A"], ["6 | 6 | 2"]);
    assert_eq!(three["variable site"].last().map(String::as_str), Some("plant/hall-2/press"));
}

#[test]
fn every_panel_has_the_selected_sites_only() {
    let mut database = Database::new();
    database.insert(PLANT);
    let hall = answers(&mut database, &selected("2", several(&["plant/hall-1"])));
    assert_eq!(hall["variable site"][0], "plant/hall-1");
    assert_eq!(hall["Sensors A"], ["1 | 2 | 1"]);
    assert_eq!(hall["Anomalies A"], ["1 | 1 | 0"]);
    assert_eq!(hall["Sites A"], ["plant/hall-1 | 1 | 1 | 0.5 | 2 | 2 | 2026-11-22 10:59:00+00"]);
    assert_eq!(
        hall["Anomalies by site A"],
        ["1795342200 | plant/hall-1 | 1", "1795343400 | plant/hall-1 | 1"]
    );
    let first_cells = |rows: &[String]| -> Vec<String> {
        rows.iter().map(|row| row.split(" | ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(first_cells(&hall["Anomalies that go on A"]), ["plant/hall-1/lathe"]);
    assert_eq!(first_cells(&hall["Silent sensors A"]), ["plant/hall-1/saw"]);

    // The link of a site sets one value, which is a literal all the same.
    let quotes = answers(&mut database, &selected("1", several(&["O'Neill \"east\"", "boiler"])));
    assert_eq!(quotes["Sensors A"], ["2 | 2 | 1"]);
    assert_eq!(first_cells(&quotes["Sites A"]), ["boiler", "O'Neill \"east\""]);
    assert_eq!(first_cells(&quotes["Silent sensors A"]), ["boiler"]);
    let empty = answers(&mut database, &selected("1", several(&[""])));
    assert_eq!(empty["Sensors A"], ["1 | 1 | 0"]);
    // There is no site of this name, and it does not mean all.
    for none in [several(&["NULL"]), several(&["hall-1"]), several(&[])] {
        let none = answers(&mut database, &selected("1", none));
        assert_eq!(none["Sensors A"], ["0 | 0 | 0"]);
        assert!(none["Sites A"].is_empty() && none["Anomalies that go on A"].is_empty());
    }
}

#[test]
fn the_ten_sites_with_most_anomalies_have_bars_of_their_own() {
    let mut database = Database::new();
    database.insert(
        "INSERT INTO sensors (id, name, partition, fields, first_seen)
             SELECT n, 'site-' || n || '/a', 0, '{t}', now() FROM generate_series(10, 31) n;
         INSERT INTO anomalies (sensor, started, ended, peak_at, peak_score, peak_grade, readings, fields, contributions)
             SELECT n, started, started, started, 9, 0.9, 1, '{t}', '{1}'
             FROM generate_series(10, 31) n, LATERAL (SELECT '2026-11-22 10:00Z'::timestamptz + i * interval '1 s' AS started FROM generate_series(1, CASE WHEN n < 20 THEN 2 ELSE 1 END) i) starts;",
    );
    let bars = &answers(&mut database, &selected("1", all()))["Anomalies by site A"];
    let named = (10..20).map(|n| format!("1795341600 | site-{n} | 2"));
    let mut expected: Vec<String> = named.collect();
    expected.insert(0, "1795341600 | other sites | 12".to_owned());
    assert_eq!(*bars, expected);
}

#[test]
fn the_list_of_sites_is_bounded_and_can_be_searched() {
    let mut database = Database::new();
    database.insert(
        "INSERT INTO sensors (id, name, partition, fields, first_seen)
         SELECT n, 'house-' || n / 2 || '/sensor-' || n, 0, '{}', now() FROM generate_series(2000, 3999) n;",
    );
    let site =
        |context: &Context, database: &mut Database| answers(database, context)["variable site"].clone();
    assert_eq!(site(&selected("1", all()), &mut database).len(), 500);
    let chosen = selected("1", several(&["house-1998"]));
    let found = site(&chosen, &mut database);
    assert_eq!((found.len(), &*found[0], &*found[1]), (500, "house-1998", "house-1000"));
    let search = Context { search: "HOUSE-1777".to_owned(), ..chosen };
    assert_eq!(site(&search, &mut database), ["house-1998", "house-1777"]);
    let table = answers(&mut database, &selected("2", all()));
    assert_eq!(table["Sites A"].len(), 500);
    assert_eq!(table["Silent sensors A"].len(), 100);
}
