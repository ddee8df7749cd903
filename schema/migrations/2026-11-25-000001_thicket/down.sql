DROP VIEW ledger, dead_letter_summary, field_standings, anomaly_causes, anomaly_events, sensor_status, reading_outcomes, scores, reading_values,
          sensor_names;
DROP FUNCTION try_insert_readings(readings[]);
DROP TABLE silences, notification_deliveries, notification_messages, notification_routes, forgotten_sensors, notifications;
DROP FUNCTION try_upsert_sensors(bigint[], text[], int[], bigint[], text[], timestamptz[]),
              upsert_sensors(bigint[], text[], int[], bigint[], text[], timestamptz[]);
DROP TABLE sensor_requests, detector_resets, log_losses, quarantine, counted_dead_letters, dead_letters, applied_labels, labels, anomalies, readings, field_sets, sensor_fields, sensors, configs,
           partitions, deployment;
DROP FUNCTION ensure_day_partitions(date[]), lock_day_partition(regclass), drop_day_partition(regclass),
              check_day_partition(regclass);
