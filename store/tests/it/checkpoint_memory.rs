//! The account of the memory of checkpoints holds for every write and deletion, and is close to
//! what Redis really uses.

use fred::interfaces::{ClientLike as _, ConfigInterface as _, HashesInterface as _, KeysInterface as _};
use thicket_protocol::checkpoint::worth;
use thicket_schema::{Checkpoint, Keys, PartitionId, SensorName};
use thicket_store::redis::{CheckpointStore, StoredCheckpoint, is_out_of_memory, is_passing, redis_memory};

use crate::support::RedisServer;

const PARTITION: PartitionId = PartitionId(3);

fn sensor(number: usize) -> SensorName {
    SensorName::new(&format!("site-1/microphone-{number}")).unwrap()
}

fn checkpoint(sensor: &SensorName, seq: u64, bytes: usize) -> Checkpoint {
    let state = vec![7; bytes];
    Checkpoint { sensor: sensor.to_string(), seq, newest: None, era: 0, config: 0, state }
}

async fn start() -> (RedisServer, CheckpointStore) {
    let server = RedisServer::start().await;
    let store = CheckpointStore::new(server.client.clone(), Keys::default());
    (server, store)
}

async fn save(store: &CheckpointStore, number: usize, seq: u64, bytes: usize) -> u64 {
    let sensor = sensor(number);
    let checkpoint = checkpoint(&sensor, seq, bytes);
    store.save(PARTITION, &sensor, &checkpoint, worth(seq, 0.0)).await.unwrap().partition_memory
}

#[tokio::test]
async fn the_account_is_within_a_tenth_of_what_redis_uses() {
    let (server, store) = start().await;
    save(&store, 0, 1, 1_000).await;
    for bytes in [3_000, 13_000, 67_000, 163_000] {
        let before = (redis_memory(&server.client).await.unwrap().used, store.memory(4).await.unwrap()[3]);
        for number in 0..200 {
            save(&store, bytes + number, 1, bytes).await;
        }
        let used = redis_memory(&server.client).await.unwrap().used - before.0;
        let counted = store.memory(4).await.unwrap()[3] - before.1;
        let ratio = counted as f64 / used as f64;
        println!("{bytes} bytes: {} counted, {} used, for each of 200", counted / 200, used / 200);
        assert!((0.9..1.1).contains(&ratio), "{bytes} bytes: {counted} counted, {used} used");
    }
}

