//! The heartbeats of the nodes.

use std::time::Duration;

use fred::interfaces::KeysInterface as _;
use fred::types::scripts::Script;
use thicket_schema::Keys;
use thicket_store::redis::{Heartbeats, NodeName, live_nodes};

use crate::support::RedisServer;

/// Longer than the test.
const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_node_lives_until_its_heartbeat_expires_or_is_ended() {
    let server = RedisServer::start().await;
    let key = Keys::default().nodes();
    let node = |name: &str| NodeName::of_this_process(name);
    let of = |name: &str, ttl| Heartbeats::new(server.client.clone(), key.clone(), node(name), ttl);
    let (short, long) = (of("a", Duration::from_millis(50)), of("b", LONG));
    assert!(short.beat().await.unwrap().contains(node("a").as_str()));
    let names = |nodes: &[&str]| nodes.iter().map(|name| node(name).to_string()).collect();
    while long.beat().await.unwrap() != names(&["b"]) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(of("c", LONG).beat().await.unwrap() == names(&["b", "c"]));
    let _ = short.beat().await.unwrap();
    let left: i64 = server.client.pttl(&key.0).await.unwrap();
    assert!(left > 60_000, "a short heartbeat does not end the others: {left}");
    long.end().await.unwrap();
    while live_nodes(&server.client, key.clone()).await.unwrap() != [node("c").to_string()] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Of a process of this host that has ended.
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let dead = node("d").to_string();
    let dead = dead.replace(&format!("/{}/", std::process::id()), &format!("/{}/", child.id()));
    let add = Script::from_lua("return redis.call('ZADD', KEYS[1], '+inf', ARGV[1])");
    let added: i64 = add.evalsha_with_reload(&server.client, vec![key.0], vec![dead]).await.unwrap();
    assert_eq!(added, 1);
    assert_eq!(long.beat().await.unwrap(), names(&["b", "c"]));
}
