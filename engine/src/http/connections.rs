//! Accepts the connections of the HTTP server, and bounds them. Clients that connect and send
//! nothing must not use up the descriptors of the process: the stores need them too.
//!
//! A connection counts from its first byte of TCP, so handshakes of TLS in progress count as well.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::one_by_one::OneByOne;

/// Maximum number of open connections. Beyond it, the oldest one is closed: a scrape takes
/// milliseconds, and a slow client has the oldest connection.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// The open connections, by their number in the order of their arrival.
#[derive(Debug, Default)]
struct Open {
    next: u64,
    sockets: BTreeMap<u64, OwnedFd>,
}

/// The open connections of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    open: Arc<Mutex<Open>>,
}

/// The place of an open connection among the others. Dropped when it is closed.
struct Entry {
    number: u64,
    connections: Connections,
}

/// Bytes of HTTP, with or without TLS below them.
trait Transport: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// A connection that counts as open until it is dropped.
pub(super) struct Connection {
    transport: OneByOne<Box<dyn Transport>>,
    _entry: Option<Entry>,
}

impl Connections {
    /// Counts a connection, and takes it through the handshake of TLS if there is an acceptor.
    /// Returns it with the address of the client.
    pub(super) async fn accept(
        self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        handshake_timeout: Duration,
    ) -> io::Result<(Connection, Option<SocketAddr>)> {
        let entry = self.count(&stream);
        let client = stream.peer_addr().ok();
        let transport: Box<dyn Transport> = match tls {
            Some(tls) => Box::new(tokio::time::timeout(handshake_timeout, tls.accept(stream)).await??),
            None => Box::new(stream),
        };
        Ok((Connection { transport: OneByOne::new(transport), _entry: entry }, client))
    }

    /// Counts a new connection, and closes the oldest one if there are too many.
    fn count(&self, stream: &TcpStream) -> Option<Entry> {
        // Without a second descriptor, the connection is not counted. It has its timeouts.
        let socket = rustix::io::dup(stream).ok()?;
        let mut open = self.lock();
        let number = open.next;
        open.next += 1;
        open.sockets.insert(number, socket);
        if open.sockets.len() > MAX_CONNECTIONS
            && let Some((_, oldest)) = open.sockets.pop_first()
        {
            // An error means that it is closed already.
            let _ = shutdown(oldest, Shutdown::Both);
        }
        drop(open);
        Some(Entry { number, connections: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.lock().sockets.remove(&self.number);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}
