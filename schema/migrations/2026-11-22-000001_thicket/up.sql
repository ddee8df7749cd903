-- What a deployment fixes once and for all. One row.
CREATE TABLE deployment (
    id         int PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    partitions int NOT NULL CHECK (partitions BETWEEN 1 AND 4096)
);

-- A partition's committed place in its log, its fencing epoch and its ledger. Always written in the transaction that
-- writes the rows it accounts for: delivered = scored + poison + late + duplicates + dead_letters.
CREATE TABLE partitions (
    id           int    PRIMARY KEY,
    generation   bigint NOT NULL DEFAULT 0,
    n            bigint NOT NULL DEFAULT 0,
    epoch        bigint NOT NULL DEFAULT 0,
    delivered    bigint NOT NULL DEFAULT 0,
    scored       bigint NOT NULL DEFAULT 0,
    poison       bigint NOT NULL DEFAULT 0,
    late         bigint NOT NULL DEFAULT 0,
    duplicates   bigint NOT NULL DEFAULT 0,
    dead_letters bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- id is a stable hash of the name, so that no row depends on the order in which sensors were first seen.
CREATE TABLE sensors (
    id         bigint      PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    partition  int         NOT NULL,
    fields     text[]      NOT NULL,
    first_seen timestamptz NOT NULL
);

-- The names that a reading's values belong to. id is a stable hash of the sorted names.
CREATE TABLE field_sets (
    id    bigint PRIMARY KEY,
    names text[] NOT NULL
);

CREATE TABLE readings (
    sensor    bigint      NOT NULL,
    ts        timestamptz NOT NULL,
    seq       bigint,
    field_set bigint      NOT NULL,
    "values"  float8[]    NOT NULL,
    score     float8,
    grade     float8,
    flags     int         NOT NULL,
    config    bigint,
    PRIMARY KEY (sensor, ts)
) PARTITION BY RANGE (ts);

-- Makes sure that the partitions of the given UTC days exist. Attaching takes a weaker lock than creating in place, so
-- queries and inserts on other days go on; the advisory lock lets one writer at a time do it.
CREATE FUNCTION ensure_day_partitions(days date[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    day  date;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('thicket.ensure_day_partitions'));
    FOREACH day IN ARRAY days LOOP
        name := 'readings_' || to_char(day, '"y"YYYY"m"MM"d"DD');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I (LIKE readings INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
            EXECUTE format(
                'ALTER TABLE readings ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
        END IF;
    END LOOP;
END $$;

-- One row per event: consecutive flagged readings of a sensor. ended is null while the event lasts.
CREATE TABLE anomalies (
    sensor        bigint      NOT NULL,
    started       timestamptz NOT NULL,
    ended         timestamptz,
    peak_at       timestamptz NOT NULL,
    peak_score    float8      NOT NULL,
    peak_grade    float8      NOT NULL,
    readings      int         NOT NULL,
    fields        text[]      NOT NULL,
    contributions float8[]    NOT NULL,
    PRIMARY KEY (sensor, started)
);
CREATE INDEX anomalies_started ON anomalies (started);

-- Keyed by the position in the log: replaying the log writes nothing twice. content is a hash of what the letter says,
-- by which a message that the broker delivered again is told from a new one.
CREATE TABLE dead_letters (
    partition     int         NOT NULL,
    generation    bigint      NOT NULL,
    n             bigint      NOT NULL,
    item          int         NOT NULL,
    received      timestamptz NOT NULL,
    reason        text        NOT NULL,
    detail        text        NOT NULL,
    topic         text        NOT NULL,
    payload       bytea       NOT NULL,
    payload_bytes bigint      NOT NULL,
    content       bigint      NOT NULL,
    PRIMARY KEY (partition, generation, n, item)
);
CREATE INDEX dead_letters_received ON dead_letters (received);
CREATE INDEX dead_letters_content ON dead_letters (content);

-- Views with stable names: dashboards and people read these, so that tables can change under them.

CREATE VIEW reading_values AS
SELECT s.name AS sensor, r.ts, f.field, f.value
FROM readings r
JOIN sensors s ON s.id = r.sensor
JOIN field_sets fs ON fs.id = r.field_set
CROSS JOIN LATERAL unnest(fs.names, r."values") AS f (field, value);

CREATE VIEW scores AS
SELECT s.name AS sensor, r.ts, r.seq, r.score, r.grade,
       (r.flags & 2) <> 0 AS anomaly,
       (r.flags & 1) <> 0 AS warming_up
FROM readings r
JOIN sensors s ON s.id = r.sensor
WHERE r.seq IS NOT NULL;

CREATE VIEW anomaly_events AS
SELECT s.name AS sensor, a.started, a.ended, a.peak_at, a.peak_score, a.peak_grade, a.readings,
       (SELECT c.field FROM unnest(a.fields, a.contributions) AS c (field, share) ORDER BY c.share DESC, c.field LIMIT 1) AS main_field,
       (SELECT jsonb_object_agg(c.field, c.share) FROM unnest(a.fields, a.contributions) AS c (field, share)) AS contributions
FROM anomalies a
JOIN sensors s ON s.id = a.sensor;

CREATE VIEW sensor_status AS
SELECT s.name AS sensor, s.partition, s.first_seen, newest.ts AS last_seen, s.fields
FROM sensors s
LEFT JOIN LATERAL (SELECT r.ts FROM readings r WHERE r.sensor = s.id ORDER BY r.ts DESC LIMIT 1) newest ON true;

CREATE VIEW dead_letter_summary AS
SELECT reason, count(*) AS letters, max(received) AS last_received
FROM dead_letters
GROUP BY reason;

CREATE VIEW ledger AS
SELECT id AS partition, delivered, scored, poison, late, duplicates, dead_letters,
       delivered - scored - poison - late - duplicates - dead_letters AS unaccounted
FROM partitions;
