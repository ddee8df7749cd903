//! The append protocol on a real Redis: after any number of retries, the log holds each entry once
//! and in order.

use fred::interfaces::{KeysInterface as _, StreamsInterface as _};
use thicket_schema::{DeadLetter, Entry, Item, Keys, PartitionId, Position, Reason, Record};
use thicket_store::redis::{AppendOutcome, LogAppender, LogReader, Opening};

use crate::support::RedisServer;

const P: PartitionId = PartitionId(3);
const NO_BOUND: u64 = 1_000_000;

struct TestEnv {
    server: RedisServer,
    keys: Keys,
}

impl TestEnv {
    async fn new() -> Self {
        Self { server: RedisServer::start().await, keys: Keys::default() }
    }

    async fn open(&self, producer: &str, wall_ms: u64) -> LogAppender {
        LogAppender::open(
            &self.server.client,
            &self.keys,
            P,
            producer,
            Opening { earliest: wall_ms, ingress_epoch: 0, acknowledged: Position::default() },
        )
        .await
        .unwrap()
    }

    async fn append(&self, appender: &mut LogAppender, what: &str, bound: u64) -> AppendOutcome {
        let bytes = appender.pack(&mut entry(what));
        appender.append(&self.server.client, &self.keys, &bytes, bound).await.unwrap()
    }

    async fn log(&self) -> Vec<(Position, String, Position)> {
        let reader =
            LogReader::new(self.server.client.clone(), self.server.client.clone(), self.keys.clone());
        let read = reader
            .read(&[(P, Position::default())], 1_000, std::time::Duration::from_millis(1))
            .await
            .unwrap();
        let entries = read.into_iter().flat_map(|(_, entries)| entries);
        entries
            .map(|logged| {
                let entry = Entry::decode(&logged.bytes).unwrap();
                let Item::DeadLetter(dead_letter) = &entry.records[0].item else { panic!("no dead letter") };
                (logged.position, dead_letter.topic.clone(), entry.predecessor)
            })
            .collect()
    }
}

fn entry(what: &str) -> Entry {
    let dead_letter = DeadLetter::new(what, Reason::Empty, "", b"");
    Entry {
        predecessor: Position::default(),
        records: vec![Record { received: 1, redelivered: false, item: Item::DeadLetter(dead_letter) }],
    }
}

fn at(generation: u64, n: u64) -> Position {
    Position { generation, n }
}

#[tokio::test]
async fn entries_are_numbered_and_name_their_predecessor_across_generations() {
    let env = TestEnv::new().await;
    let mut first = env.open("a", 100).await;
    assert_eq!(env.append(&mut first, "1", NO_BOUND).await, AppendOutcome::Appended);
    assert_eq!(env.append(&mut first, "2", NO_BOUND).await, AppendOutcome::Appended);
    // The clock has gone back. The generation increases anyway.
    let mut second = env.open("b", 50).await;
    assert_eq!(env.append(&mut second, "3", NO_BOUND).await, AppendOutcome::Appended);
    let expected = [
        (at(100, 1), "1".to_owned(), at(0, 0)),
        (at(100, 2), "2".to_owned(), at(100, 1)),
        (at(101, 1), "3".to_owned(), at(100, 2)),
    ];
    assert_eq!(env.log().await, expected);
}

