//! The state of a deployment, as PostgreSQL, Redis and the engine report it. The engine may take its
//! time: what the stores report is complete without it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Serialize;
use thicket_schema::Keys;
use thicket_schema::postgres::Ledger;
use thicket_store::postgres::{
    FieldCounts, PartitionLedger, PostgresConnection, count_anomalies, count_fields, count_sensors,
    dead_letters_by_reason, partition_ledgers, quarantined_by_reason, sensors_without_scored_field,
    stored_losses,
};
use thicket_store::redis::{Client, InFlight, LogReader, in_flight, lease_holders, live_nodes};

use crate::clocks::Clocks;
use crate::config::Config;
use crate::losses::Loss;
use crate::scrape::Samples;
use crate::stores::TABLES_MISSING;

/// Sensors without a scored field that are named.
const EXAMPLES: i64 = 5;

/// Maximum number of entries of the log that are decoded to count their records.
const DECODE_UP_TO: u64 = 2_000;

/// The state of a deployment.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    pub(super) stores: StoresStatus,
    #[serde(flatten)]
    pub(super) engine: EngineStatus,
}

/// The state of a deployment, as its stores report it.
#[derive(Debug, Serialize)]
pub(super) struct StoresStatus {
    /// The live nodes, and those that own a partition.
    pub(super) nodes: Vec<NodeStatus>,
    pub(super) partitions: Vec<PartitionStatus>,
    pub(super) sensors: i64,
    pub(super) fields: FieldsStatus,
    pub(super) anomalies: i64,
    /// Stored dead letters by reason.
    pub(super) dead_letters: BTreeMap<String, i64>,
    /// Quarantined readings by reason.
    pub(super) quarantined: BTreeMap<String, i64>,
    /// The sensors whose clocks are wrong.
    pub(super) clocks: Clocks,
    /// Ranges of the log that Redis acknowledged and lost.
    pub(super) losses: Vec<Loss>,
    pub(super) totals: Totals,
}

/// The state of the engine; every field is `None` if no engine answers at `http.listen`.
#[derive(Debug, Serialize)]
pub(super) struct EngineStatus {
    /// Detectors in memory.
    pub(super) detectors_in_memory: Option<u64>,
    /// Partitions that the engine leaves to a newer build.
    pub(super) partitions_refused: Option<u64>,
    /// Messages that the brokers dropped since they started, of those brokers that report it; `None`
    /// also if none does.
    pub(super) broker_dropped: Option<u64>,
    /// The brokers, as the engine sees them.
    pub(super) brokers: Option<BTreeMap<String, BrokerStatus>>,
    /// Messages that are no readings, by kind, since the engine started.
    pub(super) no_readings: Option<BTreeMap<String, u64>>,
}

/// A broker, as the engine sees it.
#[derive(Debug, Serialize)]
pub(super) struct BrokerStatus {
    /// Whether the engine is connected and subscribed.
    pub(super) connected: bool,
    /// Connections since the engine started.
    pub(super) connects: u64,
    /// Topic filters that the broker refuses.
    pub(super) subscriptions_refused: u64,
    /// Topic filters that the broker grants at QoS 0 only.
    pub(super) subscriptions_downgraded: u64,
    /// The client id of the engine, if another client uses it too.
    pub(super) client_id_conflict: Option<String>,
    /// Messages that `queue.reorder` holds back.
    pub(super) held: u64,
    /// Messages that the broker dropped since it started; `None` if it does not report it.
    pub(super) dropped: Option<u64>,
}

/// The fields of all sensors.
#[derive(Debug, Serialize)]
pub(super) struct FieldsStatus {
    pub(super) scored: i64,
    /// Fields that a pattern of `exclude` leaves out.
    pub(super) excluded: i64,
    /// Fields that are left out for another reason.
    pub(super) left_out: i64,
    /// Sensors without a scored field: their readings are unscored.
    pub(super) sensors_without_scored_field: i64,
    /// Names of the first of these sensors.
    pub(super) examples: Vec<String>,
}

/// A node.
#[derive(Debug, Serialize)]
pub(super) struct NodeStatus {
    pub(super) node: String,
    /// Number of partitions whose leases it holds.
    pub(super) partitions: usize,
}

/// The state of one partition.
#[derive(Debug, Serialize)]
pub(super) struct PartitionStatus {
    pub(super) partition: i32,
    /// The committed position.
    pub(super) position: String,
    pub(super) epoch: i64,
    /// The node that holds the partition's lease.
    pub(super) owner: Option<String>,
    /// Entries of the log that are not committed.
    pub(super) lag_entries: u64,
    /// Records in these entries; `None` if there are too many to count.
    pub(super) in_flight: Option<u64>,
    #[serde(flatten)]
    pub(super) ledger: LedgerReport,
}

