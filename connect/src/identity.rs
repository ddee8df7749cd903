//! The client certificate. A certificate that is replaced while the program runs is used at the
//! next handshake.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;

use crate::files::{FileError, certificates, private_key};

/// The files of a client certificate.
#[derive(Debug)]
pub(crate) struct IdentityFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Presents a client certificate.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    files: IdentityFiles,
    provider: Arc<CryptoProvider>,
    /// The certificate and key that were read last. They are used while the files are being
    /// replaced, when the two may not fit together.
    last: Mutex<Arc<CertifiedKey>>,
}

impl ClientIdentity {
    /// Reads the files.
    pub(crate) fn read(files: IdentityFiles, provider: Arc<CryptoProvider>) -> Result<Self, FileError> {
        let first = Mutex::new(Arc::new(read(&files, &provider)?));
        Ok(Self { files, provider, last: first })
    }
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.files, &self.provider) {
            Ok(key) => *last = Arc::new(key),
            Err(error) => tracing::warn!(%error, "the client certificate is not read again; using the last"),
        }
        Some(last.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn read(files: &IdentityFiles, provider: &CryptoProvider) -> Result<CertifiedKey, FileError> {
    let chain = certificates("the client certificate", &files.cert)?;
    let key = private_key(&files.key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| FileError::Identity {
        cert: files.cert.clone(),
        key: files.key.clone(),
        problem: error.to_string(),
    })
}
