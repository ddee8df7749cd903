//! What Thicket stores in PostgreSQL. A file per table with all statements on it.
//!
//! - `server`: the address of a database. [`connect_postgres`], [`postgres_pool`]: connections.
//! - `write_session`, `batch`, `commit`, `pending_writes`, `bisect`: the commit point. One
//!   transaction writes batches.
//! - `partitions`, `positions`, `ledgers`: positions, epochs and ledgers of the partitions.
//! - `readings`, `late`, `row_counts`: rows of readings. `day_tables`, `drop_day`: the tables of
//!   their days.
//! - `clocks`: sensors whose clocks are behind, and the rows near a time.
//! - `sensors`, `field_sets`, `configs`: the rows that readings refer to. `renames`: sensors with
//!   another name. `registry`: what the intake must know of them. `fleet`: how many sensors send,
//!   and how much. `gone_sensors`: sensors that send nothing any more.
//! - `anomalies`, `labels`: events, and the labels that operators set on them.
//! - `sensor_requests`: what operators want done with sensors, and detectors that began again.
//! - `notifications`: the outbox of notifications, and its way to the receivers.
//! - `dead_letters`, `quarantine`, `log_losses`: messages, readings and log entries that could not
//!   be processed.
//! - `expire`: deletes rows that are too old, or that nothing refers to.
//! - `history`, `checkpoint_facts`: the questions that a restore, `explain` and `backtest` ask about
//!   a sensor.
//! - `snapshot`: reads whole tables as of one moment.
//! - `transfer`: copies all tables to another database.
//! - `pattern`: patterns of names and topics, as operators write them.

mod anomalies;
mod batch;
mod bisect;
mod checkpoint_facts;
mod clocks;
mod commit;
mod configs;
mod connection;
mod day_tables;
mod dead_letters;
mod drop_day;
mod expire;
mod field_sets;
mod fleet;
mod gone_sensors;
mod history;
mod labels;
mod late;
mod ledgers;
mod log_losses;
mod notifications;
mod partitions;
mod pattern;
mod pending_writes;
mod positions;
mod quarantine;
mod readings;
mod registry;
mod renames;
mod row_counts;
mod sensor_fields;
mod sensor_requests;
mod sensors;
mod server;
mod server_time;
mod snapshot;
mod transfer;
mod write_session;

pub use anomalies::{
    Anomaly, AnomalyFilter, AnomalyLabel, anomalies_between, anomaly_row, by_share, count_anomalies,
    count_open_anomalies, find_anomaly, list_anomalies, nearest_anomalies, serialize_causes,
};
pub use batch::{CommitBatch, LateReading, LoggedDeadLetter, LoggedRow, SeenSensor};
pub use checkpoint_facts::CheckpointFacts;
pub use clocks::{
    ClockAhead, ClockBehind, ClockChange, ClockState, ClockUpdate, NearRow, TimeFacts, clocks_ahead,
    clocks_behind, rows_near,
};
pub use configs::stored_configs;
pub use connection::{
    PooledConnection, PostgresConnection, PostgresPool, QueryError, StoreError, connect_postgres,
    database_bytes, postgres_pool, takes_writes,
};
pub use day_tables::{DayTable, day_of, day_tables, days_older_than, ensure_days};
pub use dead_letters::{
    DeadLetterFilter, DeadLetterKey, DeadLetterKeyError, DeadLetterSelection, SelectedDeadLetter,
    dead_letters_by_key, dead_letters_by_partition, dead_letters_by_reason, delete_dead_letters,
    expire_dead_letters, mark_replayed, newest_dead_letters, select_dead_letters,
};
pub use drop_day::{DayOutcome, NewestRow, RowsWithoutSensor, begin_retention, drop_day, is_lock_timeout};
pub use expire::{
    KeptRows, expire_anomalies, expire_changes, expire_configs, expire_field_sets, expire_losses,
    expire_quarantine, expire_requests,
};
pub use field_sets::FieldSets;
pub use fleet::{PresentFleet, present_fleet};
pub use gone_sensors::gone_sensors;
pub use history::{
    Applied, NamedReading, RowPage, SeqRange, StoredReading, first_scored, newest_of_others, newest_scored,
    newest_seqs, page_by_time, page_of_rows, rows_after, rows_up_to, seq_ranges, time_before,
};
pub use labels::{
    AppliedLabel, NewLabel, UnloggedLabel, applied_labels, clear_label, load_applied_labels, mark_logged,
    set_label, unlogged_labels,
};
pub use ledgers::{PartitionLedger, partition_ledgers};
pub use log_losses::{LogLoss, StoredLoss, stored_losses};
pub use notifications::{
    Delivered, DeliveryChange, DeliveryKey, DeliveryState, Distribution, FailedAttempt, GroupRules,
    HeldCursor, HeldDelivery, HeldPage, ListedDelivery, Member, MessageEvent, NotificationKind,
    OutgoingMessage, RouteBacklog, RouteHold, Silence, StoredNotification, announced_states,
    change_deliveries, compose_message, distribute, end_silence, fail_message, held_deliveries, hold_route,
    list_deliveries, list_silences, message_events, message_to_send, purge_notifications, register_routes,
    release_routes, remind, retry_message, route_backlogs, sent_message, silence,
};
pub use partitions::{
    ClaimedPartition, DeploymentError, can_claim, check_deployment, claim, deployment_name,
    mark_clean_shutdown, newest_generation, partitions_configured_otherwise,
};
pub use pending_writes::CommitReport;
pub use quarantine::{
    QuarantineEntry, QuarantineList, QuarantineReason, newest_quarantined, quarantine_reading,
    quarantined_by_reason,
};
pub use readings::scored_row;
pub use registry::{StoredRegistry, misnamed, read_registry};
pub use renames::{Rename, RenameOutcome, present_name, read_renames, rename_sensor};
pub use row_counts::{SensorRows, count_rows_of_day};
pub use sensor_fields::{FieldCounts, count_fields, fields_of_sensor, sensors_without_scored_field};
pub use sensor_requests::{
    DetectorReset, UnloggedRequest, begin_forgetting, finish_forgetting, finish_left_over, is_to_forget,
    mark_requests_logged, newest_reset, request, request_forgetting, request_saves, unlogged_requests,
};
pub use sensors::{
    ListedSensor, SensorActivity, count_sensors, count_sensors_matching, find_sensor, list_sensors,
    sensor_activity, sensor_names_like, sensors_matching,
};
pub use server::{PostgresServer, PostgresServerError};
pub use snapshot::{SnapshotError, SnapshotReader, begin_snapshot, end_snapshot};
pub use transfer::{Sequence, Table, TableReader, TableWriter, TransferError};
pub use write_session::{WriteError, WriteSession};