/// A ledger, with the numbers that follow from it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct LedgerReport {
    pub(super) delivered: i64,
    pub(super) scored: i64,
    pub(super) unscored: i64,
    pub(super) poison: i64,
    pub(super) late: i64,
    pub(super) duplicates: i64,
    pub(super) dead_letters: i64,
    /// Must be 0.
    pub(super) unaccounted: i64,
    /// Rows that are in `readings` now.
    pub(super) stored: i64,
    /// Rows that retention has dropped, or that were deleted with a forgotten sensor.
    pub(super) expired: i64,
    /// Dead letters that no operator has deleted.
    pub(super) dead_letters_stored: i64,
}

/// All partitions together.
#[derive(Debug, Serialize)]
pub(super) struct Totals {
    #[serde(flatten)]
    pub(super) ledger: LedgerReport,
    pub(super) lag_entries: u64,
    pub(super) in_flight: Option<u64>,
}

impl PartitionStatus {
    /// Whether the partition lags behind, does not balance, or has no owner although other
    /// partitions have one.
    pub(super) const fn is_notable(&self, has_engine: bool) -> bool {
        (has_engine && self.owner.is_none()) || self.lag_entries > 0 || self.ledger.unaccounted != 0
    }
}

impl From<Ledger> for LedgerReport {
    fn from(ledger: Ledger) -> Self {
        Self {
            delivered: ledger.delivered,
            scored: ledger.scored,
            unscored: ledger.unscored,
            poison: ledger.poison,
            late: ledger.late,
            duplicates: ledger.duplicates,
            dead_letters: ledger.dead_letters,
            unaccounted: ledger.unaccounted(),
            stored: ledger.stored(),
            expired: ledger.expired,
            dead_letters_stored: ledger.dead_letters_stored(),
        }
    }
}

impl FieldsStatus {
    async fn read(postgres: &mut PostgresConnection) -> anyhow::Result<Self> {
        let FieldCounts { unscored_sensors, scored, excluded, left_out } = count_fields(postgres).await?;
        let examples = match unscored_sensors {
            0 => Vec::new(),
            _ => sensors_without_scored_field(postgres, EXAMPLES).await?,
        };
        Ok(Self { scored, excluded, left_out, sensors_without_scored_field: unscored_sensors, examples })
    }
}

/// The backlog of each partition, the owners of the partitions, and the live nodes.
type Logs = (Vec<InFlight>, Vec<Option<String>>, Vec<String>);

impl StoresStatus {
    /// Asks PostgreSQL and Redis.
    pub(super) async fn read(
        config: &Config,
        postgres: &mut PostgresConnection,
        redis: &Client,
    ) -> anyhow::Result<Self> {
        let ledgers = partition_ledgers(postgres).await.context(TABLES_MISSING)?;
        let logs = read_logs(config, redis, &ledgers);
        let tables = read_tables(config, postgres, &ledgers);
        let ((backlogs, owners, live), mut status) = tokio::try_join!(logs, tables)?;
        let backlog = backlogs.iter().fold(InFlight::ZERO, |sum, &one| sum.and(one));
        (status.totals.lag_entries, status.totals.in_flight) = (backlog.entries, backlog.records);
        status.nodes = count_partitions(live, &owners);
        for ((partition, backlog), owner) in status.partitions.iter_mut().zip(backlogs).zip(owners) {
            partition.owner = owner;
            (partition.lag_entries, partition.in_flight) = (backlog.entries, backlog.records);
        }
        Ok(status)
    }

    /// Whether every delivered record is accounted for.
    pub(super) const fn is_balanced(&self) -> bool {
        self.totals.ledger.unaccounted == 0
    }
}

async fn read_logs(config: &Config, redis: &Client, ledgers: &[PartitionLedger]) -> anyhow::Result<Logs> {
    let keys = Keys::new(&config.redis.prefix)?;
    let reader = LogReader::new(redis.clone(), redis.clone(), keys.clone());
    let committed: Vec<_> = ledgers.iter().map(|row| (row.id(), row.position)).collect();
    let backlogs = in_flight(&reader, &committed, DECODE_UP_TO);
    let owners = lease_holders(redis, ledgers.iter().map(|row| keys.lease(row.id())));
    Ok(tokio::try_join!(backlogs, owners, live_nodes(redis, keys.nodes()))?)
}

/// Returns what PostgreSQL reports. The backlog is 0, no partition has an owner, and no node lives.
async fn read_tables(
    config: &Config,
    postgres: &mut PostgresConnection,
    ledgers: &[PartitionLedger],
) -> anyhow::Result<StoresStatus> {
    let partition = |row: &PartitionLedger| PartitionStatus {
        partition: row.partition,
        position: row.position.to_string(),
        epoch: row.epoch,
        owner: None,
        lag_entries: 0,
        in_flight: Some(0),
        ledger: row.ledger.into(),
    };
    let unaccounted = ledgers.iter().map(|row| row.ledger.unaccounted().abs()).sum();
    let total: Ledger = ledgers.iter().map(|row| row.ledger).sum();
    // Absolute values: differences that cancel each other out are no balance.
    let ledger = LedgerReport { unaccounted, ..total.into() };
    Ok(StoresStatus {
        nodes: Vec::new(),
        partitions: ledgers.iter().map(partition).collect(),
        sensors: count_sensors(postgres).await?,
        fields: FieldsStatus::read(postgres).await?,
        anomalies: count_anomalies(postgres).await?,
        dead_letters: dead_letters_by_reason(postgres).await?,
        quarantined: quarantined_by_reason(postgres).await?,
        clocks: Clocks::read(config, postgres).await?,
        losses: stored_losses(postgres, None).await?.into_iter().map(Loss::from).collect(),
        totals: Totals { ledger, lag_entries: 0, in_flight: Some(0) },
    })
}

