//! How connections to the broker and the stores are secured, for every crate that opens one.
//!
//! - [`settings`]: the settings of a TLS connection, and the configuration that rustls needs.
//! - `files`: certificates and keys in files.
//! - `verification`: how much of a certificate is verified.
//! - `verifier`: verifies the certificate of a server. Reads the CA certificates at each handshake.
//! - `identity`: presents a certificate, of a client or a server. Reads it at each handshake.
//! - [`server`]: the configuration of a server with TLS.
//! - [`advice`]: what to do when a connection fails, by the text of the error.
//! - [`address`]: URLs without their passwords.

pub mod address;
pub mod advice;
mod files;
mod identity;
pub mod server;
pub mod settings;
mod verification;
mod verifier;

pub use address::{has_password, with_hidden_password, without_password};
pub use advice::{Expected, all_causes, refusal, with_advice};
pub use files::FileError;
pub use rustls::{ClientConfig, ServerConfig};
pub use server::{crypto_provider, server_config};
pub use settings::{TlsError, TlsSettings};
pub use verification::Verification;
