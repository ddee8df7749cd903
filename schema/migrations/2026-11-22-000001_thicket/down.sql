DROP VIEW ledger, dead_letter_summary, sensor_status, anomaly_events, scores, reading_values;
DROP TABLE dead_letters, anomalies, readings, field_sets, sensors, partitions, deployment;
DROP FUNCTION ensure_day_partitions(date[]);
