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
