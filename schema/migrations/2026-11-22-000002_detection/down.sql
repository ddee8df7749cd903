DROP VIEW anomaly_causes;
DROP VIEW anomaly_events;
DROP VIEW scores;

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

DROP TABLE labels;
ALTER TABLE anomalies DROP COLUMN accepted, DROP COLUMN actual, DROP COLUMN expected, DROP COLUMN low, DROP COLUMN high;
ALTER TABLE readings DROP COLUMN confidence, DROP COLUMN onset;
