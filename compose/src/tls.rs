//! TLS for a private server: a further port on which clients must present a certificate.

use std::{fs, path::PathBuf};

use crate::{
    error::{Context, Error},
    port::Port,
};

/// PEM files of a server with TLS. They may be replaced; the server reads them when it starts.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The CA whose client certificates the server accepts.
    pub ca: PathBuf,
    /// The server's certificate.
    pub cert: PathBuf,
    /// The private key of the server's certificate.
    pub key: PathBuf,
}

/// A reserved port for TLS, and the files for it.
#[derive(Debug)]
pub struct TlsPort {
    pub(crate) files: TlsFiles,
    port: Port,
}

impl TlsPort {
    pub(crate) fn reserve(server: &'static str, files: TlsFiles) -> Result<Self, Error> {
        Ok(Self { files, port: Port::reserve(server)? })
    }

    /// Returns the number of the port.
    pub fn number(&self) -> u16 {
        self.port.number()
    }
}

impl TlsFiles {
    /// Returns the contents of CA, certificate and key.
    pub(crate) fn read(&self) -> Result<[Vec<u8>; 3], Error> {
        let read = |path: &PathBuf| fs::read(path).during(|| format!("read {}", path.display()));
        Ok([read(&self.ca)?, read(&self.cert)?, read(&self.key)?])
    }
}
