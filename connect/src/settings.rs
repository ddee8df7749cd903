//! The settings of a TLS connection.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;

use crate::files::{FileError, authority_certificates};
use crate::identity::{Identity, IdentityFiles};
use crate::verification::Verification;
use crate::verifier::ServerVerifier;

/// The settings of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file with the CA certificates to trust. `None` trusts those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with the client certificate, followed by its intermediate certificates.
    pub cert: Option<PathBuf>,
    /// A PEM file with the private key of the client certificate.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate must have, if it is not the host of the address.
    pub server_name: Option<String>,
    /// What is verified.
    pub verification: Verification,
}

/// Why TLS cannot be used with some settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is a client certificate without a key, or a key without a certificate.
    #[error("tls.{present} is set, but tls.{missing} is not: a client certificate needs both")]
    Half {
        /// The key of the setting that is present.
        present: &'static str,
        /// The key of the setting that is missing.
        missing: &'static str,
    },
    /// The server name is neither a DNS name nor an IP address.
    #[error("tls.server_name is {0:?}, which is neither a DNS name nor an IP address")]
    ServerName(String),
    /// rustls rejects the settings.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

impl TlsSettings {
    /// Returns whether no setting is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the configuration of rustls for these settings. Reads all files, so that a wrong
    /// file is an error here. Each later handshake reads them again.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match self.identity_files()? {
            Some(files) => builder.with_client_cert_resolver(Arc::new(Identity::read(files, provider)?)),
            None => builder.with_no_client_auth(),
        };
        // A resumed session would not verify the certificate again.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// Returns the CA certificates to trust, each in DER form, for a library with a verifier of its
    /// own. Reads their file.
    pub fn authorities(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        let der = authority_certificates(self.ca.as_deref())?;
        Ok(der.into_iter().map(|certificate| certificate.as_ref().to_vec()).collect())
    }

    fn verifier(&self, provider: &CryptoProvider) -> Result<ServerVerifier, TlsError> {
        let parse = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name.clone()))
        };
        let name = self.server_name.as_ref().map(parse).transpose()?;
        let algorithms = provider.signature_verification_algorithms;
        Ok(ServerVerifier::new(self.verification, self.ca.clone(), name, algorithms)?)
    }

    fn identity_files(&self) -> Result<Option<IdentityFiles>, TlsError> {
        match (&self.cert, &self.key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(IdentityFiles { cert: cert.clone(), key: key.clone() })),
            (Some(_), None) => Err(TlsError::Half { present: "cert", missing: "key" }),
            (None, Some(_)) => Err(TlsError::Half { present: "key", missing: "cert" }),
        }
    }
}

#[cfg(test)]
mod tests;
