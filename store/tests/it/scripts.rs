//! The scripts of Redis decide as the pure functions of `protocol` do. Both are compared on a real
//! Redis, for every small state.

use fred::interfaces::{HashesInterface as _, KeysInterface as _, StreamsInterface as _};
use fred::types::FromValue;
use fred::types::scripts::Script;
use thicket_protocol::lease::{LeaseState, acquire};
use thicket_protocol::log::{Appended, Writer, append, may_open, must_reopen, open, tail_is_lost};
use thicket_protocol::{checkpoint, lease};
use thicket_schema::Position;

use crate::support::RedisServer;

const LOG: &str = "log";
const WRITER: &str = "writer";

struct TestEnv {
    server: RedisServer,
}

impl TestEnv {
    async fn new() -> Self {
        Self { server: RedisServer::start().await }
    }

    async fn run<R: FromValue>(&self, script: &Script, keys: &[&str], arguments: &[String]) -> R {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        script.evalsha_with_reload(&self.server.client, keys, arguments.to_vec()).await.unwrap()
    }

    /// Stores a log that ended at `last` and holds `length` entries, and its writer.
    async fn set_up(&self, last: Option<Position>, length: u64, writer: Option<&Writer<&str>>) {
        let _: i64 = self.server.client.del(vec![LOG, WRITER]).await.unwrap();
        if let Some(last) = last {
            for n in last.n.saturating_sub(length.max(1)) + 1..=last.n {
                let id = Position { n, ..last }.to_string();
                let _: String =
                    self.server.client.xadd(LOG, false, None::<()>, id, ("e", "x")).await.unwrap();
            }
            let _: i64 = self.server.client.xtrim(LOG, ("MAXLEN", "=", length as i64)).await.unwrap();
        }
        if let Some(&Writer { producer, sequence, generation }) = writer {
            let fields = [
                ("producer", producer.to_owned()),
                ("sequence", sequence.to_string()),
                ("generation", generation.to_string()),
            ];
            let () = self.server.client.hset(WRITER, fields.to_vec()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_append_script_decides_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/append.lua"));
    let mut writers = vec![None];
    for n in 0..=3 {
        let known = [("a", 7), ("a", 8), ("b", 7)];
        writers
            .extend(known.map(|(producer, generation)| Some(Writer { producer, sequence: n, generation })));
    }
    let mut seen = std::collections::BTreeSet::new();
    for writer in &writers {
        for (length, bound, n) in
            (0..=3).flat_map(|length| (0..=3).flat_map(move |bound| (1..=5).map(move |n| (length, bound, n))))
        {
            let last = writer.map(|Writer { sequence, generation, .. }| Position { generation, n: sequence });
            let last = last.filter(|last| last.n > 0);
            let length = last.map_or(0, |last| length.min(last.n));
            env.set_up(last, length, writer.as_ref()).await;
            let expected =
                append(writer.as_ref(), length, bound, &Writer { producer: "a", sequence: n, generation: 7 });
            let arguments =
                ["a".to_owned(), n.to_string(), "entry".to_owned(), bound.to_string(), "7".to_owned()];
            let reply: String = env.run(&script, &[LOG, WRITER], &arguments).await;
            let case = format!("{writer:?}, {length} of {bound}, n = {n}");
            assert_eq!(Appended::from_name(&reply), Some(expected), "{case}");
            let now: u64 = env.server.client.xlen(LOG).await.unwrap();
            let stored: Option<u64> = env.server.client.hget(WRITER, "sequence").await.unwrap();
            let added = expected == Appended::Now;
            assert_eq!(now, length + u64::from(added), "{case}");
            assert_eq!(stored, if added { Some(n) } else { writer.map(|writer| writer.sequence) }, "{case}");
            seen.insert(expected.name());
        }
    }
    assert_eq!(seen.len(), 5, "every outcome occurs");
}

#[tokio::test]
async fn the_open_script_fences_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/open.lua"));
    for before in [None, Some(1), Some(2), Some(3)] {
        for ingress_epoch in 1..4 {
            env.set_up(None, 0, Some(&Writer { producer: "a", sequence: 2, generation: 5 })).await;
            if let Some(before) = before {
                let () = env.server.client.hset(WRITER, ("ingress_epoch", before)).await.unwrap();
            }
            let arguments = ["b".to_owned(), "1".to_owned(), ingress_epoch.to_string()];
            let (_, reply): (u64, String) = env.run(&script, &[LOG, WRITER], &arguments).await;
            assert_eq!(reply != "fenced", may_open(before, ingress_epoch), "{before:?}, {ingress_epoch}");
            let producer: String = env.server.client.hget(WRITER, "producer").await.unwrap();
            assert_eq!(producer == "b", may_open(before, ingress_epoch), "{before:?}, {ingress_epoch}");
        }
    }
}

#[tokio::test]
async fn the_open_script_chooses_the_generation_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/open.lua"));
    let mut lasts = vec![(None, 0)];
    for generation in [1, 3] {
        // An empty log keeps the id of its last entry.
        lasts.extend([(1, 1), (2, 2), (2, 0)].map(|(n, length)| (Some(Position { generation, n }), length)));
    }
    for (last, length) in lasts {
        for before in [None, Some(1), Some(2), Some(5)] {
            for earliest in [1, 2, 4, 9, 1_900_000_000_000] {
                let writer = before.map(|generation| Writer { producer: "a", sequence: 2, generation });
                env.set_up(last, length, writer.as_ref()).await;
                let arguments = ["b".to_owned(), earliest.to_string(), "7".to_owned()];
                let (generation, end): (u64, String) = env.run(&script, &[LOG, WRITER], &arguments).await;
                let case = format!("{last:?}, {before:?}, {earliest}");
                assert_eq!(generation, open(before, last.unwrap_or_default(), earliest), "{case}");
                assert_eq!(end.parse(), Ok(last.unwrap_or_default()), "{case}");
                let stored: Vec<String> = env
                    .server
                    .client
                    .hmget(WRITER, vec!["producer", "sequence", "generation", "ingress_epoch"])
                    .await
                    .unwrap();
                assert_eq!(stored, ["b", "0", &generation.to_string(), "7"], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn the_trim_script_decides_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/trim.lua"));
    let at = |generation, n| Position { generation, n };
    for last in [None, Some(at(5, 2)), Some(at(7, 1)), Some(at(7, 2)), Some(at(8, 3))] {
        for before in [None, Some(4), Some(5), Some(7), Some(8)] {
            for committed in [at(5, 1), at(7, 1), at(7, 2), at(1_900_000_000_000, 1)] {
                let writer = before.map(|generation| Writer { producer: "a", sequence: 2, generation });
                let length = last.map_or(0, |last| last.n);
                env.set_up(last, length, writer.as_ref()).await;
                let arguments =
                    [committed.generation.to_string(), committed.n.to_string(), committed.next().to_string()];
                let (left, reopens): (u64, bool) = env.run(&script, &[LOG, WRITER], &arguments).await;
                let case = format!("{last:?}, {before:?}, {committed:?}");
                assert_eq!(reopens, must_reopen(before, last, committed), "{case}");
                let kept = match last {
                    _ if tail_is_lost(last, committed) => 0,
                    Some(last) if last.generation == committed.generation => last.n - committed.n,
                    _ => length,
                };
                assert_eq!(left, kept, "{case}");
                // The next append finds no writer, and its process opens a later generation.
                let entry = ["a", "3", "entry", "9", &before.unwrap_or(9).to_string()].map(str::to_owned);
                let append = Script::from_lua(include_str!("../../src/redis/append.lua"));
                if reopens {
                    let reply: String = env.run(&append, &[LOG, WRITER], &entry).await;
                    assert_eq!(Appended::from_name(&reply), Some(Appended::Lost), "{case}");
                    let opener = Script::from_lua(include_str!("../../src/redis/open.lua"));
                    let arguments = ["a".to_owned(), "1".to_owned(), "7".to_owned()];
                    let (generation, _): (u64, String) = env.run(&opener, &[LOG, WRITER], &arguments).await;
                    assert!(generation > committed.generation, "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_acquire_script_decides_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/acquire.lua"));
    for holder in [None, Some("a"), Some("b")] {
        let _: i64 = env.server.client.del("lease").await.unwrap();
        if let Some(holder) = holder {
            let () = env.server.client.set("lease", holder, None, None, false).await.unwrap();
        }
        let code: i64 = env.run(&script, &["lease"], &["a".to_owned(), "60000".to_owned()]).await;
        let expected = acquire(holder.as_ref(), &"a");
        assert_eq!((LeaseState::from_code(code), code), (expected, expected.code()));
        let now: String = env.server.client.get("lease").await.unwrap();
        assert_eq!(now, if expected == lease::LeaseState::HeldByOther { "b" } else { "a" });
    }
}

#[tokio::test]
async fn the_save_script_decides_as_the_protocol_does() {
    let env = TestEnv::new().await;
    let script = Script::from_lua(include_str!("../../src/redis/save.lua"));
    let keys = ["checkpoint", "index", "memory"];
    for stored in [None, Some(0), Some(1), Some(2), Some(3)] {
        for seq in 0..=3 {
            let _: i64 = env.server.client.del(keys.to_vec()).await.unwrap();
            if let Some(stored) = stored {
                let old =
                    [stored.to_string(), "old".to_owned(), "7".to_owned(), "1".to_owned(), "a".to_owned()];
                let (written, memory): (bool, u64) = env.run(&script, &keys, &old).await;
                assert_eq!((written, memory), (true, 7));
            }
            let new = [seq.to_string(), "new".to_owned(), "5".to_owned(), "2".to_owned(), "a".to_owned()];
            let (written, memory): (bool, u64) = env.run(&script, &keys, &new).await;
            assert_eq!(written, checkpoint::is_written(stored, seq), "{stored:?}, {seq}");
            assert_eq!(memory, if written { 5 } else { 7 });
            let state: String = env.server.client.hget("checkpoint", "state").await.unwrap();
            assert_eq!(state == "new", written);
        }
    }
}
