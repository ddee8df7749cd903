//! Bounds the connections of the HTTP server. Clients that connect and send nothing must not use up
//! the descriptors of the process: the stores need them too.

use std::any::Any;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustix::net::{Shutdown, shutdown};

/// Maximum number of open connections. Beyond it, the oldest one is closed: a scrape takes
/// milliseconds, and a slow client has the oldest connection.
const MAX_CONNECTIONS: usize = 256;

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

/// An open connection. Dropped when it is closed.
struct Entry {
    number: u64,
    connections: Connections,
}

impl Connections {
    /// Counts a new connection, and closes the oldest one if there are too many.
    pub(super) fn on_connect(&self, connection: &dyn Any, data: &mut Extensions) {
        let plain = || connection.downcast_ref::<TcpStream>();
        let encrypted = || connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
        let Some(stream) = plain().or_else(encrypted) else { return };
        // Without a second descriptor, the connection is not counted. It has its timeouts.
        let Ok(socket) = rustix::io::dup(stream) else { return };
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
        data.insert(Arc::new(Entry { number, connections: self.clone() }));
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
