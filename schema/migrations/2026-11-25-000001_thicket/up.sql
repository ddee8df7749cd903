-- The settings that a deployment fixes at its first start. One row. name tells the deployment from
-- others; the default MQTT client id contains it.
CREATE TABLE deployment (
    id         int  PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    partitions int  NOT NULL CHECK (partitions BETWEEN 1 AND 4096),
    name       text NOT NULL DEFAULT left(replace(gen_random_uuid()::text, '-', ''), 12)
);

-- One row per partition: its committed position, its fencing epoch and its ledger. The transaction
-- that writes rows also writes the ledger that accounts for them: delivered = scored + unscored
-- + poison + late + duplicates + dead_letters.
CREATE TABLE partitions (
    id           int    PRIMARY KEY,
    generation   bigint NOT NULL DEFAULT 0,
    n            bigint NOT NULL DEFAULT 0,
    epoch        bigint NOT NULL DEFAULT 0,
    delivered    bigint NOT NULL DEFAULT 0,
    scored       bigint NOT NULL DEFAULT 0,
    unscored     bigint NOT NULL DEFAULT 0,
    poison       bigint NOT NULL DEFAULT 0,
    late         bigint NOT NULL DEFAULT 0,
    duplicates   bigint NOT NULL DEFAULT 0,
    dead_letters bigint NOT NULL DEFAULT 0,
    -- Configuration of the partition's sensors after the position: that of the newest control entry
    -- in its log. Null before the first.
    detectors    text,
    -- True if the last owner committed everything it had read before it stopped. False while the
    -- partition is owned, and after its owner crashed.
    clean_shutdown boolean NOT NULL DEFAULT true,
    -- Version of the detection algorithm that scores the partition after the position.
    algorithm    int,
    -- Rows that the ledger counts and that retention or an operator has deleted. Reconcile needs
    -- them to prove the ledger. The transaction that deletes the rows also writes these.
    -- expired_unscored, expired_poison and expired_late: the part of expired without a score.
    expired              bigint NOT NULL DEFAULT 0,
    expired_unscored     bigint NOT NULL DEFAULT 0,
    expired_poison       bigint NOT NULL DEFAULT 0,
    expired_late         bigint NOT NULL DEFAULT 0,
    dead_letters_deleted bigint NOT NULL DEFAULT 0,
    -- Dead letters without a row: too many of their kind came at once. They are only counted.
    dead_letters_unstored bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Every configuration that a row was scored with; readings.config refers to it. Written with the
-- first such row. newest_day: no row of a later UTC day refers to it. Once the tables of all days
-- up to that day are dropped, it is deleted.
CREATE TABLE configs (
    id         bigint PRIMARY KEY,
    settings   text   NOT NULL,
    newest_day date   NOT NULL
);

-- id is a stable hash of the first name, so that no row depends on the order in which sensors were
-- first seen. first_name: its name in the log and in Redis, if it was renamed. Null: that is name.
CREATE TABLE sensors (
    id         bigint      PRIMARY KEY,
    name       text        NOT NULL UNIQUE,
    partition  int         NOT NULL,
    fields     text[]      NOT NULL,
    first_seen timestamptz NOT NULL,
    -- Fields beyond the number of names that a detector keeps, counted once per reading and rounded
    -- down to a power of two.
    untracked  bigint      NOT NULL DEFAULT 0,
    -- The newest UTC day on which it had a reading: no later day table has rows of it. Null: not
    -- known. Queries for its newest reading begin there, so that they need not look into every day.
    last_day   date,
    -- The ids of the field sets of its readings, ascending.
    field_sets bigint[]    NOT NULL DEFAULT '{}',
    first_name text
);
CREATE INDEX sensors_renamed ON sensors (first_name) WHERE first_name IS NOT NULL;

-- The fields of each sensor that are scored, and those that are stored only, each with the reason.
-- A sensor's rows are replaced when they change. excluded: the pattern of exclude matches the name.
-- not_listed: fields does not list it. constant, rare: it did not change, or was seen too seldom,
-- in the readings that decided the fields. limit: the sensor has too many fields. A field without a
-- row is not decided yet. remark: what is remarkable about a scored field. constant: it has never
-- changed. stepwise: it takes few values and stays at each. counts: it only counts up, so it
-- belongs into counters. repeats: it is equal to the field in the column repeats, or an affine
-- function of it.
CREATE TABLE sensor_fields (
    sensor   bigint NOT NULL,
    field    text   NOT NULL,
    standing text   NOT NULL CHECK (standing IN ('scored', 'excluded', 'not_listed', 'constant', 'rare', 'limit')),
    pattern  text   NOT NULL DEFAULT '',
    remark   text   NOT NULL DEFAULT '' CHECK (remark IN ('', 'constant', 'stepwise', 'counts', 'repeats')),
    repeats  text   NOT NULL DEFAULT '',
    PRIMARY KEY (sensor, field)
);

-- The names of the values of a reading. id is a stable hash of the sorted names.
CREATE TABLE field_sets (
    id    bigint PRIMARY KEY,
    names text[] NOT NULL
);

-- One row per reading. seq numbers the readings of a sensor that its detector has applied, scored
-- or unscored, without gaps. flags: see the view scores and thicket_schema::Flag. era: how often
-- the sensor's time had begun again when the reading was stored (see clock_changes). Within an era,
-- the order by ts is the order by seq. confidence: how far the grade can be trusted. onset: high
-- where something unusual begins.
CREATE TABLE readings (
    sensor     bigint      NOT NULL,
    ts         timestamptz NOT NULL,
    seq        bigint,
    field_set  bigint      NOT NULL,
    "values"   float8[]    NOT NULL,
    score      float8,
    grade      float8,
    flags      int         NOT NULL,
    era        int         NOT NULL DEFAULT 0,
    config     bigint,
    confidence float4,
    onset      float4,
    PRIMARY KEY (sensor, ts)
) PARTITION BY RANGE (ts);

-- Creates the day tables of readings that are missing for the given UTC days. Attaching a table
-- takes a weaker lock than creating it in place, so queries and inserts on other days continue. The
-- lock lets one writer at a time do it. A role that only reads cannot take it, unlike an advisory
-- lock.
CREATE FUNCTION ensure_day_partitions(days date[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    day  date;
    name text;
BEGIN
    LOCK TABLE deployment IN SHARE UPDATE EXCLUSIVE MODE;
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

-- Raises an error unless the table is a day table of readings.
CREATE FUNCTION check_day_partition(day regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = day AND inhparent = 'readings'::regclass) THEN
        RAISE EXCEPTION '% is no day table of readings', day;
    END IF;
END $$;

-- Locks a day table of readings against writers.
CREATE FUNCTION lock_day_partition(day regclass) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM check_day_partition(day);
    EXECUTE format('LOCK TABLE %s IN SHARE MODE', day);
END $$;

-- Drops a day table of readings.
CREATE FUNCTION drop_day_partition(day regclass) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM check_day_partition(day);
    EXECUTE format('DROP TABLE %s', day);
END $$;

-- The three functions act with the rights of the owner, so that the engine need not own the tables:
-- see roles.sql. Their names must mean the tables of this schema, whoever calls them, and only the
-- owner and the roles of roles.sql may call them.
DO $do$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ensure_day_partitions(date[])', 'lock_day_partition(regclass)', 'drop_day_partition(regclass)'] LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', name, current_schema());
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', name);
    END LOOP;
END $do$;

-- Tries to insert rows. Returns the SQLSTATE and the message of the error if PostgreSQL rejects
-- them, and no row if it accepts them. The caller rolls back. A client cannot decide by the
-- message, which is in the language of the server.
CREATE FUNCTION try_insert_readings(new_rows readings[]) RETURNS TABLE (code text, message text, constraint_name text)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO readings SELECT r.* FROM unnest(new_rows) r ON CONFLICT DO NOTHING;
EXCEPTION WHEN OTHERS THEN
    code := SQLSTATE;
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, constraint_name = CONSTRAINT_NAME;
    RETURN NEXT;
END $$;

-- Inserts sensors and their field sets: one element per sensor and field set, in the order of the
-- log. field_names: the names of a set, separated by line feeds. sensor_names: their first names.
-- Raises an error if another sensor has the id of one of them, or if another set of names has the id
-- of one of their sets: ids are hashes. Also raises an error if another sensor was renamed to the
-- name of a sensor that is not stored. A stored one keeps its id while another sensor has its first
-- name.
CREATE FUNCTION upsert_sensors(ids bigint[], sensor_names text[], partitions int[], set_ids bigint[],
                               field_names text[], first_readings timestamptz[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    taken record;
BEGIN
    SELECT g.name, s.first_name AS owner INTO taken
    FROM unnest(ids, sensor_names) AS g (id, name) JOIN sensors s ON s.name = g.name
    WHERE s.id <> g.id AND NOT EXISTS (SELECT FROM sensors o WHERE o.id = g.id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the sensor % has been renamed to %, and the message came before the intake knew', taken.owner, taken.name
            USING ERRCODE = 'unique_violation';
    END IF;
    -- In the order of the ids, so that two writers cannot deadlock.
    INSERT INTO field_sets (id, names)
    SELECT g.id, string_to_array((array_agg(g.names ORDER BY g.place))[1], E'\n')
    FROM unnest(set_ids, field_names) WITH ORDINALITY AS g (id, names, place) GROUP BY g.id ORDER BY g.id
    ON CONFLICT DO NOTHING;

    INSERT INTO sensors AS s (id, name, partition, fields, first_seen, field_sets)
    SELECT g.id, (array_agg(g.name ORDER BY g.place))[1], min(g.partition),
           ARRAY(SELECT f COLLATE "C" FROM unnest(string_to_array(string_agg(g.names, E'\n'), E'\n')) f GROUP BY 1 ORDER BY 1),
           (array_agg(g.first_reading ORDER BY g.place))[1], array_agg(DISTINCT g.field_set ORDER BY g.field_set)
    FROM unnest(ids, sensor_names, partitions, set_ids, field_names, first_readings)
         WITH ORDINALITY AS g (id, name, partition, field_set, names, first_reading, place)
    GROUP BY g.id ORDER BY g.id
    ON CONFLICT (id) DO UPDATE
    SET fields = ARRAY(SELECT f COLLATE "C" FROM unnest(s.fields || excluded.fields) AS f GROUP BY 1 ORDER BY 1),
        field_sets = ARRAY(SELECT f FROM unnest(s.field_sets || excluded.field_sets) AS f GROUP BY 1 ORDER BY 1)
    WHERE coalesce(s.first_name, s.name) = excluded.name AND NOT s.field_sets @> excluded.field_sets;

    SELECT g.name, s.name AS owner INTO taken
    FROM unnest(ids, sensor_names) AS g (id, name) JOIN sensors s ON s.id = g.id
    WHERE coalesce(s.first_name, s.name) <> g.name LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the sensor % has the id of the sensor %', taken.name, taken.owner USING ERRCODE = 'unique_violation';
    END IF;
    SELECT replace(g.names, E'\n', ', ') AS names, array_to_string(f.names, ', ') AS owner INTO taken
    FROM unnest(set_ids, field_names) AS g (id, names) JOIN field_sets f ON f.id = g.id
    WHERE f.names <> string_to_array(g.names, E'\n') LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'the fields % have the id of the fields %', left(taken.names, 200), left(taken.owner, 200)
            USING ERRCODE = 'unique_violation';
    END IF;
END $$;

-- Tries to insert sensors, as try_insert_readings tries to insert rows.
CREATE FUNCTION try_upsert_sensors(ids bigint[], sensor_names text[], partitions int[], set_ids bigint[],
                                   field_names text[], first_readings timestamptz[])
RETURNS TABLE (code text, message text, constraint_name text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM upsert_sensors(ids, sensor_names, partitions, set_ids, field_names, first_readings);
EXCEPTION WHEN OTHERS THEN
    code := SQLSTATE;
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, constraint_name = CONSTRAINT_NAME;
    RETURN NEXT;
END $$;

-- One row per event: consecutive anomalous readings of a sensor. ended is null while the event
-- lasts. accepted: the event ended because it has become the new normal. The arrays have one
-- element per field: its share of the peak, its value there, the value and band that were expected,
-- and whether it is a counter. The values of a counter are its growth per second.
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
    accepted      boolean     NOT NULL DEFAULT false,
    actual        float8[]    NOT NULL DEFAULT '{}',
    expected      float8[]    NOT NULL DEFAULT '{}',
    low           float8[]    NOT NULL DEFAULT '{}',
    high          float8[]    NOT NULL DEFAULT '{}',
    counters      boolean[]   NOT NULL DEFAULT '{}',
    PRIMARY KEY (sensor, started)
);
CREATE INDEX anomalies_started ON anomalies (started);
-- The anomalies that go on.
CREATE INDEX anomalies_open ON anomalies (sensor) WHERE ended IS NULL;
-- The anomalies that overlap a time range, see the column `during` of the view anomaly_events. An
-- anomaly without an end goes on without limit.
CREATE INDEX anomalies_during ON anomalies
    USING gist (tstzrange(started, greatest(started, coalesce(ended, 'infinity')), '[]'));

-- Labels that people give to anomalies. A new label of an anomaly replaces the old one. Only people
-- write this table, and only the engine writes anomalies. logged: the label is in the log, from
-- where the sensor's detector applies it.
CREATE TABLE labels (
    sensor  bigint      NOT NULL,
    started timestamptz NOT NULL,
    label   text        NOT NULL CHECK (label IN ('true', 'false', 'maintenance')),
    note    text        NOT NULL DEFAULT '',
    author  text        NOT NULL DEFAULT '',
    set_at  timestamptz NOT NULL DEFAULT now(),
    logged  boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (sensor, started)
);

-- Labels that changed what a detector learns, each with the seq of the reading before it, and its
-- number among the labels that the detector has applied. Replay applies them at the same seq.
CREATE TABLE applied_labels (
    sensor  bigint      NOT NULL,
    seq     bigint      NOT NULL,
    number  bigint      NOT NULL,
    started timestamptz NOT NULL,
    label   text        NOT NULL,
    PRIMARY KEY (sensor, seq, number)
);

-- What people want the owner of a sensor to do, on its way into the log. logged: the log has it,
-- from where the owner does it. A request to forget is deleted when it is done. reset: the detector
-- begins again. forget: everything about the sensor is deleted. save: the detector's checkpoint is
-- saved, because retention needs it. ready: it may go into the log. A command that still deletes
-- rows makes its request ready afterwards. last_day: the sensor's last day when the engine itself
-- made the request to forget it. The request has no effect if the sensor has sent readings since.
CREATE TABLE sensor_requests (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sensor    bigint      NOT NULL,
    action    text        NOT NULL CHECK (action IN ('reset', 'forget', 'save')),
    requested timestamptz NOT NULL DEFAULT now(),
    logged    boolean     NOT NULL DEFAULT false,
    ready     boolean     NOT NULL DEFAULT true,
    last_day  date
);

-- Each time that a detector began again on request, after the applied reading number seq, whose
-- time was newest in the era. A restore needs these rows.
CREATE TABLE detector_resets (
    sensor  bigint      NOT NULL,
    request bigint      NOT NULL,
    seq     bigint      NOT NULL,
    era     int         NOT NULL,
    newest  timestamptz NOT NULL,
    PRIMARY KEY (sensor, request)
);

-- Messages and readings that cannot be processed. The key is the position in the log, so a replay
-- of the log writes none twice. content is a hash of the dead letter's content, which tells a
-- redelivered message from a new one. replayed: when an operator last republished it. of_reading:
-- made of a decoded reading, not of a message. The topic is then the sensor's name, and the payload
-- has the reading's values and time as JSON.
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
    replayed      timestamptz,
    of_reading    boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (partition, generation, n, item)
);
CREATE INDEX dead_letters_received ON dead_letters (received);
CREATE INDEX dead_letters_content ON dead_letters (content);

-- The contents of the last 8,192 dead letters of each partition that were only counted, so that one
-- of them that the broker delivers again is not counted twice. place: the number of the dead letter
-- (partitions.dead_letters_unstored), modulo 8,192.
CREATE TABLE counted_dead_letters (
    partition int         NOT NULL,
    place     bigint      NOT NULL,
    content   bigint      NOT NULL,
    received  timestamptz NOT NULL,
    PRIMARY KEY (partition, place)
) WITH (fillfactor = 70);

-- Readings that are skipped, by their position in the log. A row is durable before any later
-- reading is processed, so every replay skips the same readings. poison: the reading panicked its
-- detector, or killed the process, repeatedly. unstorable: PostgreSQL rejects its row.
CREATE TABLE quarantine (
    partition   int         NOT NULL,
    generation  bigint      NOT NULL,
    n           bigint      NOT NULL,
    item        int         NOT NULL,
    reason      text        NOT NULL CHECK (reason IN ('poison', 'unstorable')),
    sensor      text        NOT NULL,
    ts          timestamptz NOT NULL,
    detail      text        NOT NULL,
    quarantined timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, generation, n, item)
);

-- The sensors whose clocks are behind. late: late readings in a row, each newer than the one
-- before. last_late: the stored time of the last of them. since: when the first of them arrived.
-- behind_us: how far the last reading was behind its arrival, at `updated`. ahead_of: the newest
-- time that the sensor ever had, while its time has begun again and has not reached it; null
-- otherwise. A restore needs these rows, so the transaction that stores the readings also writes
-- them.
CREATE TABLE sensor_clocks (
    sensor    bigint      PRIMARY KEY,
    late      int         NOT NULL,
    last_late timestamptz NOT NULL,
    since     timestamptz NOT NULL,
    behind_us bigint      NOT NULL,
    updated   timestamptz NOT NULL,
    ahead_of  timestamptz
) WITH (fillfactor = 50);

-- Each time that a sensor's time began again, because its clock had gone back. The era begins with
-- the reading at `begins`, after the scored reading number seq. newest: the newest time before.
CREATE TABLE clock_changes (
    sensor bigint      NOT NULL,
    era    int         NOT NULL,
    seq    bigint      NOT NULL,
    newest timestamptz NOT NULL,
    begins timestamptz NOT NULL,
    PRIMARY KEY (sensor, era)
);

-- Ranges of the log that Redis acknowledged and lost: after the first position and before the
-- second.
CREATE TABLE log_losses (
    partition         int         NOT NULL,
    after_generation  bigint      NOT NULL,
    after_n           bigint      NOT NULL,
    before_generation bigint      NOT NULL,
    before_n          bigint      NOT NULL,
    noticed           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, after_generation, after_n, before_generation, before_n)
);

-- The outbox of notifications. The transaction that stores the change of an anomaly also writes the
-- row, so sensor, started, kind and item follow from the log, like anomalies. opened: the anomaly
-- began. ended: it is over. label: a person labelled it; item is then the time of the label in µs
-- since the Unix epoch, and 0 otherwise. id: the order of the rows of a sensor. stored, routed_to
-- and is_routed are of the sender, which deletes old rows. routed_to: the routes whose nodes have
-- seen it. is_routed: all routes in use are among them.
CREATE TABLE notifications (
    sensor    bigint      NOT NULL,
    started   timestamptz NOT NULL,
    kind      text        NOT NULL CHECK (kind IN ('opened', 'ended', 'label')),
    item      bigint      NOT NULL DEFAULT 0,
    id        bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    stored    timestamptz NOT NULL DEFAULT now(),
    routed_to text[]      NOT NULL DEFAULT '{}',
    is_routed boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (sensor, started, kind, item)
);
CREATE INDEX notifications_unrouted ON notifications (id) WHERE NOT is_routed;
CREATE INDEX notifications_stored ON notifications (stored);

-- The names of forgotten sensors that the outbox still has notifications of. Those that were stored
-- up to
-- `forgotten` are deleted once they are routed.
CREATE TABLE forgotten_sensors (
    sensor    bigint      PRIMARY KEY,
    name      text        NOT NULL,
    forgotten timestamptz NOT NULL DEFAULT now()
);

-- The routes of the configuration that a node has used. since: notifications that were stored
-- before are not for the route. holder: the node that sends for it, until held_until. The row with
-- an empty name is the lease of the node that distributes the outbox.
CREATE TABLE notification_routes (
    route      text        PRIMARY KEY,
    since      timestamptz NOT NULL DEFAULT now(),
    holder     text        NOT NULL DEFAULT '',
    held_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- A message to the receiver of a route. Its deliveries never change, so a repeat has the same key.
-- attempts: the failed ones, and the last one. refusals: those that the receiver refused.
CREATE TABLE notification_messages (
    id           bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    route        text        NOT NULL,
    site         text        NOT NULL,
    key          text        NOT NULL,
    state        text        NOT NULL DEFAULT 'sending' CHECK (state IN ('sending', 'sent', 'failed')),
    attempts     int         NOT NULL DEFAULT 0,
    refusals     int         NOT NULL DEFAULT 0,
    next_attempt timestamptz NOT NULL DEFAULT now(),
    created      timestamptz NOT NULL DEFAULT now(),
    changed      timestamptz NOT NULL DEFAULT now(),
    error        text        NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX notification_messages_sending ON notification_messages (route) WHERE state = 'sending';
CREATE INDEX notification_messages_changed ON notification_messages (route, site, changed);
CREATE INDEX notification_messages_created ON notification_messages (route, created);

-- One row per notification and route. held: the conditions of the route are not met yet, such as
-- its least grade. waiting: to be sent from `due` on. sending, sent, failed: as its message.
-- passed: the route does not announce this kind, or announces another row instead. dropped: the
-- anomaly ended before the conditions of the route were met. name: the sensor's, which may be
-- forgotten. position: the order of the rows of a sensor.
CREATE TABLE notification_deliveries (
    route    text        NOT NULL,
    sensor   bigint      NOT NULL,
    name     text        NOT NULL,
    started  timestamptz NOT NULL,
    kind     text        NOT NULL CHECK (kind IN ('opened', 'ended', 'label', 'reminder')),
    item     bigint      NOT NULL DEFAULT 0,
    position bigint      NOT NULL,
    site     text        NOT NULL,
    state    text        NOT NULL DEFAULT 'held'
             CHECK (state IN ('held', 'waiting', 'sending', 'sent', 'failed', 'passed', 'dropped')),
    due      timestamptz NOT NULL DEFAULT now(),
    changed  timestamptz NOT NULL DEFAULT now(),
    message  bigint,
    PRIMARY KEY (route, sensor, started, kind, item)
);
CREATE INDEX notification_deliveries_open ON notification_deliveries (route, state, due) WHERE state IN ('held', 'waiting');
CREATE INDEX notification_deliveries_message ON notification_deliveries (message);
CREATE INDEX notification_deliveries_announced ON notification_deliveries (route, name, position DESC) WHERE kind = 'opened';
CREATE INDEX notification_deliveries_changed ON notification_deliveries (changed);

-- Sensors whose anomalies are not announced until a time. pattern: * any text, ? any character.
CREATE TABLE silences (
    id      bigint      PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    pattern text        NOT NULL,
    until   timestamptz NOT NULL,
    note    text        NOT NULL DEFAULT '',
    author  text        NOT NULL DEFAULT '',
    created timestamptz NOT NULL DEFAULT now()
);

-- Views with stable names: dashboards and people read these, so that the tables can change.

-- The names of the sensors and of their fields. Reads no readings, unlike sensor_status.
CREATE VIEW sensor_names AS
SELECT name AS sensor, fields
FROM sensors;

CREATE VIEW reading_values AS
SELECT s.name AS sensor, r.ts, f.field, f.value, (r.flags & 2) <> 0 AS anomaly
FROM readings r
JOIN sensors s ON s.id = r.sensor
JOIN field_sets fs ON fs.id = r.field_set
CROSS JOIN LATERAL unnest(fs.names, r."values") AS f (field, value);

CREATE VIEW scores AS
SELECT s.name AS sensor, r.ts, r.seq, r.score, r.grade,
       (r.flags & 2) <> 0 AS anomaly,
       (r.flags & 1) <> 0 AS warming_up,
       r.confidence, r.onset,
       (r.flags & 32) <> 0 AS suppressed,
       (r.flags & 64) <> 0 AS imputed,
       (r.flags & 128) <> 0 AS stuck,
       (r.flags & 256) <> 0 AS after_silence,
       (r.flags & 512) <> 0 AS learning_slowed,
       (r.flags & 2048) <> 0 AS shifted
FROM readings r
JOIN sensors s ON s.id = r.sensor
WHERE r.score IS NOT NULL;

-- One row per reading, with what became of it. late: stored without a score, because its sensor had
-- a newer one. unscored: stored without a score for another reason.
CREATE VIEW reading_outcomes AS
SELECT s.name AS sensor, r.ts,
       CASE WHEN (r.flags & 4) <> 0 THEN 'late'
            WHEN r.score IS NULL THEN 'unscored'
            WHEN (r.flags & 1) <> 0 THEN 'warming_up'
            ELSE 'judged' END AS outcome
FROM readings r
JOIN sensors s ON s.id = r.sensor;

-- One row per sensor. last_seen: the time of its newest reading. silent_after: the sensor counts as
-- silent after this time. That is ten minutes after its newest reading, or three times its usual
-- longest interval, whichever is longer: of its last twenty intervals within a week, one tenth are
-- longer. So one outage does not count, and a sensor that sends readings in groups is not silent
-- between them.
CREATE VIEW sensor_status AS
SELECT s.name AS sensor, s.partition, s.first_seen, newest.ts AS last_seen, s.fields,
       (SELECT coalesce(array_agg(f.field ORDER BY f.field COLLATE "C"), '{}') FROM sensor_fields f
        WHERE f.sensor = s.id AND f.standing = 'scored') AS scored,
       (SELECT coalesce(array_agg(f.field ORDER BY f.field COLLATE "C"), '{}') FROM sensor_fields f
        WHERE f.sensor = s.id AND f.standing <> 'scored') AS left_out,
       newest.ts + greatest(
           interval '10 minutes',
           (SELECT 3 * percentile_disc(0.9) WITHIN GROUP (ORDER BY recent.gap)
            FROM (SELECT r.ts - lead(r.ts) OVER (ORDER BY r.ts DESC) AS gap FROM readings r
                  WHERE r.sensor = s.id AND r.ts <= newest.ts AND r.ts >= newest.ts - interval '7 days'
                  ORDER BY r.ts DESC LIMIT 20) recent)) AS silent_after
FROM sensors s
LEFT JOIN LATERAL (SELECT r.ts FROM readings r
                   WHERE r.sensor = s.id AND r.ts >= coalesce(s.last_day::timestamp AT TIME ZONE 'UTC', '-infinity')
                     AND r.ts < coalesce((s.last_day + 1)::timestamp AT TIME ZONE 'UTC', 'infinity')
                   ORDER BY r.ts DESC LIMIT 1) newest ON true;

-- during: the time range of the event, without an end while the event lasts. An event of a sensor
-- that has fallen silent stays open, because only a reading ends it: see silent_after in
-- sensor_status.
CREATE VIEW anomaly_events AS
SELECT s.name AS sensor, a.started, a.ended, a.peak_at, a.peak_score, a.peak_grade, a.readings,
       (SELECT c.field FROM unnest(a.fields, a.contributions) AS c (field, share) ORDER BY c.share DESC, c.field LIMIT 1) AS main_field,
       (SELECT jsonb_object_agg(c.field, c.share) FROM unnest(a.fields, a.contributions) AS c (field, share)) AS contributions,
       a.accepted, l.label, l.note,
       (SELECT format(CASE WHEN NOT coalesce(c.is_counter, false) THEN '%s was %s, expected %s to %s'
                           WHEN c.actual < 0 THEN '%s fell by %s a second, expected to grow by %s to %s'
                           ELSE '%s grew by %s a second, expected %s to %s' END,
                      c.field,
                      trim_scale(round((CASE WHEN c.is_counter THEN abs(c.actual) ELSE c.actual END)::numeric, 3)),
                      trim_scale(round(c.low::numeric, 3)), trim_scale(round(c.high::numeric, 3)))
        FROM unnest(a.fields, a.contributions, a.actual, a.low, a.high, a.counters)
            AS c (field, share, actual, low, high, is_counter)
        WHERE c.actual <> 'NaN' AND c.low IS NOT NULL
        ORDER BY c.share DESC, c.field LIMIT 1) AS why,
       tstzrange(a.started, greatest(a.started, coalesce(a.ended, 'infinity')), '[]') AS during
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started;

-- One row per anomaly and field: the field's share of the peak, its value there, and the value that
-- was expected. The values of a counter are its growth per second.
CREATE VIEW anomaly_causes AS
SELECT s.name AS sensor, a.started, a.peak_at, c.field, c.share, c.actual, c.expected, c.low, c.high,
       CASE WHEN c.actual = 'NaN' THEN 'within' WHEN c.actual > c.high THEN 'high' WHEN c.actual < c.low THEN 'low' ELSE 'within' END AS direction,
       coalesce(c.is_counter, false) AS counter
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
CROSS JOIN LATERAL unnest(a.fields, a.contributions, a.actual, a.expected, a.low, a.high, a.counters)
    AS c (field, share, actual, expected, low, high, is_counter);

CREATE VIEW field_standings AS
SELECT s.name AS sensor, f.field, f.standing = 'scored' AS scored, f.standing, f.pattern, f.remark, f.repeats
FROM sensor_fields f
JOIN sensors s ON s.id = f.sensor;

CREATE VIEW dead_letter_summary AS
SELECT reason, count(*) AS dead_letters, max(received) AS last_received
FROM dead_letters
GROUP BY reason;

-- stored: rows that are in readings now. dead_letters_stored: rows that are in dead_letters now.
CREATE VIEW ledger AS
SELECT id AS partition, delivered, scored, unscored, poison, late, duplicates, dead_letters,
       delivered - scored - unscored - poison - late - duplicates - dead_letters AS unaccounted,
       scored + unscored + poison + late - expired AS stored, expired, dead_letters - dead_letters_deleted - dead_letters_unstored AS dead_letters_stored
FROM partitions;