impl EngineStatus {
    /// Finds the state in the engine's metrics; `None` if no engine answers.
    pub(super) fn of(engine: Option<&Samples>) -> Self {
        let sum = |metric: &str| engine.map(|samples| samples.sum(metric) as u64);
        let brokers = engine.map(brokers);
        let drops: Vec<u64> =
            brokers.iter().flat_map(BTreeMap::values).filter_map(|broker| broker.dropped).collect();
        Self {
            detectors_in_memory: sum("thicket_detectors"),
            partitions_refused: sum("thicket_partitions_refused"),
            broker_dropped: (!drops.is_empty()).then(|| drops.iter().sum()),
            brokers,
            no_readings: engine.map(no_readings),
        }
    }
}

/// Counts the partitions of each node.
fn count_partitions(live: Vec<String>, owners: &[Option<String>]) -> Vec<NodeStatus> {
    let mut nodes: BTreeMap<String, usize> = live.into_iter().map(|node| (node, 0)).collect();
    for owner in owners.iter().flatten() {
        *nodes.entry(owner.clone()).or_default() += 1;
    }
    nodes.into_iter().map(|(node, partitions)| NodeStatus { node, partitions }).collect()
}

fn brokers(engine: &Samples) -> BTreeMap<String, BrokerStatus> {
    let connects = engine.by_label("thicket_mqtt_connects_total", "broker");
    let refused = engine.by_label("thicket_mqtt_subscriptions_refused", "broker");
    let downgraded = engine.by_label("thicket_mqtt_subscriptions_downgraded", "broker");
    let held = engine.by_label("thicket_reorder_held", "broker");
    let conflicts = engine.labels_of("thicket_mqtt_client_id_conflict");
    // Without a report, the engine has no such metric: 0 would be made up.
    let dropped = engine.by_label("thicket_broker_dropped_messages_total", "broker");
    let connected = engine.by_label("thicket_mqtt_connected", "broker");
    let status = |(broker, connected): (String, u64)| {
        let of = |numbers: &BTreeMap<String, u64>| numbers.get(&broker).copied().unwrap_or_default();
        let mut conflicts = conflicts.iter().filter(|labels| labels.get("broker") == Some(&broker));
        let status = BrokerStatus {
            connected: connected == 1,
            connects: of(&connects),
            subscriptions_refused: of(&refused),
            subscriptions_downgraded: of(&downgraded),
            client_id_conflict: conflicts.next().and_then(|labels| labels.get("client_id").cloned()),
            held: of(&held),
            dropped: dropped.get(&broker).copied(),
        };
        (broker, status)
    };
    connected.into_iter().map(status).collect()
}

fn no_readings(engine: &Samples) -> BTreeMap<String, u64> {
    let mut results = engine.by_label("thicket_mqtt_messages_total", "result");
    results.remove("appended");
    results
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::status::print::drops;

    #[test]
    fn drops_are_known_of_the_brokers_that_report_them() {
        let brokers = "# TYPE thicket_mqtt_connected gauge\n\
            thicket_mqtt_connected{broker=\"a\"} 1\n\
            thicket_mqtt_connected{broker=\"b\"} 1\n";
        let with = |drops: &[(&str, u64)]| {
            let mut text = format!("{brokers}# TYPE thicket_broker_dropped_messages_total counter\n");
            for (broker, dropped) in drops {
                let _ =
                    writeln!(text, "thicket_broker_dropped_messages_total{{broker={broker:?}}} {dropped}");
            }
            EngineStatus::of(Some(&Samples::parse(&text).unwrap()))
        };
        let (none, one, both) = (with(&[]), with(&[("b", 4)]), with(&[("a", 0), ("b", 4)]));
        assert_eq!([&none, &one, &both].map(|status| status.broker_dropped), [None, Some(4), Some(4)]);
        let of = |status: &EngineStatus, broker| status.brokers.as_ref().unwrap()[broker].dropped;
        assert_eq!((of(&one, "a"), of(&one, "b"), of(&both, "a")), (None, Some(4), Some(0)));
        assert_eq!(
            [&none, &one, &both].map(drops),
            [
                "drops unknown: no broker reports them",
                "4 messages dropped by 1 of 2 brokers; the others do not report drops",
                "4 messages dropped by 2 brokers since they started",
            ]
        );
    }
}
