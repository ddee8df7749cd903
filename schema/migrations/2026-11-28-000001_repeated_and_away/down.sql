DROP VIEW anomaly_causes;
CREATE VIEW anomaly_causes AS
SELECT s.name AS sensor, a.started, a.peak_at, c.field, c.share, c.actual, c.expected, c.low, c.high,
       CASE WHEN c.actual = 'NaN' THEN 'within' WHEN c.actual > c.high THEN 'high' WHEN c.actual < c.low THEN 'low' ELSE 'within' END AS direction,
       coalesce(c.is_counter, false) AS counter
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
CROSS JOIN LATERAL unnest(a.fields, a.contributions, a.actual, a.expected, a.low, a.high, a.counters)
    AS c (field, share, actual, expected, low, high, is_counter);

-- The view has lost the rights of the one that it replaces.
DO $$ BEGIN
    IF to_regrole('thicket_reader') IS NOT NULL THEN
        GRANT SELECT ON anomaly_causes TO thicket_reader;
    END IF;
END $$;

CREATE OR REPLACE VIEW anomaly_events AS
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

ALTER TABLE anomalies DROP COLUMN repeated, DROP COLUMN away;
