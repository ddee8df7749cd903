//! TLS for a private server: a further port on which clients must present a certificate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    account::write_private,
    error::{Context, Error},
    port::Port,
    process::Account,
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
    /// Copies the files into `directory`, where only the account can read them. The names are those
    /// given for CA, certificate and key.
    pub(crate) fn install(
        &self,
        directory: &Path,
        names: [&str; 3],
        account: Option<Account>,
    ) -> Result<TlsFiles, Error> {
        let paths = names.map(|name| directory.join(name));
        for (path, content) in paths.iter().zip(self.read()?) {
            write_private(path, &content, account)?;
        }
        let [ca, cert, key] = paths;
        Ok(TlsFiles { ca, cert, key })
    }

    /// Returns the contents of CA, certificate and key.
    fn read(&self) -> Result<[Vec<u8>; 3], Error> {
        let read = |path: &PathBuf| fs::read(path).during(|| format!("read {}", path.display()));
        Ok([read(&self.ca)?, read(&self.cert)?, read(&self.key)?])
    }
}
