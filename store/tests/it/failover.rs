//! A failover of Redis in place: the address leads to another server, while the old one stays alive
//! as a replica.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fred::interfaces::KeysInterface as _;
use fred::prelude::Client;
use tempfile::TempDir;
use thicket_compose::Redis;
use thicket_store::redis::{RedisError, connect_redis, try_connect_redis};
use tokio::net::{TcpListener, TcpStream};

/// A generous end of the wait.
const END: Duration = Duration::from_mins(2);

/// Leads each new connection to the present target, and leaves the others alone.
async fn forward(listener: TcpListener, target: Arc<Mutex<SocketAddr>>) {
    loop {
        let (mut from, _) = listener.accept().await.unwrap();
        let target = *target.lock().unwrap();
        tokio::spawn(async move {
            let mut to = TcpStream::connect(target).await.unwrap();
            tokio::io::copy_bidirectional(&mut from, &mut to).await
        });
    }
}

fn start() -> (Redis, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Redis::start(directory.path()).unwrap(), directory)
}

/// Splits an address into the part before the host, and the host with its port.
fn parts(url: &str) -> (String, SocketAddr) {
    let (before, host) = url.rsplit_once('@').unwrap();
    (before.to_owned(), host.parse().unwrap())
}

async fn run(client: &Client, command: &'static str, arguments: &[&str]) {
    use fred::interfaces::ClientLike as _;
    let command = fred::cmd!(command);
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let _: fred::types::Value = client.custom(command, arguments).await.unwrap();
}

#[tokio::test]
async fn a_client_leaves_a_server_that_has_become_a_replica() {
    let (old, _old_directory) = start();
    let (new, _new_directory) = start();
    let (before, old_address) = parts(&old.url());
    let (_, new_address) = parts(&new.url());
    let (old_admin, new_admin) =
        (try_connect_redis(&old.url()).await.unwrap(), try_connect_redis(&new.url()).await.unwrap());
    let password = before.strip_prefix("redis://:").unwrap();
    run(&new_admin, "CONFIG", &["SET", "requirepass", password]).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{before}@{}", listener.local_addr().unwrap());
    let target = Arc::new(Mutex::new(old_address));
    tokio::spawn(forward(listener, Arc::clone(&target)));
    let client = connect_redis(&url).await;
    let written: Result<(), RedisError> = client.set("a", 1, None, None, false).await;
    written.unwrap();

    *target.lock().unwrap() = new_address;
    let (host, port) = (new_address.ip().to_string(), new_address.port().to_string());
    run(&old_admin, "REPLICAOF", &[&host, &port]).await;
    let refused: Result<(), RedisError> = old_admin.set("a", 2, None, None, false).await;
    assert!(refused.unwrap_err().details().starts_with("READONLY "));

    let writes = async {
        loop {
            let written: Result<(), RedisError> = client.set("a", 3, None, None, false).await;
            if written.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(END, writes).await.expect("the client reaches the new server");
    let found: i64 = new_admin.get("a").await.unwrap();
    assert_eq!(found, 3);
}
