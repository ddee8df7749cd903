use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::credit::CreditPool;
use crate::testing::{disconnected_redis, metrics, reading, record_of};

fn new_writer() -> QueueWriter {
    let options = QueueWriterOptions {
        linger: Duration::from_hours(1),
        max_records: 10,
        max_backlog: 100,
        producer: "test".to_owned(),
        partitions: 4,
    };
    let (exit, _) = ExitSignal::new();
    QueueWriter::new(
        disconnected_redis(),
        Keys::default(),
        options,
        vec![Redelivery::default()],
        metrics(),
        exit,
    )
}

async fn append(pool: &CreditPool) -> Append {
    let records = vec![(PartitionId(0), record_of(reading("a", 1, 1.0)))];
    Append { records, ends_message: true, delivery: None, credit: pool.acquire(1).await }
}

#[actix_rt::test]
async fn messages_wait_together_for_one_flush() {
    let (mut writer, pool) = (new_writer(), CreditPool::new(8));
    let mut context = Context::new();
    for _ in 0..3 {
        writer.handle(append(&pool).await, &mut context);
    }
    assert!(writer.state.flushing);
    assert_eq!((writer.state.pending.appends.len(), pool.available()), (3, 5));
}

#[actix_rt::test]
async fn a_takeover_drops_the_messages_that_wait() {
    let (mut writer, pool) = (new_writer(), CreditPool::new(8));
    let mut context = Context::new();
    writer.handle(append(&pool).await, &mut context);
    drop(writer.handle(FenceWriters { ingress_epoch: 2, newest_generation: 0 }, &mut context));
    assert!(writer.state.pending.appends.is_empty());
    assert_eq!(pool.available(), 8, "the broker delivers the message again");
    writer.handle(append(&pool).await, &mut context);
    assert_eq!(writer.state.pending.appends.len(), 1, "messages of the new holder follow the takeover");
}

#[actix_rt::test]
async fn a_restart_drops_the_messages_that_wait_and_requests_redelivery() {
    let (mut writer, pool) = (new_writer(), CreditPool::new(8));
    let mut context = Context::new();
    writer.handle(append(&pool).await, &mut context);
    writer.restarting(&mut context);
    assert!(writer.state.pending.is_empty() && !writer.state.flushing);
    assert_eq!(pool.available(), 8);
    assert!(writer.redelivery[0].requested().now_or_never().is_some());
}
