//! A TCP proxy that can fall silent: it then takes every byte, forwards none, and closes no
//! connection. So does a network device that forgets its connections, or a host that vanishes.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy to a server on this machine.
#[derive(Debug)]
pub struct SilentProxy {
    port: u16,
    /// How often the proxy has fallen silent or was healed. It is silent at odd numbers.
    changes: watch::Sender<u64>,
}

impl SilentProxy {
    /// Listens on a free port and forwards to the `server` port.
    pub async fn before(server: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (changes, seen) = watch::channel(0);
        tokio::spawn(accept(listener, server, seen));
        Ok(Self { port, changes })
    }

    /// Returns the port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Falls silent. The server sees its connections end, the clients do not.
    pub fn fall_silent(&self) {
        self.changes.send_modify(|changes| *changes |= 1);
    }

    /// Forwards new connections again. The connections of before stay silent.
    pub fn heal(&self) {
        self.changes.send_modify(|changes| *changes = changes.next_multiple_of(2));
    }
}

async fn accept(listener: TcpListener, server: u16, changes: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(forward(client, server, changes.clone()));
    }
}

async fn forward(mut client: TcpStream, server: u16, mut changes: watch::Receiver<u64>) {
    let born = *changes.borrow_and_update();
    if born.is_multiple_of(2) {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
        let copy = tokio::io::copy_bidirectional(&mut client, &mut server);
        tokio::select! {
            _ = copy => return,
            _ = changes.wait_for(|&changes| changes != born) => {}
        }
        // An error means that the server has closed the connection already.
        let _ = server.shutdown().await;
    }
    swallow(client).await;
}

/// Reads until the client closes the connection.
async fn swallow(mut client: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; 16_384];
    while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}
