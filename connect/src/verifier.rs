//! Verifies the certificate of a server, and says what to do if it is refused.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use crate::files::{FileError, authorities};
use crate::verification::Verification;

/// Verifies certificates with the CA certificates that the file holds at that moment.
#[derive(Debug)]
pub(crate) struct ServerVerifier {
    verification: Verification,
    ca: Option<PathBuf>,
    /// The name to expect instead of the host.
    name: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why the certificate of a server is refused, and what to do.
#[derive(thiserror::Error)]
enum Refused {
    #[error("the server's certificate has expired; renew it on the server (and check this machine's clock)")]
    Expired,
    #[error("the server's certificate is not valid yet; check the clocks of both machines")]
    NotYet,
    #[error(
        "the server's certificate is not signed by {0}; set tls.ca to the certificate of the CA that signed it"
    )]
    UnknownAuthority(String),
    #[error(
        "the server's certificate is for {presented}, not for {expected}; connect by a name of the certificate, set tls.server_name, or issue a certificate for this name"
    )]
    WrongName { expected: String, presented: String },
    #[error(
        "the server presents the certificate of a CA as its own; issue a certificate for the server that is signed by this CA"
    )]
    AuthorityAsServer,
    #[error(transparent)]
    File(#[from] FileError),
}

/// Some clients show only the debug text of an error.
impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl ServerVerifier {
    /// Creates a verifier. Reads the CA certificates once, so that a wrong file is an error here.
    pub(crate) fn new(
        verification: Verification,
        ca: Option<PathBuf>,
        name: Option<ServerName<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, FileError> {
        if verification != Verification::Off {
            authorities(ca.as_deref())?;
        }
        Ok(Self { verification, ca, name, algorithms })
    }

    fn explain(&self, error: rustls::Error) -> rustls::Error {
        let rustls::Error::InvalidCertificate(problem) = error else { return error };
        let refused = match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Refused::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Refused::NotYet,
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                let trusted = self.ca.as_ref().map(|ca| format!("a CA in {}", ca.display()));
                Refused::UnknownAuthority(
                    trusted.unwrap_or_else(|| "a CA that this system trusts".to_owned()),
                )
            }
            CertificateError::NotValidForNameContext { expected, presented } => Refused::WrongName {
                expected: expected.to_str().into_owned(),
                presented: if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") },
            },
            CertificateError::Other(OtherError(inner)) if inner.to_string().contains("CaUsedAsEndEntity") => {
                Refused::AuthorityAsServer
            }
            problem => return rustls::Error::InvalidCertificate(problem),
        };
        other(refused)
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verification == Verification::Off {
            return Ok(ServerCertVerified::assertion());
        }
        let roots = authorities(self.ca.as_deref()).map_err(|error| other(error.into()))?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots,
            intermediates,
            now,
            self.algorithms.all,
        )
        .map_err(|error| self.explain(error))?;
        if self.verification == Verification::Full {
            let expected = self.name.as_ref().unwrap_or(server_name);
            verify_server_name(&certificate, expected).map_err(|error| self.explain(error))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn other(refused: Refused) -> rustls::Error {
    rustls::Error::Other(OtherError(Arc::new(refused)))
}