#[tokio::test]
async fn the_account_follows_writes_deletions_and_evictions() {
    let (_server, store) = start().await;
    let one = save(&store, 0, 5, 3_000).await;
    assert_eq!(save(&store, 0, 6, 3_000).await, one, "a checkpoint replaces the one before");
    assert_eq!(save(&store, 0, 4, 50_000).await, one, "an older one is not written");
    assert!(save(&store, 0, 7, 50_000).await > 50_000);
    save(&store, 0, 8, 3_000).await;
    for (number, seq) in [(1, 100), (2, 50), (3, 200)] {
        save(&store, number, seq, 3_000).await;
    }
    let least = store.worth_least(PARTITION, f64::INFINITY, 2).await.unwrap();
    let sensors: Vec<_> = least.iter().map(|checkpoint| checkpoint.sensor.clone()).collect();
    assert_eq!(sensors, [sensor(0), sensor(2)], "few rows to replay are worth little");
    assert_eq!(store.worth_least(PARTITION, worth(8, 0.0), 9).await.unwrap(), least[..1]);
    assert_eq!((least[0].seq, least[0].memory, least[1].seq), (8, one, 50));

    // A checkpoint that is written meanwhile is worth more, and stays.
    save(&store, 2, 300, 3_000).await;
    assert_eq!(store.evict(&least).await.unwrap(), 1);
    assert_eq!(store.load(PARTITION, &sensor(0)).await.unwrap(), StoredCheckpoint::Missing);
    assert_eq!(store.memory(4).await.unwrap(), [0, 0, 0, 3 * one]);
    store.delete(PARTITION, &sensor(1)).await.unwrap();
    store.delete(PARTITION, &sensor(1)).await.unwrap();
    assert_eq!(store.memory(4).await.unwrap()[3], 2 * one);
    assert_eq!(store.all(PARTITION).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_pinned_checkpoint_is_never_evicted_until_it_is_deleted() {
    let (_server, store) = start().await;
    for (number, seq) in [(0, 10), (1, 20)] {
        save(&store, number, seq, 3_000).await;
    }
    let wanted = |number, seq| (PARTITION, sensor(number), seq);
    assert_eq!(store.pin(&[wanted(0, 11), wanted(1, 20), wanted(2, 1)]).await.unwrap(), [false, true, false]);
    save(&store, 1, 21, 3_000).await;
    let all = store.all(PARTITION).await.unwrap();
    assert_eq!(all.iter().filter(|checkpoint| checkpoint.worth.is_infinite()).count(), 1);
    let evictable = store.worth_least(PARTITION, f64::INFINITY, 9).await.unwrap();
    assert_eq!((evictable.len(), evictable[0].sensor.clone()), (1, sensor(0)));
    store.delete(PARTITION, &sensor(1)).await.unwrap();
    save(&store, 1, 1, 3_000).await;
    assert_eq!(store.worth_least(PARTITION, f64::INFINITY, 9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn keys_that_were_deleted_by_hand_are_taken_out_of_the_account() {
    let (server, store) = start().await;
    for number in 0..3 {
        save(&store, number, 10, 3_000).await;
    }
    let third = store.memory(4).await.unwrap()[3] / 3;
    let key = Keys::default().checkpoint(PARTITION, &sensor(1));
    let _: i64 = server.client.del(key).await.unwrap();
    assert_eq!(store.recount(PARTITION).await.unwrap(), 2 * third);
    assert_eq!(store.all(PARTITION).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_account_that_was_lost_never_falls_below_zero() {
    let (server, store) = start().await;
    for number in 0..2 {
        save(&store, number, 10, 50_000).await;
    }
    let all = store.memory(4).await.unwrap()[3];
    let _: i64 = server.client.del(Keys::default().checkpoint_memory(PARTITION)).await.unwrap();
    assert_eq!(save(&store, 0, 11, 3_000).await, 0);
    store.delete(PARTITION, &sensor(0)).await.unwrap();
    assert_eq!(store.memory(4).await.unwrap()[3], 0);
    assert_eq!(store.recount(PARTITION).await.unwrap(), all / 2);
}

#[tokio::test]
async fn a_checkpoint_whose_memory_is_unknown_stays_in_the_index() {
    let (server, store) = start().await;
    save(&store, 0, 10, 3_000).await;
    let key = Keys::default().checkpoint(PARTITION, &sensor(0));
    let _: i64 = server.client.hdel(key, "memory").await.unwrap();
    assert_eq!(store.recount(PARTITION).await.unwrap(), 0);
    assert_eq!(store.all(PARTITION).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_of_redis_does_not_pass_and_a_lost_connection_does() {
    let (server, store) = start().await;
    let key = Keys::default().checkpoint(PARTITION, &sensor(0));
    let () = server.client.set(key, "no hash", None, None, false).await.unwrap();
    let answer = store.save(PARTITION, &sensor(0), &checkpoint(&sensor(0), 1, 9), 1.0).await.unwrap_err();
    assert!(!is_passing(&answer), "{answer}");
    server.client.quit().await.unwrap();
    let lost = store.save(PARTITION, &sensor(0), &checkpoint(&sensor(0), 1, 9), 1.0).await.unwrap_err();
    assert!(is_passing(&lost), "{lost}");
}

#[tokio::test]
async fn a_redis_without_memory_refuses_a_checkpoint_and_still_deletes() {
    let (server, store) = start().await;
    for number in 0..3 {
        save(&store, number, 10, 3_000).await;
    }
    let () = server.client.config_set("maxmemory", "1mb").await.unwrap();
    let refused = store.save(PARTITION, &sensor(4), &checkpoint(&sensor(4), 1, 9), 1.0).await.unwrap_err();
    assert!(is_out_of_memory(&refused), "{refused}");
    assert_eq!(store.pin(&[(PARTITION, sensor(0), 1)]).await.unwrap(), [true]);
    let all = store.worth_least(PARTITION, f64::INFINITY, 9).await.unwrap();
    assert_eq!(store.evict(&all).await.unwrap(), 2);
    assert_eq!(store.recount(PARTITION).await.unwrap(), store.memory(4).await.unwrap()[3]);
}
