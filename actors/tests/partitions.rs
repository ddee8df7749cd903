//! Messages whose records belong to several partitions, on a real Redis. A message is released once
//! every partition has its records. A redelivery after a partial append loses no record, and a
//! reader recognises the repeated records.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::time::Duration;

use actix::{Actor, Addr, Context, Supervised};
use prometheus::{IntCounter, Registry};
use tempfile::TempDir;
use thicket_actors::credit::CreditPool;
use thicket_actors::messages::{Append, Drain};
use thicket_actors::metrics::Metrics;
use thicket_actors::queue::{QueueWriter, QueueWriterOptions};
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, start_here};
use thicket_compose::Redis;
use thicket_schema::{
    Entry, FieldSet, Item, Keys, PartitionId, Position, Reading, Record, SensorName, Timestamp,
};
use thicket_store::redis::{Client, LogAppender, LogReader, Opening, connect_redis};

const PARTITIONS: [PartitionId; 2] = [PartitionId(0), PartitionId(1)];

struct TestEnv {
    _directory: TempDir,
    _redis: Redis,
    client: Client,
    keys: Keys,
}

impl TestEnv {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path()).unwrap();
        let client = connect_redis(&redis.url()).await;
        Self { _directory: directory, _redis: redis, client, keys: Keys::default() }
    }

    fn writer(&self, producer: &str) -> Addr<QueueWriter> {
        let options = QueueWriterOptions {
            linger: Duration::from_millis(1),
            max_records: 100,
            max_backlog: 1_000,
            producer: producer.to_owned(),
            partitions: 2,
        };
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (exit, _) = ExitSignal::new();
        let (redis, keys) = (self.client.clone(), self.keys.clone());
        start(QueueWriter::new(redis, keys, options, Vec::new(), metrics, exit))
    }

    /// Times of the readings in each log, in order.
    async fn logs(&self) -> Vec<Vec<i64>> {
        let reader = LogReader::new(self.client.clone(), self.client.clone(), self.keys.clone());
        let mut logs = Vec::new();
        for partition in PARTITIONS {
            let read = reader.read(&[(partition, Position::default())], 100, Duration::from_millis(1)).await;
            let entries = read.unwrap().into_iter().flat_map(|(_, entries)| entries);
            let records = entries.flat_map(|entry| Entry::decode(&entry.bytes).unwrap().records);
            logs.push(records.map(|record| record.received).collect());
        }
        logs
    }
}

fn start<A: Actor<Context = Context<A>> + Supervised>(actor: A) -> Addr<A> {
    let (exit, _) = ExitSignal::new();
    let intensity = Intensity::new(10, Duration::from_secs(1));
    let restarts = IntCounter::new("restarts", "restarts").unwrap();
    start_here(actor, Supervision { actor: "test", intensity, exit, restarts })
}

fn record(sensor: &str, ts: i64) -> Record {
    let reading = Reading {
        sensor: SensorName::new(sensor).unwrap(),
        ts: Timestamp(ts),
        stamped: false,
        fields: FieldSet::new(vec!["value".to_owned()]).unwrap(),
        values: vec![ts as f64],
    };
    Record { received: ts, redelivered: false, item: Item::Reading(reading) }
}

/// A message of three readings in two partitions.
fn message() -> Vec<(PartitionId, Record)> {
    vec![(PARTITIONS[0], record("a", 1)), (PARTITIONS[1], record("b", 2)), (PARTITIONS[0], record("a", 3))]
}

#[actix_rt::test]
async fn a_message_of_two_partitions_is_released_once_both_logs_hold_its_records() {
    let env = TestEnv::new().await;
    let (writer, pool) = (env.writer("first"), CreditPool::new(1));
    let credit = pool.acquire(1).await;
    writer.send(Append { records: message(), ends_message: true, delivery: None, credit }).await.unwrap();
    drop(pool.acquire(1).await);
    assert_eq!(env.logs().await, [vec![1, 3], vec![2]], "the credit comes back after both appends");
}

#[actix_rt::test]
async fn a_redelivery_after_a_partial_append_completes_the_other_partition() {
    let env = TestEnv::new().await;
    // The first ingress dies after its append to one partition. The message is not acknowledged.
    let opening = Opening { earliest: 1, ingress_epoch: 0, acknowledged: Position::default() };
    let mut dead = LogAppender::open(&env.client, &env.keys, PARTITIONS[0], "dead", opening).await.unwrap();
    let of_first = message().into_iter().filter(|(partition, _)| *partition == PARTITIONS[0]);
    let records = of_first.map(|(_, record)| record).collect();
    let bytes = dead.pack(&mut Entry { predecessor: Position::default(), records });
    dead.append(&env.client, &env.keys, &bytes, 1_000).await.unwrap();
    assert_eq!(env.logs().await, [vec![1, 3], vec![]]);

    let (writer, pool) = (env.writer("next"), CreditPool::new(1));
    let credit = pool.acquire(1).await;
    writer.send(Append { records: message(), ends_message: true, delivery: None, credit }).await.unwrap();
    writer.send(Drain).await.unwrap();
    // Every reading is in its log. The repeated readings have the same times and values, so the
    // commit counts them as duplicates.
    assert_eq!(env.logs().await, [vec![1, 3, 1, 3], vec![2]]);
}
