//! Receivers of notifications: they accept, refuse or leave unanswered what a sender really sends.
//!
//! - `http`: an HTTP server.
//! - `smtp`: a mail server.
//! - `retained`: the retained messages of a broker.
//! - `tls_proxy`: TLS in front of a server that has none.

mod http;
mod retained;
mod smtp;
mod tls_proxy;

pub use http::{Answer, Asked, HttpReceiver, Posted, Said};
pub use retained::retained;
pub use smtp::{SmtpReceiver, SmtpTls};
pub use tls_proxy::tls_proxy;

/// Returns a port on which no server listens.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    address.unwrap_or_else(|error| panic!("no free port: {error}")).port()
}
