//! Certificates and keys in files.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file with certificates or a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}, the file of {what}: {source}; check its path and its permissions", .path.display())]
    Unreadable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not PEM.
    #[error("{} is not a PEM file: {problem}; convert it with `openssl x509 -inform der` or `openssl pkey -inform der`", .path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file has no certificate.
    #[error("{} holds no certificate; it must have a section BEGIN CERTIFICATE", .0.display())]
    NoCertificate(PathBuf),
    /// The file has no key that can be used.
    #[error("{} holds no private key; it must have a section BEGIN PRIVATE KEY (decrypt an encrypted key with `openssl pkey -in KEY -out PLAIN_KEY`)", .0.display())]
    NoKey(PathBuf),
    /// A certificate of the file is damaged.
    #[error("{} holds a CA certificate that cannot be used: {problem}", .path.display())]
    BadAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not belong together, or the key is of an unknown kind.
    #[error("the private key {} does not fit the certificate {}: {problem}", .key.display(), .cert.display())]
    Identity {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The system has no CA certificates.
    #[error("the system has no CA certificates: install the package ca-certificates, or set tls.ca")]
    NoSystemAuthorities,
}

/// Reads the CA certificates of a file, or of the system for `None`.
pub(crate) fn authorities(file: Option<&Path>) -> Result<RootCertStore, FileError> {
    let mut store = RootCertStore::empty();
    let Some(path) = file else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if store.is_empty() { Err(FileError::NoSystemAuthorities) } else { Ok(store) };
    };
    for certificate in certificates("CA certificates", path)? {
        store
            .add(certificate)
            .map_err(|error| FileError::BadAuthority { path: path.to_owned(), problem: error.to_string() })?;
    }
    Ok(store)
}

/// Reads the CA certificates of a file, or of the system for `None`; at least one.
pub(crate) fn authority_certificates(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, FileError> {
    if let Some(path) = file {
        return certificates("CA certificates", path);
    }
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() { Err(FileError::NoSystemAuthorities) } else { Ok(found) }
}

/// Reads all certificates of a file; at least one.
pub(crate) fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(error, what, path))?;
    if found.is_empty() { Err(FileError::NoCertificate(path.to_owned())) } else { Ok(found) }
}

/// Reads the private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| match error {
        PemError::NoItemsFound => FileError::NoKey(path.to_owned()),
        error => unreadable(error, "the private key", path),
    })
}

fn unreadable(error: PemError, what: &'static str, path: &Path) -> FileError {
    let path = path.to_owned();
    match error {
        PemError::Io(source) => FileError::Unreadable { what, path, source },
        error => FileError::NotPem { path, problem: error.to_string() },
    }
}
