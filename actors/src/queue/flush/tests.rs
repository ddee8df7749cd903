use super::*;
use crate::credit::CreditPool;
use crate::testing::{reading, record_of};

#[tokio::test]
async fn a_message_of_several_partitions_is_split_and_acknowledged_as_one() {
    let pool = CreditPool::new(8);
    let message = async |readings: &[(u16, i64)]| Append {
        records: readings
            .iter()
            .map(|&(partition, ts)| (PartitionId(partition), record_of(reading("a", ts, 0.0))))
            .collect(),
        ends_message: true,
        delivery: None,
        credit: pool.acquire(1).await,
    };
    let messages = vec![message(&[(2, 10), (0, 11), (2, 12)]).await, message(&[(0, 13)]).await];
    let (records, unacknowledged) = by_partition(messages);
    let received =
        |partition| records[&PartitionId(partition)].iter().map(|record| record.received).collect::<Vec<_>>();
    assert_eq!(records.len(), 2);
    assert_eq!((received(0), received(2)), (vec![11, 13], vec![10, 12]), "in the order of arrival");
    assert_eq!((unacknowledged.len(), pool.available()), (2, 6));
}
