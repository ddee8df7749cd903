//! Certificates for tests: a CA, and certificates of servers and clients that it signs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// From yesterday until tomorrow.
    Now,
    /// Until yesterday.
    Expired,
}

/// The files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, as PEM.
    pub cert: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
}

/// A CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The file of its certificate, as PEM.
    pub cert: PathBuf,
}

impl Authority {
    /// Creates a CA and writes its certificate to `directory`.
    pub fn new(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let cert = directory.join(format!("{name}.pem"));
        std::fs::write(&cert, certificate.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), cert })
    }

    /// Issues a server's certificate for a DNS name. Replaces the files of an earlier one.
    pub fn server(
        &self,
        directory: &Path,
        name: &str,
        validity: Validity,
    ) -> anyhow::Result<CertificateFiles> {
        let params = CertificateParams::new(vec![name.to_owned()])?;
        self.issue(directory, "server", params, ExtendedKeyUsagePurpose::ServerAuth, validity)
    }

    /// Issues a client certificate. Replaces the files of an earlier one with this name.
    pub fn client(
        &self,
        directory: &Path,
        name: &str,
        validity: Validity,
    ) -> anyhow::Result<CertificateFiles> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue(directory, name, params, ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue(
        &self,
        directory: &Path,
        file: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> anyhow::Result<CertificateFiles> {
        const DAY: Duration = Duration::from_hours(24);
        let now = SystemTime::now();
        params.not_before = (now - 2 * DAY).into();
        params.not_after = match validity {
            Validity::Now => now + DAY,
            Validity::Expired => now - DAY,
        }
        .into();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let files = CertificateFiles {
            cert: directory.join(format!("{file}.pem")),
            key: directory.join(format!("{file}.key")),
        };
        std::fs::write(&files.cert, certificate.pem())?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}
