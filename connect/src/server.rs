//! The configuration of a server with TLS.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};

use crate::identity::{Identity, IdentityFiles};
use crate::settings::TlsError;

/// Returns the cryptography that all connections use.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Returns the configuration of a server with TLS 1.2 and 1.3. `cert` is a PEM file with its
/// certificate, followed by intermediate ones, and `key` one with the private key. Reads both, so
/// that a wrong file is an error here. Each later handshake reads them again.
pub fn server_config(cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let files = IdentityFiles { cert: cert.to_owned(), key: key.to_owned() };
    let provider = crypto_provider();
    let identity = Identity::read(files, provider.clone())?;
    Ok(ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(identity)))
}
