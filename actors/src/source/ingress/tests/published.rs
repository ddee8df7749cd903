//! Which configurations an ingress publishes when it takes the subscriptions over.

use thicket_schema::{Control, Entry, PartitionId, Position, Record};
use thicket_store::postgres::{
    ClaimedPartition, CommitBatch, WriteSession, check_deployment, claim, connect_postgres, postgres_pool,
};
use thicket_store::redis::{AppendOutcome, LogAppender, Opening, connect_redis};

use super::reconnect::Servers;
use super::*;
use crate::testing::start;

const PARTITIONS: u16 = 8;
/// The partition whose log has an entry that is not committed.
const CHANGED: PartitionId = PartitionId(3);

/// Commits a configuration in each partition.
async fn commit_configuration(postgres: &str, detectors: &str) {
    check_deployment(&mut connect_postgres(postgres).await.unwrap(), PARTITIONS).await.unwrap();
    let partitions: Vec<_> = (0..PARTITIONS).map(PartitionId).collect();
    let claimed = claim(&postgres_pool(postgres, 1).unwrap(), &partitions).await.unwrap();
    let batch = |claimed: ClaimedPartition| {
        let batch = CommitBatch::new(claimed.partition, claimed.epoch, claimed.position);
        CommitBatch { detectors: Some(detectors.to_owned()), ..batch }
    };
    let batches: Vec<_> = claimed.into_iter().map(batch).collect();
    WriteSession::default().commit(postgres, &batches.iter().collect::<Vec<_>>()).await.unwrap();
}

/// The engine that published a configuration has crashed, and its file has the earlier one again.
#[actix_rt::test]
async fn a_configuration_in_the_log_that_is_not_committed_is_replaced() {
    let servers = Servers::start();
    let metrics = metrics();
    let (append, _appended) = record(|_| ());
    let (controls, mut published) = record(|_: &AppendControls| true);
    let mut peers = servers.peers(&metrics, append).await;
    peers.writer.controls = controls;
    commit_configuration(&servers.postgres.url(), "{}").await;
    let item = Item::Control(Control::Detectors(r#"{"later":true}"#.to_owned()));
    let mut entry = Entry {
        predecessor: Position::default(),
        records: vec![Record { received: 1, redelivered: false, item }],
    };
    let redis = connect_redis(&servers.redis.url()).await;
    let opening = Opening { earliest: 100, ingress_epoch: 0, acknowledged: Position::default() };
    let mut log = LogAppender::open(&redis, &Keys::default(), CHANGED, "a", opening).await.unwrap();
    let bytes = log.pack(&mut entry);
    let appended = log.append(&redis, &Keys::default(), &bytes, 100).await.unwrap();
    assert_eq!(appended, AppendOutcome::Appended);

    let broker = servers.broker(Version::V5, &Redelivery::default());
    let _ingress = start(MqttIngress::new(vec![broker], peers, &metrics));
    let AppendControls { controls } = tokio::time::timeout(END, published.recv()).await.unwrap().unwrap();
    assert_eq!(controls, [(CHANGED, Control::Detectors("{}".to_owned()))]);
}
