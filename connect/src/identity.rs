//! The certificate of a client or a server. A certificate that is replaced while the program runs
//! is used at the next handshake.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::files::{FileError, certificates, private_key};

/// The files of a certificate.
#[derive(Debug)]
pub(crate) struct IdentityFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Presents a certificate.
#[derive(Debug)]
pub(crate) struct Identity {
    files: IdentityFiles,
    provider: Arc<CryptoProvider>,
    /// The certificate and key that were read last. They are used while the files are being
    /// replaced, when the two may not fit together.
    last: Mutex<Arc<CertifiedKey>>,
}

impl Identity {
    /// Reads the files.
    pub(crate) fn read(files: IdentityFiles, provider: Arc<CryptoProvider>) -> Result<Self, FileError> {
        let first = Mutex::new(Arc::new(read(&files, &provider)?));
        Ok(Self { files, provider, last: first })
    }

    /// Reads the files again, and returns the last certificate and key that fit together.
    fn present(&self) -> Arc<CertifiedKey> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.files, &self.provider) {
            Ok(key) => *last = Arc::new(key),
            Err(error) => tracing::warn!(%error, "the certificate is not read again; using the last"),
        }
        last.clone()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.present())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.present())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn read(files: &IdentityFiles, provider: &CryptoProvider) -> Result<CertifiedKey, FileError> {
    let chain = certificates("the certificate", &files.cert)?;
    let key = private_key(&files.key)?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| FileError::Identity {
        cert: files.cert.clone(),
        key: files.key.clone(),
        problem: error.to_string(),
    })
}