#[tokio::test]
async fn a_retry_after_a_lost_reply_neither_duplicates_nor_reorders_entries() {
    let env = TestEnv::new().await;
    let mut appender = env.open("a", 100).await;
    let bytes = appender.pack(&mut entry("1"));
    // The reply to this append is lost: the appender never receives it.
    let script = fred::types::scripts::Script::from_lua(include_str!("../../src/redis/append.lua"));
    let keys = vec![env.keys.log(P), env.keys.writer(P)];
    let arguments: Vec<fred::types::Value> =
        vec!["a".into(), "1".into(), fred::types::Value::Bytes(bytes.clone()), "9".into(), "100".into()];
    let reply: String = script.evalsha_with_reload(&env.server.client, keys, arguments).await.unwrap();
    assert_eq!(reply, "ok");
    assert_eq!(
        appender.append(&env.server.client, &env.keys, &bytes, NO_BOUND).await.unwrap(),
        AppendOutcome::Appended
    );
    assert_eq!(env.append(&mut appender, "2", NO_BOUND).await, AppendOutcome::Appended);
    assert_eq!(env.log().await.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_writer_that_was_replaced_is_fenced() {
    let env = TestEnv::new().await;
    let mut old = env.open("a", 100).await;
    let _new = env.open("b", 100).await;
    assert_eq!(env.append(&mut old, "late", NO_BOUND).await, AppendOutcome::Fenced);
    assert_eq!(env.log().await, []);
}

#[tokio::test]
async fn a_full_log_accepts_no_entry_until_it_is_trimmed() {
    let env = TestEnv::new().await;
    let mut appender = env.open("a", 100).await;
    assert_eq!(env.append(&mut appender, "1", 2).await, AppendOutcome::Appended);
    assert_eq!(env.append(&mut appender, "2", 2).await, AppendOutcome::Appended);
    assert_eq!(env.append(&mut appender, "3", 2).await, AppendOutcome::Full);
    let reader = LogReader::new(env.server.client.clone(), env.server.client.clone(), env.keys.clone());
    assert_eq!(reader.trim(P, at(100, 1)).await.unwrap().left, 1);
    assert_eq!(env.append(&mut appender, "3", 2).await, AppendOutcome::Appended);
    assert_eq!(env.log().await.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), ["2", "3"]);
}

#[tokio::test]
async fn the_next_append_notices_that_redis_lost_its_data() {
    let env = TestEnv::new().await;
    let mut appender = env.open("a", 100).await;
    assert_eq!(env.append(&mut appender, "1", NO_BOUND).await, AppendOutcome::Appended);
    let _: i64 = env.server.client.del(vec![env.keys.log(P), env.keys.writer(P)]).await.unwrap();
    assert_eq!(env.append(&mut appender, "2", NO_BOUND).await, AppendOutcome::Lost);
}

#[tokio::test]
async fn trimming_keeps_uncommitted_entries_and_the_newest_position() {
    let env = TestEnv::new().await;
    let mut appender = env.open("a", 100).await;
    for what in ["1", "2", "3"] {
        env.append(&mut appender, what, NO_BOUND).await;
    }
    let reader = LogReader::new(env.server.client.clone(), env.server.client.clone(), env.keys.clone());
    assert_eq!(reader.lags(&[(P, at(100, 1))]).await.unwrap(), [2]);
    assert_eq!(reader.trim(P, at(100, 3)).await.unwrap().left, 0);
    let length: u64 = env.server.client.xlen(env.keys.log(P)).await.unwrap();
    assert_eq!((length, reader.newest(P).await.unwrap()), (0, Some(at(100, 3))));
    let next = env.open("b", 100).await;
    assert_eq!(next.last(), at(100, 3), "a new generation names the last entry that the log ever held");
}

#[tokio::test]
async fn an_append_that_arrives_in_the_next_generation_of_the_same_process_is_refused() {
    let env = TestEnv::new().await;
    let mut first = env.open("a", 100).await;
    assert_eq!(env.append(&mut first, "1", NO_BOUND).await, AppendOutcome::Appended);
    let mut late = env.open("a", 100).await;
    let mut second = env.open("a", 100).await;
    // This append was considered lost, and arrives late. It has the sequence number of the next
    // entry.
    assert_eq!(env.append(&mut late, "1", NO_BOUND).await, AppendOutcome::Lost);
    assert_eq!(env.append(&mut second, "2", NO_BOUND).await, AppendOutcome::Appended);
    assert_eq!(env.log().await.iter().map(|(_, what, _)| what.as_str()).collect::<Vec<_>>(), ["1", "2"]);
}
