use std::sync::Arc;
use std::time::Duration;

use thicket_detector::NamedConfig;
use thicket_schema::{Checkpoint, Keys, PartitionId};

use super::*;
use crate::credit::{Credit, CreditPool};
use crate::testing::{disconnected_postgres, disconnected_redis, metrics};

fn new_checkpointer() -> Checkpointer {
    let store = CheckpointStore::new(disconnected_redis(), Keys::default());
    Checkpointer::new(
        store,
        disconnected_postgres(),
        BudgetOptions { memory: None, partitions: 4 },
        metrics(),
    )
}

fn save(sensor: usize, seq: u64, credit: Credit) -> Save {
    let sensor = SensorName::new(&format!("s{sensor:02}")).unwrap();
    let checkpoint =
        Checkpoint { sensor: sensor.to_string(), seq, newest: None, era: 0, config: 0, state: Vec::new() };
    Save { partition: PartitionId(0), sensor, checkpoint, pinned: false, credit }
}

#[actix_rt::test]
async fn a_bounded_number_of_writes_is_in_flight_and_the_others_wait() {
    let mut checkpointer = new_checkpointer();
    let mut context = Context::new();
    for sensor in 0..20 {
        checkpointer.handle(save(sensor, 1, Credit::unbounded()), &mut context);
    }
    assert_eq!(checkpointer.state.in_flight, WRITES_IN_FLIGHT);
    assert_eq!(checkpointer.state.waiting.len(), 20 - WRITES_IN_FLIGHT);
}

#[actix_rt::test]
async fn the_newest_checkpoint_of_a_sensor_replaces_the_one_that_waits() {
    let mut checkpointer = new_checkpointer();
    let mut context = Context::new();
    let pool = CreditPool::new(100);
    for sensor in 0..20 {
        checkpointer.handle(save(sensor, 1, pool.acquire(1).await), &mut context);
    }
    let newer = save(19, 2, pool.acquire(1).await);
    let sensor = newer.sensor.clone();
    let replaced = Instant::now();
    checkpointer.handle(newer, &mut context);
    assert_eq!(checkpointer.state.waiting[&sensor].save.checkpoint.seq, 2);
    assert_eq!(pool.available(), 80, "the older one gives its credit back");
    // No other checkpoint waits any more, and none is being written.
    drop(context);
    checkpointer.state.waiting.retain(|other, _| *other == sensor);
    let since_replaced = replaced.elapsed();
    assert!(checkpointer.metrics.checkpoint_waits.oldest() > since_replaced, "it keeps the age of the first");
}

#[actix_rt::test]
async fn a_checkpoint_that_is_being_written_has_an_age_too() {
    let mut checkpointer = new_checkpointer();
    let mut context = Context::new();
    assert_eq!(checkpointer.metrics.checkpoint_waits.oldest(), Duration::ZERO);
    checkpointer.handle(save(1, 1, Credit::unbounded()), &mut context);
    assert!(checkpointer.state.waiting.is_empty(), "Redis is away, so the write does not end");
    assert!(checkpointer.metrics.checkpoint_waits.oldest() > Duration::ZERO);
}

#[actix_rt::test]
async fn a_checkpoint_that_may_not_be_used_is_not_written() {
    let mut checkpointer = new_checkpointer();
    let mut context = Context::new();
    for sensor in 0..20 {
        checkpointer.handle(save(sensor, 1, Credit::unbounded()), &mut context);
    }
    let sensor = SensorName::new("s19").unwrap();
    let config = Arc::new(NamedConfig::from(thicket_detector::DetectorConfig::default()));
    let (partition, sensor_name) = (PartitionId(0), sensor.clone());
    let load = Load { partition, sensor: sensor_name, config, use_checkpoint: false, is_reshaped: false };
    drop(checkpointer.handle(load, &mut context));
    assert!(!checkpointer.state.waiting.contains_key(&sensor));
}
