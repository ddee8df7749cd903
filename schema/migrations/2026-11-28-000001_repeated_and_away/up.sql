-- repeated: how many readings in a row had the value of each field, if the anomaly is that there are
-- far more of them than before; else 0. away: how many readings in a row had not the value at which the
-- field rests, which is then `expected`, likewise. Additive: an older engine writes no arrays, which
-- means 0.
ALTER TABLE anomalies ADD COLUMN repeated bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN away bigint[] NOT NULL DEFAULT '{}';

CREATE OR REPLACE VIEW anomaly_events AS
SELECT s.name AS sensor, a.started, a.ended, a.peak_at, a.peak_score, a.peak_grade, a.readings,
       (SELECT c.field FROM unnest(a.fields, a.contributions) AS c (field, share) ORDER BY c.share DESC, c.field LIMIT 1) AS main_field,
       (SELECT jsonb_object_agg(c.field, c.share) FROM unnest(a.fields, a.contributions) AS c (field, share)) AS contributions,
       a.accepted, l.label, l.note,
       (SELECT format(CASE WHEN c.repeated > 0 AND c.is_counter AND c.actual = 0 THEN '%1$s did not grow for %5$s readings, far longer than before'
                           WHEN c.repeated > 0 AND c.is_counter THEN '%1$s grew by %2$s a second for %5$s readings, far longer than before'
                           WHEN c.repeated > 0 THEN '%1$s stayed at %2$s for %5$s readings, far longer than before'
                           WHEN c.away > 0 AND c.is_counter AND c.expected = 0 THEN '%1$s has grown without a pause for %6$s readings, far longer than before'
                           WHEN c.away > 0 AND c.is_counter THEN '%1$s has not grown by %7$s a second for %6$s readings, far longer than before'
                           WHEN c.away > 0 THEN '%1$s has not been at %7$s for %6$s readings, far longer than before'
                           WHEN NOT coalesce(c.is_counter, false) THEN '%1$s was %2$s, expected %3$s to %4$s'
                           WHEN c.actual < 0 THEN '%1$s fell by %2$s a second, expected to grow by %3$s to %4$s'
                           ELSE '%1$s grew by %2$s a second, expected %3$s to %4$s' END,
                      c.field,
                      trim_scale(round((CASE WHEN c.is_counter THEN abs(c.actual) ELSE c.actual END)::numeric, 3)),
                      trim_scale(round(c.low::numeric, 3)), trim_scale(round(c.high::numeric, 3)), c.repeated,
                      c.away, trim_scale(round(c.expected::numeric, 3)))
        FROM unnest(a.fields, a.contributions, a.actual, a.expected, a.low, a.high, a.counters, a.repeated, a.away)
            AS c (field, share, actual, expected, low, high, is_counter, repeated, away)
        WHERE c.actual <> 'NaN' AND c.low IS NOT NULL
        ORDER BY c.share DESC, c.field LIMIT 1) AS why,
       tstzrange(a.started, greatest(a.started, coalesce(a.ended, 'infinity')), '[]') AS during
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
LEFT JOIN labels l ON l.sensor = a.sensor AND l.started = a.started;

CREATE OR REPLACE VIEW anomaly_causes AS
SELECT s.name AS sensor, a.started, a.peak_at, c.field, c.share, c.actual, c.expected, c.low, c.high,
       CASE WHEN c.actual = 'NaN' THEN 'within' WHEN c.actual > c.high THEN 'high' WHEN c.actual < c.low THEN 'low' ELSE 'within' END AS direction,
       coalesce(c.is_counter, false) AS counter, coalesce(c.repeated, 0) AS repeated,
       coalesce(c.away, 0) AS away
FROM anomalies a
JOIN sensors s ON s.id = a.sensor
CROSS JOIN LATERAL unnest(a.fields, a.contributions, a.actual, a.expected, a.low, a.high, a.counters, a.repeated,
                          a.away)
    AS c (field, share, actual, expected, low, high, is_counter, repeated, away);
