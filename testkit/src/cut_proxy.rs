//! A TCP proxy whose network can be cut: connections stay open, and nothing arrives any more.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy to a server on this machine.
#[derive(Debug)]
pub struct CutProxy {
    port: u16,
    is_cut: Arc<watch::Sender<bool>>,
}

impl CutProxy {
    /// Listens on a free port and forwards to the `server` port.
    pub async fn before(server: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let is_cut = Arc::new(watch::Sender::new(false));
        let network = is_cut.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, server, network.clone()));
            }
        });
        Ok(Self { port, is_cut })
    }

    /// Returns the port that the proxy listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the network. What is sent from now on waits until [`heal`](Self::heal).
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Joins the network again.
    pub fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn connect(client: TcpStream, server: u16, mut network: watch::Receiver<bool>) {
    if network.wait_for(|&is_cut| !is_cut).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = forward(from_client, to_server, network.clone()) => {}
        () = forward(from_server, to_client, network) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut network: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16_384];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let is_whole = network.wait_for(|&is_cut| !is_cut).await.is_ok();
        if !is_whole || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
