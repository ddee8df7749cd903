//! The rows of the tests, and the answers that follow from them.

/// A sensor whose name needs quoting.
pub(crate) const MICROPHONE: &str = "o'hare/microphone \"7\"";

/// Known rows: a sensor with scored readings in the time range, a late one, and one before the
/// range; events inside, around and outside of the range; dead letters; a ledger that misses one
/// message. At the end of the range two sensors report, one of them hourly. Both have an event that
/// began before the range and goes on. Four sensors are silent: two with an open event, and one of
/// which the retention has deleted every row.
pub(crate) const ROWS: &str = "
SELECT ensure_day_partitions(ARRAY['2026-11-20', '2026-11-21', '2026-11-22', '2026-11-23']::date[]);
INSERT INTO sensors (id, name, partition, fields, first_seen) VALUES
    (1, 'o''hare/microphone \"7\"', 3, '{laeq_db,zcr}', '2026-11-21 09:00Z'),
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
    (0, 105, 90, 6, 1, 2, 3, 4), (1, 51, 50, 0, 0, 0, 0, 0);
UPDATE partitions SET expired = 40, dead_letters_deleted = 1 WHERE id = 0;
";

/// The answers: per query its column names, then its rows, cells joined by ` | `, an absent value
/// as `-`.
pub(crate) const SENSORS_ANSWERS: &[(&str, &[&str])] = &[
    (
        "variable sensor",
        &[
            "sensor",
            "o'hare/microphone \"7\"",
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
            "sensor | events | anomalous readings | peak grade | peak score | latest event | from | to",
            "o'hare/microphone \"7\" | 3 | 6 | 0.99 | 30.25 | 2026-11-22 10:02:00+00 | 1795339920000 | 1795347000000",
            "site-2/microphone-1 | 2 | 2 | 0.8 | 9 | 2026-11-22 10:30:00+00 | 1795341600000 | 1795345200000",
            "site-3/meter | 1 | 1 | 0.8 | 9 | 2026-11-22 08:30:00+00 | 1795334400000 | 1795347000000",
            "site-4/hourly | 1 | 1 | 0.8 | 9 | 2026-11-22 08:00:00+00 | 1795332600000 | 1795347000000",
            "site-5/gone | 1 | 1 | 0.8 | 9 | 2026-11-20 09:59:00+00 | 1795166940000 | 1795347000000",
        ],
    ),
    (
        "Recent anomalies A",
        &[
            "started | sensor | state | duration | peak at | peak grade | peak score | readings | main field | why | label | from | to",
            "2026-11-22 08:30:00+00 | site-3/meter | going on | 9000.000000 | 2026-11-22 08:31:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795334400000 | 1795347000000",
            "2026-11-22 08:00:00+00 | site-4/hourly | going on | 10800.000000 | 2026-11-22 08:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795332600000 | 1795347000000",
            "2026-11-22 10:30:00+00 | site-2/microphone-1 | ended | 0.000000 | 2026-11-22 10:30:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795341600000 | 1795345200000",
            "2026-11-22 10:02:00+00 | o'hare/microphone \"7\" | open, silent since 2026-11-22 10:02 UTC | 5.000000 | 2026-11-22 10:02:00+00 | 0.95 | 12 | 1 | zcr |  |  | 1795339920000 | 1795343525000",
            "2026-11-22 10:01:10+00 | o'hare/microphone \"7\" | ended | 30.000000 | 2026-11-22 10:01:10+00 | 0.99 | 30.25 | 2 | laeq_db | laeq_db was 71.2, expected 40 to 48.25 | false | 1795339870000 | 1795343500000",
            "2026-11-22 09:59:00+00 | o'hare/microphone \"7\" | ended | 65.000000 | 2026-11-22 09:59:30+00 | 0.91 | 11 | 3 | laeq_db |  |  | 1795339740000 | 1795343405000",
            "2026-11-22 07:00:00+00 | site-2/microphone-1 | ended | 18000.000000 | 2026-11-22 07:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795329000000 | 1795350600000",
            "2026-11-20 09:59:00+00 | site-5/gone | open, silent since 2026-11-20 10:00 UTC | 60.000000 | 2026-11-20 10:00:00+00 | 0.8 | 9 | 1 | laeq_db |  |  | 1795166940000 | 1795170600000",
        ],
    ),
    (
        "Silent sensors A",
        &[
            "sensor | last seen | silent for | expected within | from | to",
            "site-2/microphone-1 | 2026-11-22 10:30:00+00 | 1800.000000 | 600.000000 | 1795332600000 | 1795345200000",
            "o'hare/microphone \"7\" | 2026-11-22 10:02:05+00 | 3475.000000 | 600.000000 | 1795330925000 | 1795343525000",
            "site-5/gone | 2026-11-20 10:00:00+00 | 176400.000000 | 600.000000 | 1795158000000 | 1795170600000",
            "site-6/expired | - | - | - | - | -",
        ],
    ),
];
/// With a name of one level, each sensor is a site of its own. The anomaly with the label `false`
/// does not count.
pub(crate) const FLEET_ANSWERS: &[(&str, &[&str])] = &[
    ("variable site", &["site", "o'hare", "site-2", "site-3", "site-4", "site-5", "site-6"]),
    ("Sensors A", &["sites | sensors | silent", "6 | 6 | 4"]),
    ("Anomalies A", &["sites affected | going on | unlabelled", "2 | 2 | 2"]),
    (
        "Sites A",
        &[
            "site | going on | silent | silent share | anomalies | sensors | last seen",
            "site-3 | 1 | 0 | 0 | 1 | 1 | 2026-11-22 10:59:00+00",
            "site-4 | 1 | 0 | 0 | 1 | 1 | 2026-11-22 09:00:00+00",
            "o'hare | 0 | 1 | 1 | 2 | 1 | 2026-11-22 10:02:05+00",
            "site-2 | 0 | 1 | 1 | 2 | 1 | 2026-11-22 10:30:00+00",
            "site-5 | 0 | 1 | 1 | 1 | 1 | 2026-11-20 10:00:00+00",
            "site-6 | 0 | 1 | 1 | 0 | 1 | -",
        ],
    ),
    (
        "Anomalies by site A",
        &["time | metric | anomalies", "1795341720 | o'hare | 1", "1795343400 | site-2 | 1"],
    ),
    (
        "Anomalies that go on A",
        &[
            "sensor | since | grade | main field | why | label | from | to",
            "site-3/meter | 2026-11-22 08:30:00+00 | 0.8 | laeq_db |  |  | 1795334400000 | 1795347000000",
            "site-4/hourly | 2026-11-22 08:00:00+00 | 0.8 | laeq_db |  |  | 1795332600000 | 1795347000000",
        ],
    ),
    (
        "Silent sensors A",
        &[
            "sensor | last seen | silent since | from | to",
            "site-2/microphone-1 | 2026-11-22 10:30:00+00 | 2026-11-22 10:40:00+00 | 1795332600000 | 1795345200000",
            "o'hare/microphone \"7\" | 2026-11-22 10:02:05+00 | 2026-11-22 10:12:05+00 | 1795330925000 | 1795343525000",
            "site-5/gone | 2026-11-20 10:00:00+00 | 2026-11-20 10:10:00+00 | 1795158000000 | 1795170600000",
            "site-6/expired | - | - | - | -",
        ],
    ),
];

pub(crate) const ENGINE_ANSWERS: &[(&str, &[&str])] = &[
    // A record too many in one partition and one too few in the other do not cancel each other out.
    ("Unaccounted A", &["unaccounted", "2"]),
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
            "156 | 140 | 6 | 1 | 2 | 3 | 4 | 2 | 109 | 40 | 3",
        ],
    ),
];
