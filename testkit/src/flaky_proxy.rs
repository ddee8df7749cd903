//! A TCP proxy that breaks each connection in the middle of an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Minimum number of answer bytes that a connection forwards.
const FEWEST_BYTES: u64 = 500;
/// Number of connections after which the average limit doubles.
const CONNECTIONS_PER_STEP: u64 = 8;
/// Maximum number of times that the average doubles.
const MOST_DOUBLINGS: u64 = 16;

/// A proxy to a server on this machine.
#[derive(Debug)]
pub struct FlakyProxy {
    port: u16,
    broken: Arc<AtomicU64>,
}

impl FlakyProxy {
    /// Listens on a free port and forwards to the `server` port. The seed decides after how many
    /// answer bytes each connection breaks. The average is `mean` at first and doubles after every
    /// few connections, so that the longest answer gets through soon.
    pub async fn before(server: u16, seed: u64, mean: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let broken = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, server, Arc::clone(&broken), move |number| {
            let hash = xxh3_64_with_seed(&number.to_le_bytes(), seed);
            FEWEST_BYTES + hash % ((2 * mean) << (number / CONNECTIONS_PER_STEP).min(MOST_DOUBLINGS))
        }));
        Ok(Self { port, broken })
    }

    /// Returns the port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the number of broken connections.
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, server: u16, broken: Arc<AtomicU64>, bytes: impl Fn(u64) -> u64) {
    for number in 0_u64.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let bytes = bytes(number);
        let broken = Arc::clone(&broken);
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            if forward(client, server, bytes).await {
                broken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// Forwards until the server has sent `bytes` bytes. Returns false if the client or the server
/// closed the connection before that.
async fn forward(mut client: TcpStream, mut server: TcpStream, bytes: u64) -> bool {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = tokio::io::copy(&mut from_client, &mut to_server);
    let answers = async {
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
        _ = requests => false,
        limit_reached = answers => limit_reached.is_some(),
    }
}
