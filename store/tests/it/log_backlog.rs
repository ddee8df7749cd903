//! The backlog of many logs is counted with few reads.

use fred::interfaces::{ClientLike as _, StreamsInterface as _};
use fred::types::InfoKind;
use thicket_schema::{DeadLetter, Entry, Item, Keys, PartitionId, Position, Reason, Record};
use thicket_store::redis::{InFlight, LogReader, in_flight};

use crate::support::RedisServer;

const PARTITIONS: u16 = 64;
const DECODE_UP_TO: u64 = 2_000;

struct TestEnv {
    server: RedisServer,
    keys: Keys,
}

impl TestEnv {
    /// Appends entries of two records each to the log of a partition.
    async fn append(&self, partition: u16, entries: u64) {
        let dead_letter = Item::DeadLetter(DeadLetter::new("a", Reason::Empty, "", b""));
        let record = Record { received: 0, redelivered: false, item: dead_letter };
        let entry = Entry { predecessor: Position::default(), records: vec![record.clone(), record] };
        let bytes = entry.encode();
        let (log, pipeline) = (self.keys.log(PartitionId(partition)), self.server.client.pipeline());
        for n in 1..=entries {
            let fields = ("e", bytes.as_slice());
            let () = pipeline.xadd(log.as_str(), false, None, format!("100-{n}"), fields).await.unwrap();
        }
        let _: Vec<String> = pipeline.all().await.unwrap();
    }

    /// Counts the backlog of all partitions. Returns it with the number of reads of entries.
    async fn count(&self, committed: Position) -> (Vec<InFlight>, u64) {
        let client = &self.server.client;
        let reader = LogReader::new(client.clone(), client.clone(), self.keys.clone());
        let committed: Vec<_> = (0..PARTITIONS).map(|number| (PartitionId(number), committed)).collect();
        let before = self.reads().await;
        let counted = in_flight(&reader, &committed, DECODE_UP_TO).await.unwrap();
        (counted, self.reads().await - before)
    }

    async fn reads(&self) -> u64 {
        let info: String = self.server.client.info(Some(InfoKind::CommandStats)).await.unwrap();
        let calls = |line: &str| line.strip_prefix("cmdstat_xread:calls=")?.split(',').next()?.parse().ok();
        info.lines().find_map(calls).unwrap_or(0)
    }
}

fn counted(entries: u64) -> InFlight {
    InFlight { entries, records: Some(2 * entries) }
}

#[tokio::test]
async fn the_number_of_reads_depends_on_neither_the_partitions_nor_the_backlog() {
    let env = TestEnv { server: RedisServer::start().await, keys: Keys::default() };
    let (idle, reads) = env.count(Position::default()).await;
    assert_eq!((idle, reads), (vec![InFlight::ZERO; usize::from(PARTITIONS)], 1));

    for partition in 0..PARTITIONS {
        env.append(partition, 3).await;
    }
    let (few, reads) = env.count(Position::default()).await;
    assert_eq!(few, vec![counted(3); usize::from(PARTITIONS)]);
    assert!(reads <= 4, "{reads} reads of 3 entries of each of {PARTITIONS} logs");

    let deep = PARTITIONS;
    env.append(deep, 3_000).await;
    let reader = LogReader::new(env.server.client.clone(), env.server.client.clone(), env.keys.clone());
    let committed = |n| Position { generation: 100, n };
    let logs = [(PartitionId(deep), committed(100)), (PartitionId(0), committed(1))];
    let before = env.reads().await;
    let both = in_flight(&reader, &logs, DECODE_UP_TO).await.unwrap();
    assert_eq!(both, [InFlight { entries: 2_900, records: None }, counted(2)]);
    assert!(env.reads().await - before <= 15);
}
