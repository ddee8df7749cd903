//! Entries of the log that a newer build has written.

use thicket_schema::{Entry, FieldSet, Item, PartitionId, Position, Reading, Record, SensorName, Timestamp};
use thicket_testkit::TestEnv;
use thicket_testkit::samples::now_seconds;

use crate::support::start;

const PARTITION: PartitionId = PartitionId(1);

/// An entry in the next version of the format, with one reading.
fn later_entry(sensor: &SensorName) -> Vec<u8> {
    let reading = Reading {
        sensor: sensor.clone(),
        ts: Timestamp((now_seconds() - 100) * 1_000_000),
        stamped: false,
        fields: FieldSet::new(vec!["x".to_owned()]).unwrap(),
        values: vec![1.0],
    };
    let record =
        Record { received: now_seconds() * 1_000_000, redelivered: false, item: Item::Reading(reading) };
    Entry { predecessor: Position::default(), records: vec![record] }.encode_later()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_node_leaves_an_entry_of_a_newer_format_to_a_newer_node() {
    let config = TestEnv::config();
    let env = start(config.clone()).await;
    let names = (0..).map(|i| SensorName::new(&format!("s{i}")).unwrap());
    let of_partition = names.filter(|name| name.partition(4) == PARTITION);
    let [before, after] = &of_partition.take(2).collect::<Vec<_>>()[..] else { panic!("two names") };
    env.redis().await.append_entry(PARTITION, "5-1", &later_entry(before)).await.unwrap();

    let old = env.engine().await;
    old.until_metric("thicket_partitions_refused", 1.0).await;
    old.until_log_contains("a newer build has written the next entry of this partition").await;
    let publisher = env.publisher();
    publisher.publish(&format!("sensors/{after}"), "1").await;
    publisher.publish("sensors/elsewhere-1", "1").await;
    assert_eq!(env.number("SELECT sum(delivered) FROM ledger WHERE partition = 1").await, 0);
    assert_eq!(env.number("SELECT count(*) FROM partitions WHERE id = 1 AND clean_shutdown").await, 1);

    let newer = env.launch(&config, &[("THICKET_FAULTS", "later-format")]);
    env.until_accounted(3).await;
    assert_eq!(env.number("SELECT count(*) FROM dead_letters").await, 0);
    let stored = format!("SELECT count(*) FROM sensor_status WHERE sensor IN ('{before}', '{after}')");
    assert_eq!(env.number(&stored).await, 2);
    assert!(newer.terminate().await.success() && old.terminate().await.success());
}
