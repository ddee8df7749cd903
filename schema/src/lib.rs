//! Every format of Thicket that outlives a process: ids, readings, MQTT payloads, log entries, Redis keys, checkpoints, PostgreSQL tables
