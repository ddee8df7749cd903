//! A way to a server that breaks off, again and again, in the middle of an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub struct Chaos {
    port: u16,
    broken: Arc<AtomicU64>,
}

impl Chaos {
    /// Listens before a server on this machine. Each connection breaks off once so many bytes have come back: up to twice so many at first, by the seed.
    pub async fn before(server: u16, seed: u64, most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broken = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&broken);
        tokio::spawn(async move {
            for number in 0_u64.. {
                let Ok((client, _)) = listener.accept().await else { return };
                let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&number.to_le_bytes(), seed);
                // Ever more, so that the longest answer gets through at last.
                let bytes = 500 + hash % (2 * most * (1 + number / 8));
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    if forward(client, server, bytes).await {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { port, broken }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections that it has broken.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Whether the connection was broken off, rather than ended by one of its ends.
async fn forward(mut client: TcpStream, mut server: TcpStream, bytes: u64) -> bool {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut left = bytes as usize;
        let mut buffer = vec![0; 16_384];
        while left > 0 {
            let read = from_server.read(&mut buffer).await.ok().filter(|&read| read > 0)?;
            to_client.write_all(&buffer[..read.min(left)]).await.ok()?;
            left -= read.min(left);
        }
        Some(())
    };
    tokio::select! {
        _ = there => false,
        done = back => done.is_some(),
    }
}
