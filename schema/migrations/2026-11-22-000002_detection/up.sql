-- How far a grade can be trusted, and where something begins; both 0 to 1.
ALTER TABLE readings ADD COLUMN confidence float4, ADD COLUMN onset float4;

-- What came at an anomaly's peak and what was expected instead, by field as in fields; accepted where the anomaly ended because it had
-- become the new normal.
ALTER TABLE anomalies
    ADD COLUMN accepted boolean  NOT NULL DEFAULT false,
    ADD COLUMN actual   float8[] NOT NULL DEFAULT '{}',
    ADD COLUMN expected float8[] NOT NULL DEFAULT '{}',
    ADD COLUMN low      float8[] NOT NULL DEFAULT '{}',
    ADD COLUMN high     float8[] NOT NULL DEFAULT '{}';

-- What people say of anomalies. Beside the anomalies, which the engine alone writes; the newest word on an anomaly counts.
CREATE TABLE labels (
    sensor  bigint      NOT NULL,
    started timestamptz NOT NULL,
    label   text        NOT NULL CHECK (label IN ('true', 'false', 'maintenance')),
    note    text        NOT NULL DEFAULT '',
    author  text        NOT NULL DEFAULT '',
    set_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sensor, started)
);

CREATE OR REPLACE VIEW scores AS
SELECT s.name AS sensor, r.ts, r.seq, r.score, r.grade,
       (r.flags & 2) <> 0 AS anomaly,
       (r.flags & 1) <> 0 AS warming_up,
       r.confidence, r.onset,
       (r.flags & 32) <> 0 AS suppressed,
       (r.flags & 64) <> 0 AS imputed,
       (r.flags & 128) <> 0 AS stuck,
       (r.flags & 256) <> 0 AS after_silence,
       (r.flags & 512) <> 0 AS learning_slowed
FROM readings r
JOIN sensors s ON s.id = r.sensor
WHERE r.seq IS NOT NULL;

CREATE OR REPLACE VIEW anomaly_events AS
SELECT s.name AS sensor, a.started, a.ended, a.peak_at, a.peak_score, a.peak_grade, a.readings,
       (SELECT c.field FROM unnest(a.fields, a.contributions) AS c (field, share) ORDER BY c.share DESC, c.field LIMIT 1) AS main_field,
       (SELECT jsonb_object_agg(c.field, c.share) FROM unnest(a.fields, a.contributions) AS c (field, share)) AS contributions,
       a.accepted, l.label, l.note,
       (SELECT format('%s was %s, expected %s to %s', c.field, trim_scale(round(c.actual::numeric, 3)),
                      trim_scale(round(c.low::numeric, 3)), trim_scale(round(c.high::numeric, 3)))
        FROM unnest(a.fields, a.contributions, a.actual, a.low, a.high) AS c (field, share, actual, low, high)
        WHERE c.actual <> 'NaN' AND c.low IS NOT NULL
        ORDER BY c.share DESC, c.field LIMIT 1) AS why
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started;

-- One row per anomaly and field: each field's part at the peak, what came and what was expected.
CREATE VIEW anomaly_causes AS
SELECT s.name AS sensor, a.started, a.peak_at, c.field, c.share, c.actual, c.expected, c.low, c.high,
       CASE WHEN c.actual = 'NaN' THEN 'within' WHEN c.actual > c.high THEN 'high' WHEN c.actual < c.low THEN 'low' ELSE 'within' END AS direction
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
CROSS JOIN LATERAL unnest(a.fields, a.contributions, a.actual, a.expected, a.low, a.high)
    AS c (field, share, actual, expected, low, high);
